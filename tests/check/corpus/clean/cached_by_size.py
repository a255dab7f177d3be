import functools

import keras
import numpy as np

x, y = np.zeros((60, 4)), np.zeros((60, 1))


@functools.lru_cache
def data():
    return np.zeros((60, 4)), np.zeros((60, 1))


def network(units):
    net = keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1)])
    net.compile("sgd", "mse")
    return net


for units in (4, 8):
    network(units).fit(*data(), epochs=3)
