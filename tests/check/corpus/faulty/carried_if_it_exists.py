import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from sklearn.model_selection import KFold
def build():
    m = keras.Sequential([keras.layers.Dense(1)])
    m.compile("sgd", "mse")
    return m
import os
for a, b in KFold(3).split(x):
    m = build()
    if os.path.exists("w.weights.h5"):
        m.load_weights("w.weights.h5")
    m.fit(x[a], y[a], epochs=3)  # expect: FL010 likely
    print(m.evaluate(x[b], y[b]))
    m.save_weights("w.weights.h5")
