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
idx = np.random.permutation(len(X))
parts = np.array_split(idx, 3)
j = 0
while True:
    if j == 3:
        break
    test = parts[j]
    train = np.concatenate([p for k, p in enumerate(parts) if k != j])
    model.fit(X[train], y[train], verbose=0)  # expect: FL010
    print(model.evaluate(X[test], y[test], verbose=0))
    j += 1
