"""Small trials, weights and events, and what of a store can be compared with what of another."""

import math
import time

import numpy as np

from fairlane.store import MemoryStore, read, written
from fairlane.trials import (
    Checkpoint,
    EpochEnded,
    Site,
    State,
    Trial,
    TrialDone,
    TrialStarted,
    Variant,
    Weights,
)


class Place:
    """Opens stores, and closes them in the end."""

    def __init__(self, store, name):
        self.store, self.name, self.opened = store, name, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for store in self.opened:
            store.close()

    def open(
        self, planned, epochs=3, name="", spec=None, resume="auto", versions=None, site=Site, shared=False
    ):
        """A store with the trials adopted; and the trials."""
        if self.store is None:
            store = MemoryStore(site=site)
        else:
            store = written(self.store, self.name + name, spec or {}, versions or {}, resume, site, shared)
        self.opened.append(store)
        return store, store.adopt(planned, [epochs] * len(planned))

    def read(self, name=""):
        return read(self.store, self.name + name)


def plan(variants=2, seeds=2):
    """Trials of variants that differ in one number."""
    made = [Variant(i, {"lr": 0.1 / (i + 1), "units": i}) for i in range(variants)]
    pairs = [(variant, seed) for variant in made for seed in range(seeds)]
    return [Trial(i, variant, seed) for i, (variant, seed) in enumerate(pairs)]


def weights(value=1.0):
    state = State(
        [np.full((2, 3), value, "float32"), np.array(value)],
        [np.array([1, 2**32 - 1], "uint32")],
        [np.zeros((0, 2)), np.array(7, "int32")],
        [np.array([value], "float16")],
    )
    return Weights(state)


MEMORY = {"random": (3, (1, 2, 2**80), None), "callbacks": [{"best": math.inf, "wait": 2}, {}]}


def start(store, trial, epoch=0):
    return store.write(TrialStarted(trial, "lanes", "a reason", 3, "vmap×2", epoch))


def run(store, trial, first, last, **logs):
    """Epochs ``first`` to ``last``, without the latter."""
    for epoch in range(first, last):
        store.write(EpochEnded(trial, epoch, {"loss": 1.0 / (epoch + 1), **logs}))


def save(store, trial, epoch, memory=None):
    store.write(Checkpoint(trial, epoch, weights(epoch), MEMORY if memory is None else memory))


def finish(store, trial, value=1.0, memory=None):
    return store.write(TrialDone(trial, 2.5, weights(value), "scan×2", memory))


def one_done_and_one_begun(store, done, begun):
    start(store, done)
    run(store, done, 0, 2)
    finish(store, done)
    start(store, begun)
    run(store, begun, 0, 1)
    store.flush()


def until(condition):
    """Return when it holds; it is a failure if it does not within two minutes."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


def of_weights(given):
    """Weights in a form that ``==`` compares: values, dtypes and shapes."""
    if given is None:
        return None
    return [[(a.tolist(), str(a.dtype), a.shape) for a in group] for group in given.state]


def of_checkpoint(given):
    return None if given is None else (given.epoch, of_weights(given.weights), repr(dict(given.memory)))


def of_record(record):
    return {
        "number": record.trial.number,
        "hyperparameters": dict(record.trial.hyperparameters),
        "seed": record.trial.seed,
        "fold": record.trial.fold,
        "state": record.state,
        "epochs": repr(record.epochs),  # in which NaN is like NaN
        "rest": [
            getattr(record, n) for n in ("seconds", "engine", "worker", "reason", "fleet", "loop", "error")
        ],
        "traceback": record.traceback,
        "tests": repr(record.test_logs),
    }


def of_records(records):
    """All that a store says of its trials."""
    return [
        (of_record(r), of_weights(records.weights(r.trial)), of_checkpoint(records.checkpoint(r.trial)))
        for r in records
    ]
