import numpy as np
import keras
from sklearn.model_selection import StratifiedShuffleSplit
from data import load_binary
X, y = load_binary()
splits = list(StratifiedShuffleSplit(n_splits=3, test_size=0.2).split(X, y))
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
net.compile("adam", "binary_crossentropy")
losses = []
for i in range(len(splits)):
    tr, te = splits[i]
    net.fit(X[tr], y[tr], verbose=0)  # expect: FL010
    losses.append(net.evaluate(X[te], y[te], verbose=0))
