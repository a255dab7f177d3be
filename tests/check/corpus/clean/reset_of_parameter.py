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
def cross_validate(trainer, X, y):
    scores = []
    for tr, te in KFold(3).split(X):
        trainer.reset()
        trainer.model.fit(X[tr], y[tr], epochs=1, verbose=0, validation_data=(X[te], y[te]))
        scores.append(trainer.model.evaluate(X[te], y[te], verbose=0))
    return scores
