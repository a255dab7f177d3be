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
class Singleton:
    _inst = None
    def __new__(cls):
        if cls._inst is None:
            cls._inst = super().__new__(cls)
            cls._inst.model = build()
        return cls._inst
for tr, te in KFold(3).split(X):
    Singleton().model.fit(X[tr], y[tr], verbose=0)  # expect: FL010
    print(Singleton().model.evaluate(X[te], y[te], verbose=0))
