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
def run(model=None):
    if model is None:
        model = build()
    model.fit(X, y, verbose=0)
    return model.evaluate(Xt, yt, verbose=0)
scores = []
for seed in range(3):
    keras.utils.set_random_seed(seed)
    scores.append(run())
