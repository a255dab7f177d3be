import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from itertools import repeat
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
for k, net in enumerate(repeat(m, 3)):
    net.fit(x, y, epochs=3)  # expect: FL003
