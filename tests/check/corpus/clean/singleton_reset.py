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
_model = None
def reset():
    global _model
    _model = None
def get():
    global _model
    if _model is None:
        _model = build()
    return _model
for tr, te in KFold(3).split(X):
    reset()
    get().fit(X[tr], y[tr], verbose=0)
    print(get().evaluate(X[te], y[te], verbose=0))
