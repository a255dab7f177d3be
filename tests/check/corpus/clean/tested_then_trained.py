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
scores = []
for day in ("mon", "tue"):
    Xd, yd = load(30)
    scores.append(model.evaluate(Xd, yd, verbose=0))
    model.fit(Xd, yd, verbose=0)
print(np.mean(scores))
