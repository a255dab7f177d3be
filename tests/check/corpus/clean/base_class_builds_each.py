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
    def run(self, tr, te):
        self.model.fit(X[tr], y[tr], verbose=0)
        return self.model.evaluate(X[te], y[te], verbose=0)
print([Cv().run(tr, te) for tr, te in KFold(3).split(X)])
