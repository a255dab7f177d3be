import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
nets = dict.fromkeys(["a", "b"], m)
for name in nets:
    nets[name].fit(x, y, epochs=3)  # expect: FL003
