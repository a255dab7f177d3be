"""A program that takes part in a small search with others.

Arguments: the store; and, optionally, the number of an epoch that it has trained after which it kills itself, when it
is one of two. What is told is stored before more is trained, so that this is the same moment each time.
"""

from __future__ import annotations

import os
import signal
import sys

os.environ["KERAS_BACKEND"] = "jax"

import _killed
import _sharing
import fairlane as fl

NAME = "search"


def search(store=None, stop="hyperband", batch=None, **given):
    x, y = _killed.data()
    kept = {} if store is None else {"store": store, "name": NAME, "checkpoint_every": 1}
    if store is not None:
        given = {"workers": fl.Shared(batch=batch), **given}
    return fl.search(
        _killed.build,
        {"learning_rate": fl.Float(0.001, 0.1, log=True)},
        x,
        y,
        objective="loss",
        batch_size=16,
        stop=stop,
        **{"trials": 6, "epochs": 6, "verbose": 0, "engine": "reference", **kept, **given},
    )


if __name__ == "__main__":
    store, *die = sys.argv[1:]
    if die:
        _killed.after_epochs(int(die[0]))
        _killed.die = lambda: (_sharing.until_there_are(store, 2), os.kill(os.getpid(), signal.SIGKILL))
    _killed.step_by_step()
    print(len(search(store, confirm=(2, 2)).trials))
