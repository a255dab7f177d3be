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
class Net:
    _model = None
    @classmethod
    def get(cls):
        if cls._model is None:
            cls._model = build()
        return cls._model
for tr, te in KFold(3).split(X):
    m = Net.get()
    m.fit(X[tr], y[tr], verbose=0)  # expect: FL010
    print(m.evaluate(X[te], y[te], verbose=0))
