import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
cb = keras.callbacks.EarlyStopping(patience=3)
opt = keras.optimizers.Adam()
def mk(u):
    m = keras.Sequential([keras.layers.Dense(u), keras.layers.Dense(1)])
    m.compile(optimizer=opt, loss="mse")  # expect: FL004
    return m
ms = [mk(u) for u in (4, 8)]
for m in ms:
    m.fit(x, y, validation_split=0.2)
