import functools

import keras
import numpy as np
from sklearn.model_selection import KFold

x, y = np.zeros((60, 4)), np.zeros((60, 1))


@functools.lru_cache
def network():
    net = keras.Sequential([keras.layers.Dense(1)])
    net.compile("sgd", "mse")
    return net


scores = []
for train, test in KFold(5).split(x):
    network().fit(x[train], y[train])  # expect: FL010
    scores.append(network().evaluate(x[test], y[test]))
