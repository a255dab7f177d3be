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
start = 0
step = 20
errs = []
while start < len(X):
    stop = start + step
    mask = np.ones(len(X), bool)
    mask[start:stop] = False
    model.fit(X[mask], y[mask], verbose=0)  # expect: FL010
    errs.append(model.evaluate(X[~mask], y[~mask], verbose=0))
    start += step
