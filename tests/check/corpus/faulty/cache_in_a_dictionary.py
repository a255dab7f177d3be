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
cache = dict()
def get(units):
    if (m := cache.get(units)) is None:
        m = cache[units] = build(units)
    return m
for seed in range(3):
    keras.utils.set_random_seed(seed)
    model = get(8)
    model.fit(X, y, verbose=0)  # expect: FL003 likely
    print(model.evaluate(Xt, yt, verbose=0))
