"""What sizes cost a search: run as ``python benchmarks/searched_sizes.py [random] [tpe]``.

Prints the seconds, and the seconds of processor time, of a search of ``units``, a learning rate and a dropout
rate of the digits MLP, 64 trials × 10 epochs, and of the same search with ``units`` fixed; and how many
programs each had.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("FAIRLANE_CACHE", "off")

import keras
from sklearn.datasets import load_digits

import fairlane as fl

digits = load_digits()
X, Y = digits.data.astype("float32") / 16, digits.target
FIT = {"epochs": 10, "batch_size": 32, "validation_split": 0.2, "verbose": 0}


def build(units: int, learning_rate: float, dropout: float) -> keras.Model:
    """A small classifier."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((64,)), layers.Dense(units, "relu"), layers.Dropout(dropout)])
    model.add(layers.Dense(10, "softmax"))
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss, metrics=["accuracy"])
    return model


def timed(units: Any, sampler: str) -> str:
    """The seconds of a search, and its programs, in words."""
    space = {"units": units, "learning_rate": fl.Float(1e-4, 1e-1, log=True), "dropout": fl.Float(0.0, 0.5)}
    began, used = time.perf_counter(), time.process_time()
    study = fl.search(build, space, X, Y, trials=64, sampler=sampler, **FIT)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    return f"{seconds:.1f} s ({used:.1f} s of processor time), {study.trials['fleet'].nunique()} programs"


if __name__ == "__main__":
    timed(32, "random")
    for sampler in sys.argv[1:] or ("random", "tpe"):
        print(f"{sampler}: units fixed {timed(32, sampler)}; searched {timed(fl.Int(16, 64), sampler)}")
