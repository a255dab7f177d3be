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
class Base:
    def __init__(self):
        self.model = build()
class Cv(Base):
    def __init__(self, k):
        super().__init__()
        self.k = k
    def run(self):
        for tr, te in KFold(self.k).split(X):
            self.model.fit(X[tr], y[tr], verbose=0)  # expect: FL010
            print(self.model.evaluate(X[te], y[te], verbose=0))
Cv(3).run()
