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
class Train:
    def __init__(self, model):
        self.model = model
    def __call__(self, rate):
        self.model.compile(keras.optimizers.SGD(rate), "mse")
        return self.model.fit(X, y, verbose=0).history["loss"][-1]  # expect: FL003
train = Train(build())
print([train(rate) for rate in (0.1, 0.01)])
