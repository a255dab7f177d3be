"""A program that trains a small stored study, and kills itself at a given moment, as the tests ask.

Arguments: the store's path; and where to die: ``NAME:N`` with one of the places in `PLACES`, the Nth time that it
is come to. What is told is stored before more is trained, so that this is the same moment each time.
"""

from __future__ import annotations

import os
import signal
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

import fairlane as fl
from fairlane.running import driver
from fairlane.store import artifacts, batch, steps, writing
from fairlane.trials import EpochEnded

RATES = [0.05, 0.01]
EPOCHS = 8


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def data():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(30, 3)).astype("float32")
    return x, (x.sum(axis=1, keepdims=True) + 0.3 * rng.normal(size=(30, 1))).astype("float32")


def build(learning_rate):
    layers = [keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dropout(0.4)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    return model


def compare(store=None):
    x, y = data()
    kept = {} if store is None else {"store": store, "name": "killed", "checkpoint_every": 1}
    grid = {"learning_rate": RATES}
    return fl.compare(build, grid, x, y, epochs=EPOCHS, batch_size=8, engine="lanes", verbose=0, **kept)


def counted(owner, name, number, before):
    """Die in the Nth call: before it, or when it is done but nobody has heard of it."""
    real, calls = getattr(owner, name), []

    def call(*args):
        calls.append(has_something(args[-1]))
        if sum(calls) == number and before:
            die()
        result = real(*args)
        if sum(calls) == number:
            die()
        return result

    setattr(owner, name, call)


def has_something(given):
    """Whether it is a file's content, or a batch with an epoch."""
    return isinstance(given, bytes) or any(isinstance(step, steps.AddEpochs) for step in given)


def half_written(number):
    """Die when half of the Nth file is written."""
    real, calls = artifacts.Artifacts.write, []

    def write(self, artifact, content):
        calls.append(1)
        if len(calls) == number:
            with open(f"{self._path(artifact)}.part", "wb") as file:
                file.write(content[: len(content) // 2])
            die()
        return real(self, artifact, content)

    artifacts.Artifacts.write = write


def after_epochs(number):
    real, told = driver.Driver._take, []

    def take(self, event):
        real(self, event)
        told.append(isinstance(event, EpochEnded))
        if sum(told) == number:
            die()

    driver.Driver._take = take


PLACES = {
    "epoch": after_epochs,
    "file-half": half_written,
    "file-before": lambda n: counted(artifacts.Artifacts, "write", n, before=True),
    "file-after": lambda n: counted(artifacts.Artifacts, "write", n, before=False),
    "rows-before": lambda n: counted(writing.SqlStore, "_commit", n, before=True),
    "rows-within": lambda n: counted(batch.Batch, "run", n, before=False),
    "rows-after": lambda n: counted(writing.SqlStore, "_commit", n, before=False),
}


def step_by_step():
    """Train on when the store has what was told."""
    real = driver.Driver._take

    def take(self, event):
        real(self, event)
        self._store.flush()

    driver.Driver._take = take


if __name__ == "__main__":
    path, where = sys.argv[1:]
    place, _, number = where.partition(":")
    PLACES[place](int(number))
    step_by_step()
    compare(path)
