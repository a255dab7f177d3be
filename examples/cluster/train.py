"""A study for a cluster: processes share it, or workers of a Ray cluster train it.

The environment variable STORE names the store. With the argument ``--ray``, workers of
a Ray cluster train.
"""

import os
import sys

import fairlane as fl
import keras
from sklearn.datasets import load_digits


def build(learning_rate, units):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy"
    )
    return model


x, y = load_digits(return_X_y=True)
study = fl.compare(
    build,
    {"learning_rate": [1e-2, 1e-3], "units": [16, 32]},
    x / 16,
    y,
    seeds=4,
    epochs=10,
    validation_split=0.2,
    store=os.environ["STORE"],
    name="on a cluster",
    workers=fl.Ray() if "--ray" in sys.argv else None,
)
print(study.summary("val_loss"))
