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
net = build()
pool = tuple(net for _ in range(3))
for i, (net_i, (tr, te)) in enumerate(zip(pool, KFold(3).split(X))):
    net_i.fit(X[tr], y[tr], verbose=0)  # expect: FL010
    print(i, net_i.evaluate(X[te], y[te], verbose=0))
