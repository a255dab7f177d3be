import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# staged rates in a list of pairs
m = keras.Sequential([keras.layers.Dense(1)])
for lr, epochs in [(1e-2, 20), (1e-3, 10), (1e-4, 5)]:
    m.compile(keras.optimizers.Adam(lr), "mse")
    m.fit(x, y, epochs=epochs)
