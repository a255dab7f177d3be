import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
import tensorflow as tf
# MirroredStrategy: retrain the same with more steps
m = tf.keras.Sequential([tf.keras.layers.Dense(1)])
m.compile("adam", "mse")
hist = m.fit(x, y, epochs=5)
hist2 = m.fit(x, y, epochs=10, initial_epoch=5)
m.compile("adam", "mse", metrics=["mae"])
m.evaluate(x, y)
