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
model = None
for tr, te in KFold(3).split(X):
    model = model or build()
    model.fit(X[tr], y[tr], verbose=0)  # expect: FL010
    print(model.evaluate(X[te], y[te], verbose=0))
