import keras
from keras import layers
from scikeras.wrappers import KerasClassifier
from sklearn.model_selection import KFold


def scores(model, x, y):
    found = []
    for train, test in KFold(5).split(x):
        model.fit(x[train], y[train], epochs=5, batch_size=8)
        found.append(model.score(x[test], y[test]))
    return found
