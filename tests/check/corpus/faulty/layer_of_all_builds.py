import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
import keras_tuner
shared = keras.layers.Dense(16)
def build(hp):
    i = keras.Input((4,))
    m = keras.Model(i, keras.layers.Dense(1)(shared(i)))  # expect: FL008
    m.compile(keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-2)), "mse")
    return m
for lr in (1, 2):
    m = build(lr)
    m.fit(x, y)
