import keras
from sklearn.model_selection import KFold

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
model.compile("adam", "mse")
initial = model.get_weights()
for fold, (train, test) in enumerate(KFold(5).split(X)):
    model.set_weights(initial)
    model.compile(optimizer="adam", loss="mse")
    model.fit(X[train], y[train], epochs=5)
    print(fold, model.evaluate(X[test], y[test]))
