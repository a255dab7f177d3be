"""A program that takes part in training a small study with others.

Arguments: the store; the engine; and, optionally, the number of an epoch that it has trained after which it kills
itself, when it is one of three. What is told is stored before more is trained, so that this is the same moment each time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

import _killed
import _processes
import fairlane as fl
from fairlane.store import overview

RATES = [0.1, 0.05, 0.02, 0.01]
EPOCHS = 6


def compare(store=None, engine="reference", batch=2, **given):
    x, y = _killed.data()
    kept = {} if store is None else {"store": store, "name": "shared", "checkpoint_every": 1}
    if store is not None:
        given = {"workers": fl.Shared(batch=batch), **given}
    grid = {"learning_rate": RATES}
    common = {"epochs": EPOCHS, "batch_size": 8, "engine": engine, "seeds": 2, "verbose": 0}
    return fl.compare(given.pop("builder", _killed.build), grid, x, y, **{**common, **kept, **given})


def trained(store):
    """Whether a store has an epoch."""
    with contextlib.suppress(fl.StoreError):
        return any(study["epochs"] for study in overview(store))


def until(condition):
    """Return when it holds; it is a failure if it does not within some minutes."""
    end = time.monotonic() + _processes.LIMIT
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.05)


def until_there_are(store, count):
    """Wait until so many processes take part."""
    others = f" and {count - 1} other process{'es' * (count > 2)}"
    until(lambda: overview(store)[0]["writer"].endswith(others))


if __name__ == "__main__":
    store, engine, *die = sys.argv[1:]
    if die:
        _killed.after_epochs(int(die[0]))
        _killed.die = lambda: (until_there_are(store, 3), os.kill(os.getpid(), signal.SIGKILL))
    _killed.step_by_step()
    study = compare(store, engine)
    print(",".join(study.trials["state"]))
