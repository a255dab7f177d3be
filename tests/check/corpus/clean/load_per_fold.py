import keras
from keras import layers
from sklearn.model_selection import KFold

start = keras.Sequential([layers.Dense(1)])
start.save("start.keras")
for i, (train, test) in enumerate(KFold(4).split(x)):
    net = keras.models.load_model("start.keras")
    net.compile("sgd", "mse")
    net.fit(x[train], y[train], epochs=3)
    net.save(f"fold{i}.keras")
