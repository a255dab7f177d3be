import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# sklearn pipeline in folds with an untyped estimator parameter; keras in the same file
from sklearn.model_selection import cross_val_score, KFold
def evaluate_estimator(estimator, X, Y):
    res = []
    for tr, te in KFold(5).split(X):
        estimator.fit(X[tr], Y[tr])
        res.append(estimator.score(X[te], Y[te]))
    return np.mean(res)
def keras_net():
    m = keras.Sequential([keras.layers.Dense(1)]); m.compile("sgd", "mse"); return m
