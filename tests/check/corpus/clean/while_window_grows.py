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
t = 20
preds = []
while t < 40:
    model.fit(X[:t], y[:t], verbose=0)
    preds.append(model.predict(X[t:t+1], verbose=0))
    t += 1
