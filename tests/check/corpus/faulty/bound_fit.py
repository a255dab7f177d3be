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
train = build().fit
losses = [train(X[tr], y[tr], validation_data=(X[te], y[te]), verbose=0).history["val_loss"] for tr, te in KFold(3).split(X)]  # expect: FL010
