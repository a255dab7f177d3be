"""Processes that share a study are killed at random: ``kills_shared.py STORE [KILLS] [SEED] [HOW]``.

Three processes of ``fairlane work`` train a study in the store; with ``search`` a search, with ``workers``
one process with two workers a study. From time to time one is killed (with ``workers``, the process or a
worker of it), and started again. Then the stored study is compared with what one process trains: the same
bits, no epoch twice, and in a search the same decisions.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import fairlane as fl

KILLED = -9
Process = subprocess.Popen[str]


def build(learning_rate: float) -> keras.Model:
    """A model that trains in no time."""
    hidden = [keras.layers.Dense(4, activation="tanh"), keras.layers.Dropout(0.4)]
    model = keras.Sequential([keras.Input((3,)), *hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


class Slow(keras.callbacks.Callback):
    """Takes its time, so that a process is killed while it trains."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Sleep."""
        time.sleep(0.03)


def study(store: str | None, how: str) -> fl.Study:
    """Twelve trials of 24 epochs, on the reference engine; or a search, and its best three again."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(60, 3)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    common: dict[str, Any] = {"batch_size": 8, "validation_split": 0.2, "verbose": 0, "engine": "reference"}
    common |= {"callbacks": lambda: [Slow()]}
    if store is not None:
        common |= {"store": store, "name": "kills", "checkpoint_every": 2}
    if how == "search":
        space = {"learning_rate": fl.Float(1e-3, 1e-1, log=True)}
        wanted: dict[str, Any] = {"trials": 27, "epochs": 27, "stop": "hyperband", "confirm": (3, 3)}
        return fl.search(build, space, x, y, **wanted, **common)
    rates = {"learning_rate": [0.1, 0.05, 0.02, 0.01]}
    workers = 2 if how == "workers" and store is not None else None
    return fl.compare(build, rates, x, y, seeds=3, epochs=24, workers=workers, **common)


def decisions(one: fl.Study) -> dict[Any, Any]:
    """What a search has decided."""
    return {made.about: dict(made.content) for made in one._store.decisions()}


def started(store: str, how: str) -> Process:
    """A process that trains."""
    shared = ["-m", "fairlane", "work", "--batch", "4", __file__, store, how]
    own = [__file__, store, how] if how == "workers" else shared
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, *own], env={**os.environ, "TRAINS": "1"}, text=True, **pipes)


def workers_of(process: Process) -> list[int]:
    """The processes that it has started."""
    found: list[int] = []
    with suppress(OSError):
        for listed in Path(f"/proc/{process.pid}/task").glob("*/children"):
            found += map(int, listed.read_text().split())
    return found


def chaos(store: str, kills: int, how: str) -> None:
    """Train the study to its end, with kills; with less than all of them where it ends before."""
    workers = how == "workers"
    going = [started(store, how) for _ in range(1 if workers else 3)]
    killed = {"processes": 0, "workers": 0}
    while going:
        time.sleep(random.uniform(5.0, 20.0))
        for process in [one for one in going if one.poll() is not None]:
            said = process.communicate()[0]
            going.remove(process)
            if process.returncode == KILLED:
                going.append(started(store, how))
            elif process.returncode != 0:
                raise SystemExit(f"a process ended with {process.returncode}: {said[-2000:]}")
        if going and sum(killed.values()) < kills:
            victim = random.choice(going)
            theirs = workers_of(victim) if workers else []
            if theirs and random.random() < 0.5:
                os.kill(random.choice(theirs), -KILLED)
                killed["workers"] += 1
            elif victim.poll() is None:
                victim.kill()
                killed["processes"] += 1
    print(f"killed: {killed}", flush=True)


def main(store: str, kills: int, seed: int, how: str) -> None:
    """Print what came of it."""
    random.seed(seed)
    chaos(store, kills, how)
    there, alone = fl.open(store, "kills"), study(None, how)
    assert there.trials["state"].tolist() == alone.trials["state"].tolist()
    assert decisions(there) == decisions(alone)
    histories = [one.history.sort_values(["trial", "epoch"]).to_numpy(float) for one in (there, alone)]
    np.testing.assert_array_equal(*histories)
    done = alone.trials.query("state == 'done'")["trial"]
    for number in done:
        pairs = zip(there.model(number).get_weights(), alone.model(number).get_weights(), strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)
    print(f"the same bits as one process trains: {len(histories[0])} epochs, weights of {len(done)} trials")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given = sys.argv[1:]
    chosen = given[-1] if given[-1] in ("workers", "search") else "work"
    if "TRAINS" in os.environ:
        study(given[0], chosen)
    else:
        numbers = [int(one) for one in given[1:] if one.isdigit()]
        main(given[0], *(numbers + [8, 0][len(numbers) :]), chosen)
