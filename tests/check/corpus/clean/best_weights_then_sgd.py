import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# one after another, then best restored
m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
m.compile("adam", "mse")
m.fit(x, y, epochs=10, callbacks=[keras.callbacks.ModelCheckpoint("best.weights.h5", save_weights_only=True)])
m.load_weights("best.weights.h5")
m.compile(keras.optimizers.SGD(1e-4), "mse")
m.fit(x, y, epochs=5)
