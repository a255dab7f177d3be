import keras
import numpy as np
from sklearn.model_selection import KFold, LeaveOneOut
from data import load, load_test
X, y = load()
Xt, yt = load_test()
def build(units=4):
    m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    m.compile('adam', 'mse')
    return m
model = build()
patience, best, wait = 2, 1e9, 0
while wait < patience:
    model.fit(X, y, epochs=1, verbose=0)
    val = model.evaluate(Xt, yt, verbose=0)
    if val < best - 1e-3:
        best, wait = val, 0
    else:
        wait += 1
