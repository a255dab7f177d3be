import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
def train_size(n):
    net = m  # expect: FL001 likely
    net.fit(x[:n], y[:n], epochs=3)
    return net.evaluate(x, y)
curve = [train_size(n) for n in (10, 20, 40)]
