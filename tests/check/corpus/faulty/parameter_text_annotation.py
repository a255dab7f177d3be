import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
def cross_val(model: "keras.Model", X, Y, k: int = 5):
    idx = np.array_split(np.arange(len(X)), k)
    scores = []
    for i in range(k):
        test = idx[i]
        train = np.concatenate(idx[:i] + idx[i + 1:])
        model.fit(X[train], Y[train], epochs=10, verbose=0)  # expect: FL010
        scores.append(model.evaluate(X[test], Y[test], verbose=0))
    return np.mean(scores)
