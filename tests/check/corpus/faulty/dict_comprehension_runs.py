import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
m = keras.Sequential([keras.layers.Dense(1)])
def run(opt):
    m.compile(optimizer=opt, loss="mse")
    return m.fit(x, y, epochs=5)  # expect: FL003
histories = {name: run(name) for name in ["sgd", "adam", "rmsprop"]}
