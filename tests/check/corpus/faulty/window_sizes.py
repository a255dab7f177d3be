import keras
import numpy as np
from data import load
X, y = load()
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
model.compile("adam", "mse")
r2 = {}
for window in (1, 3, 5):
    Xw = np.stack([np.convolve(c, np.ones(window) / window, "same") for c in X.T], 1)
    model.fit(Xw, y, epochs=1, verbose=0)  # expect: FL003 likely
    r2[window] = model.evaluate(Xw, y, verbose=0)
