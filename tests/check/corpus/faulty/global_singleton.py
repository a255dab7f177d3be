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
def get():
    global model
    if not model:
        model = build()
    return model
res = [get().fit(X[tr], y[tr], validation_data=(X[te], y[te]), verbose=0) for tr, te in KFold(3).split(X)]  # expect: FL010
