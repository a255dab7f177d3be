import keras
import numpy as np
from data import load
X, y = load()
order = np.argsort(np.abs(y[:, 0]))
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
losses = []
for difficulty in (0.3, 0.6, 1.0):
    idx = order[: int(difficulty * len(X))]
    losses.append(model.fit(X[idx], y[idx], verbose=0).history["loss"][-1])
