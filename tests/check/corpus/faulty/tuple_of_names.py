import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
a, b = m, m  # expect: FL001
ha = a.fit(x, y, epochs=3)
hb = b.fit(x, y, epochs=3)
