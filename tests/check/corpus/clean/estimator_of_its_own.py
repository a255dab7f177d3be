import keras
from sklearn.model_selection import KFold
from data import load
class NNRegressor:
    def __init__(self, units=8, epochs=1):
        self.units, self.epochs = units, epochs
    def fit(self, X, y):
        self.model_ = keras.Sequential([keras.Input((X.shape[1],)), keras.layers.Dense(self.units), keras.layers.Dense(1)])
        self.model_.compile("adam", "mse")
        self.model_.fit(X, y, epochs=self.epochs, verbose=0)
        return self
    def score(self, X, y):
        return -self.model_.evaluate(X, y, verbose=0)
X, y = load()
reg = NNRegressor()
print([reg.fit(X[tr], y[tr]).score(X[te], y[te]) for tr, te in KFold(3).split(X)])
