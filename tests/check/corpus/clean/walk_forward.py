import keras
from sklearn.model_selection import TimeSeriesSplit

model = keras.Sequential([keras.layers.GRU(16), keras.layers.Dense(1)])
model.compile("adam", "mse")
for train, test in TimeSeriesSplit(5).split(series):
    model.fit(series[train], target[train], epochs=2)
    print(model.evaluate(series[test], target[test]))
