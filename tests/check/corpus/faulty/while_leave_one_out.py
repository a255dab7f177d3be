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
i = 0
preds = []
while i < 3:
    Xi = np.delete(X, i, axis=0)
    yi = np.delete(y, i, axis=0)
    model.fit(Xi, yi, verbose=0)  # expect: FL010
    preds.append(model.predict(X[i:i+1], verbose=0))
    i = i + 1
