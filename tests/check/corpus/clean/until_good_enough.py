import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# train until enough
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
while True:
    h = m.fit(x, y, epochs=10)
    if h.history["loss"][-1] < 0.1:
        break
