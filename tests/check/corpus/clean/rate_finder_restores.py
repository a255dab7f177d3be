import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
class LRFinder(keras.callbacks.Callback):
    pass
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
start = m.get_weights()
m.fit(x, y, epochs=1, callbacks=[LRFinder()])
m.set_weights(start)
m.compile(keras.optimizers.SGD(0.01), "mse")
m.fit(x, y, epochs=30)
