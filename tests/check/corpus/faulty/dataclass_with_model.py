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
from dataclasses import dataclass
@dataclass
class Run:
    net: object
    rate: float
net = build()
runs = [Run(net, 0.1), Run(net, 0.01)]
for r in runs:
    r.net.compile(keras.optimizers.SGD(r.rate), "mse")
    r.net.fit(X, y, verbose=0)  # expect: FL003
    print(r.rate, r.net.evaluate(Xt, yt, verbose=0))
