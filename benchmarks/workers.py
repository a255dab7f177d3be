"""What ``workers=`` costs and gains: ``python workers.py [PART...]``; the parts are in the last lines.

Prints the seconds of a study in this process, and by one and two workers; for the reference engine too; by
Ray's workers against local ones; and how long after a worker was killed its trials begin elsewhere. Times
include the start of the workers. What many workers cost their driver is in ``many_workers.py``.
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

import fairlane as fl

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


@contextmanager
def a_cluster(cores: int) -> Iterator[float]:
    """Ray on this machine, joined; the seconds of its start."""
    import ray

    began = time.perf_counter()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    niceness = "RAY_worker_niceness"  # as local workers have it, where the machine has more to do
    os.environ[niceness] = "0"
    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield time.perf_counter() - began
    finally:
        ray.shutdown()


def on_ray(epochs: int) -> None:
    """Ray's workers against local ones, the cluster there already; and a call that starts it."""
    cores = len(os.sched_getaffinity(0))
    with a_cluster(cores) as seconds:
        print(f"Ray itself starts in {seconds:.1f} s", flush=True)
        for count in (1, 2):
            cpus = max(1, cores // count)  # as many chunks of lanes at once as a local worker runs
            choices = count, fl.Ray(workers=count, cpus=cpus, gpus=0)
            row(f"digits, 64 trials × {epochs} epochs", *choices, repeats=2, epochs=epochs)
    seconds = timed(fl.Ray(workers=1, cpus=cores, gpus=0), epochs=epochs)
    print(f"Ray(workers=1), and Ray started and ended with the call: {seconds:.1f} s", flush=True)


def in_turns(rounds: int, *choices: Any, **arguments: Any) -> None:
    """Print the times of some choices of ``workers``, in turns, with the processor time of all processes."""
    spent: dict[Any, list[float]] = {workers: [] for workers in choices}
    for number in range(rounds):
        for workers in choices if number % 2 == 0 else choices[::-1]:
            before = _busy()
            spent[workers].append(timed(workers, **arguments))
            seconds, busy = spent[workers][-1], _busy() - before
            print(f"round {number}, workers={workers}: {seconds:.1f} s, {busy:.1f} s busy", flush=True)
    for workers, seconds_of in spent.items():
        print(f"workers={workers}: median {statistics.median(seconds_of):.1f} s", flush=True)


def _busy() -> float:
    """Seconds of processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def spin(count: int = 10_000_000) -> float:
    """Some work that no library does; its seconds."""
    began = time.perf_counter()
    total = 0
    for number in range(count):
        total += number
    return time.perf_counter() - began


IMPORTS = {
    "JAX": "import jax",
    "Keras": "import keras",
    "Keras, as a worker imports it": "from fairlane.kit.lean_keras import import_keras; import_keras()",
    "all that a worker imports": "from fairlane.kit.lean_keras import import_keras; import_keras(); "
    "import fairlane.engines.pool.process, fairlane.engines.lanes",
}
_TOLD = """
import resource, time
began = time.perf_counter()
{}
used = resource.getrusage(resource.RUSAGE_SELF)
size = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(used.ru_utime + used.ru_stime, time.perf_counter() - began, int(size) / 1024)
"""


def start(repeats: int = 3) -> None:
    """What a worker's imports cost: the least of some fresh processes."""
    for what, line in IMPORTS.items():
        program = [sys.executable, "-c", _TOLD.format(line)]
        told = [
            subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()
            for _ in range(repeats)
        ]
        busy, seconds, size = (min(map(float, values)) for values in zip(*told, strict=True))
        print(f"{what}: {busy:.2f} s of processor time, {seconds:.2f} s, {size:.0f} MiB", flush=True)


def machine() -> None:
    """How much more two processes do here than one: what no number of workers can exceed."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        one, two = float("inf"), float("inf")
        for _ in range(3):
            one = min(one, pool.submit(spin).result())
            two = min(two, max(pool.map(spin, [10_000_000] * 2)))
    print(f"machine: two processes of plain Python do ×{2 * one / two:.2f} the work of one", flush=True)


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["machine", "start", "digits", "long", "reference", "ray", "lost"]
    print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    if "machine" in chosen:
        machine()
    if "start" in chosen:
        start()
    timed(None, seeds=1, epochs=1)
    if "digits" in chosen:
        row("digits, 64 trials × 20 epochs", None, 1, 2)
    if "long" in chosen:
        row("digits, 64 trials × 400 epochs", None, 1, 2, repeats=1, epochs=400)
    if "turns" in chosen:
        in_turns(7, None, 1, epochs=400)
    if "reference" in chosen:
        row("reference, 8 trials × 40 epochs", None, 1, 2, repeats=1, seeds=2, epochs=40, engine="reference")
        row("reference, 8 trials × 160 epochs", None, 2, repeats=1, seeds=2, epochs=160, engine="reference")
    if "ray" in chosen:
        on_ray(epochs=400)
    if "lost" in chosen:
        lost()
