import keras
from keras import layers
from sklearn.model_selection import StratifiedKFold


class Evaluation:
    def scores(self, network, inputs, labels):
        found = []
        for train, test in StratifiedKFold(n_splits=3).split(inputs, labels):
            network.fit(inputs[train], labels[train], epochs=4, validation_split=0.1)  # expect: FL010 likely
            found.append(network.evaluate(inputs[test], labels[test]))
        return found
