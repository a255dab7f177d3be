import keras
from keras import layers
import numpy as np

net = keras.Sequential([layers.Dense(4), layers.Dense(1)])
net.compile("sgd", "mse")
group = np.arange(len(x)) % 5
errors = []
for g in range(5):
    held = group == g
    net.fit(x[~held], y[~held], epochs=10, verbose=0)  # expect: FL010
    errors.append(net.evaluate(x[held], y[held], verbose=0))
