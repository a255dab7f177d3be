import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
class Callback(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None): pass
cb = Callback()
for u in (1, 2):
    m = keras.Sequential([keras.layers.Dense(u), keras.layers.Dense(1)])
    m.compile("sgd", "mse")
    m.fit(x, y, callbacks=[cb])
