from itertools import starmap
import keras
from data import load
X, y = load()
m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
def go(model, rate):
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model.fit(X, y, verbose=0).history["loss"][-1]  # expect: FL003
print(list(starmap(go, [(m, 0.1), (m, 0.01)])))
