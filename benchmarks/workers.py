"""What ``workers=`` costs and gains: run as ``python benchmarks/workers.py [digits] [long] [reference] [lost]
[simulated]``.

Prints the seconds of a study in this process, and by one and two workers; for the reference engine too; and
how long after a worker was killed its trials begin elsewhere. Times include the start of the workers.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import warnings
from collections import deque
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

import fairlane as fl
from fairlane.engines.contract import Job
from fairlane.engines.pool import messages
from fairlane.engines.pool.messages import Kind
from fairlane.engines.resources import Builder, Resources, TrainingData
from fairlane.running.driver import Driver
from fairlane.store import MemoryStore
from fairlane.trials import EpochEnded, Trial, TrialDone, TrialStarted, Variant

digits = load_digits()
X, Y = digits.data.astype("float32") / 16, digits.target


def build(learning_rate: float = 0.01, units: int = 64) -> keras.Model:
    """A small classifier."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((64,)), layers.Dense(units, "relu"), layers.Dropout(0.2)])
    model.add(layers.Dense(10, "softmax"))
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss, metrics=["accuracy"])
    return model


def timed(workers: Any, seeds: int = 16, epochs: int = 20, engine: str = "auto", **more: Any) -> float:
    """The seconds of a study of four learning rates."""
    began = time.perf_counter()
    study = fl.compare(
        *(build, {"learning_rate": [0.03, 0.01, 0.003, 0.001]}, X, Y),
        **{"seeds": seeds, "epochs": epochs, "batch_size": 32, "validation_split": 0.2, "verbose": 0},
        **{"engine": engine, "workers": workers, **more},
    )
    assert set(study.trials["state"]) == {"done"}
    return time.perf_counter() - began


def row(what: str, *choices: Any, repeats: int = 3, **arguments: Any) -> None:
    """Print the times of some choices of ``workers``, each the best of some repeats, in turns."""
    best = dict.fromkeys(choices, float("inf"))
    for _ in range(repeats):
        for workers in choices:
            best[workers] = min(best[workers], timed(workers, **arguments))
    own = best[choices[0]]
    shown = ", ".join(f"workers={w}: {s:.1f} s (×{own / s:.2f})" for w, s in best.items())
    print(f"{what}: {shown}", flush=True)


class Kills(keras.callbacks.Callback):
    """Ends its process once, and writes down when; writes down when the trial begins again."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.killed, self.again = Path(folder, "killed"), Path(folder, "again")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Write down when it goes on."""
        if self.killed.exists() and not self.again.exists():
            self.again.write_text(str(time.time()))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """End the process in the fourth epoch."""
        if epoch == 3 and not self.killed.exists():
            self.killed.write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)


def lost() -> None:
    """How long it takes until the trials of a killed worker train again."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timed(2, callbacks=lambda trial: [Kills(folder)] if trial.number == 1 else [], checkpoint_every=1)
        killed, again = (float(Path(folder, name).read_text()) for name in ("killed", "again"))
    print(f"from the end of a killed worker to its trials' next epoch: {again - killed:.1f} s", flush=True)


class Fake:
    """A worker that trains nothing: it says at once what a worker would say of the jobs that it is given."""

    threads, kinds, ready = None, frozenset(Kind), True

    def __init__(self, crew: FakeCrew, number: int, epochs: int) -> None:
        self.name, self._crew, self._epochs, self.heard = f"worker {number}", crew, epochs, float("inf")

    def send(self, message: Any) -> None:
        """Take a message, and answer it."""
        say = self._crew.said.append
        if isinstance(message, messages.Begin):
            say((self, messages.Wants(Kind.LANES, 8)))
        elif isinstance(message, messages.Finish):
            say((self, messages.Over()))
        elif isinstance(message, messages.Given) and message.jobs:
            for sent in message.jobs:
                events: list[Any] = [TrialStarted(None, "lanes", fleet=0)]
                events += [
                    EpochEnded(None, epoch, {"loss": 1.0, "val_loss": 1.0}) for epoch in range(self._epochs)
                ]
                events += [TrialDone(None, 1.0, None)]
                for event in events:
                    say((self, messages.Happened(sent.ticket, event)))
            say((self, messages.Wants(Kind.LANES, 8)))


class FakeCrew:
    """A thousand workers, and no process."""

    folder = None

    def __init__(self, workers: int, epochs: int) -> None:
        self.said: deque[Any] = deque()
        self._members = [Fake(self, number, epochs) for number in range(workers)]

    def members(self) -> list[Fake]:
        """All of them."""
        return self._members

    def replenish(self) -> list[Fake]:
        """None is lost."""
        return []

    def receive(self, seconds: float) -> Any:
        """What was said first."""
        return self.said.popleft() if self.said else None

    def dismiss(self, member: Any) -> None:
        """Nothing ends."""

    def pack(self, value: Any, copies: bool = False) -> Any:
        """Nobody opens it."""
        return None

    def forget(self, packed: Any) -> None:
        """Nothing was packed."""


def simulated(workers: int = 1000, trials: int = 100_000, epochs: int = 5) -> None:
    """What an event costs the driver, with so many workers that train nothing."""
    every = [Trial(i, Variant(i, {"learning_rate": 1.0 / (i + 1)}), seed=0) for i in range(trials)]
    shared = Resources(
        {"builder": Builder(lambda trial: None)}, {"data": TrainingData({"x": X[:2], "y": Y[:2]})}
    )
    jobs = [Job(trial, "builder", "data", arguments={"epochs": epochs}) for trial in every]
    driver = Driver(
        *(MemoryStore(every), "lanes", "record", None, lambda record: None), crew=FakeCrew(workers, epochs)
    )
    began = time.perf_counter()
    driver.run(jobs, shared, interruptible=False)
    seconds, events = time.perf_counter() - began, trials * (epochs + 2)
    print(
        f"simulated: {workers} workers, {trials} trials of {epochs} epochs: {1e6 * seconds / events:.0f} µs "
        f"per event, {events / seconds:.0f} events per second at most",
        flush=True,
    )


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["digits", "long", "reference", "lost", "simulated"]
    if "simulated" in chosen:
        for many in (1, 10, 100, 1000):
            simulated(many, 100 * max(many, 100))
    if set(chosen) != {"simulated"}:
        timed(None, seeds=1, epochs=1)
    if "digits" in chosen:
        row("digits, 64 trials × 20 epochs", None, 1, 2)
    if "long" in chosen:
        row("digits, 64 trials × 200 epochs", None, 1, 2, repeats=1, epochs=200)
    if "reference" in chosen:
        row("reference, 8 trials × 40 epochs", None, 1, 2, repeats=1, seeds=2, epochs=40, engine="reference")
    if "lost" in chosen:
        lost()
