import random

import numpy as np
import tensorflow as tf

random.seed(0)
np.random.seed(0)
tf.random.set_seed(0)  # expect: FL009 likely

GRID = [{"rate": 1e-2, "units": 8}, {"rate": 1e-3, "units": 64}]


def build(rate, units):
    model = tf.keras.Sequential([tf.keras.layers.Dense(units), tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(rate), "mse")
    return model


for config in GRID:
    model = build(**config)
    history = model.fit(x, y, epochs=5)
    print(config, history.history["loss"][-1])
