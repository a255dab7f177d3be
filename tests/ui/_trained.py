"""A program that trains a small stored study, and waits after its first epoch until a file is there.

Arguments: the store's path, and the file's.
"""

import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

import fairlane as fl


def build(learning_rate):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


class Wait(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        while epoch and not os.path.exists(sys.argv[2]):
            time.sleep(0.02)


if __name__ == "__main__":
    x = np.ones((8, 2), "float32")
    asked = {"epochs": 3, "verbose": 0, "callbacks": lambda: [Wait()], "store": sys.argv[1], "name": "waits"}
    fl.compare(build, {"learning_rate": [0.1, 0.01]}, x, x[:, :1], engine="reference", **asked)
