import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from sklearn.model_selection import ShuffleSplit
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
rs = ShuffleSplit(n_splits=10)
accs = [model.fit(x[a], y[a], epochs=5, verbose=0) and model.evaluate(x[b], y[b]) for a, b in rs.split(x)]  # expect: FL010
