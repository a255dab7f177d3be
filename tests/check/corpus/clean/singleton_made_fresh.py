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
_m = None
def get(fresh=False):
    global _m
    if _m is None or fresh:
        _m = build()
    return _m
for tr, te in KFold(3).split(X):
    m = get(fresh=True)
    m.fit(X[tr], y[tr], verbose=0)
    print(m.evaluate(X[te], y[te], verbose=0))
