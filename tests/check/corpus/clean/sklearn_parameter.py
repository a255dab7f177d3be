import keras
from keras import layers
from sklearn.model_selection import KFold


def scores(model, x, y):
    for train, test in KFold(5).split(x):
        model.fit(x[train], y[train])
        yield model.score(x[test], y[test])


def table(model, x, y):
    found = []
    for train, test in KFold(5).split(x):
        model.fit(x[train], y[train])
        found.append(model.score(x[test], y[test]))
    return found
