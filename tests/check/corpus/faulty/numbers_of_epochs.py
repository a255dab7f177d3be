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
for n_epochs in [10, 20, 50]:
    model.fit(X, y, epochs=n_epochs, verbose=0)  # expect: FL003 likely
    print(n_epochs, model.evaluate(Xt, yt, verbose=0))
