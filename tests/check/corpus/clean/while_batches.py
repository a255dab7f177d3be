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
losses = []
while i < 20:
    losses.append(model.train_on_batch(X[i:i+4], y[i:i+4]))
    i += 4
print(np.mean(losses))
