import random
import numpy as np
import keras
from data import load
X, y = load()
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
net.compile("adam", "mse")
runs, scores = 0, []
while runs < 4:
    perm = np.random.permutation(len(X))
    cut = int(0.8 * len(X))
    net.fit(X[perm[:cut]], y[perm[:cut]], epochs=1, verbose=0)  # expect: FL010
    scores.append(net.evaluate(X[perm[cut:]], y[perm[cut:]], verbose=0))
    runs += 1
print(np.mean(scores), "+-", np.std(scores))
