"""Would workers gain from cores of their own? ``python one_core.py`` trains models on one core and on all.

Each run is a fresh process. Prints whether Keras's ``fit`` gives the same bits, and the processor time: where
a process on one core needs as much as on all, cores of their own do not help workers that run side by side.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

layers = keras.layers


def dense() -> keras.Model:
    """Two large layers."""
    hidden = [layers.Dense(1024, "relu"), layers.Dense(1024, "relu")]
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10)])


def small() -> keras.Model:
    """The digits MLP's size."""
    return keras.Sequential([keras.Input((784,)), layers.Dense(64, "relu"), layers.Dense(10)])


def convolutions() -> keras.Model:
    """A small CNN."""
    first = [layers.Reshape((28, 28, 1)), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()]
    second = [layers.Conv2D(32, 3, activation="relu"), layers.BatchNormalization()]
    return keras.Sequential(
        [keras.Input((784,)), *first, *second, layers.GlobalAveragePooling2D(), layers.Dense(10)]
    )


def recurrent() -> keras.Model:
    """An LSTM."""
    return keras.Sequential(
        [keras.Input((784,)), layers.Reshape((28, 28)), layers.LSTM(64), layers.Dense(10)]
    )


def attention() -> keras.Model:
    """One layer of attention."""
    inputs = keras.Input((784,))
    rows = layers.Reshape((28, 28))(inputs)
    seen = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(4, 32)(rows, rows))
    return keras.Model(inputs, layers.Dense(10)(seen))


MODELS: tuple[Callable[[], keras.Model], ...] = (small, dense, convolutions, recurrent, attention)


def trained(build: Callable[[], keras.Model]) -> dict[str, Any]:
    """What a model's training gives: its losses, a digest of its weights, seconds and processor time."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(512, 784)).astype("float32"), rng.normal(size=(512, 10)).astype("float32")
    keras.utils.set_random_seed(1)
    model = build()
    model.compile("adam", "mse")
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    losses = model.fit(x, y, batch_size=128, epochs=5, verbose=0).history["loss"]
    after = resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
    return {"losses": losses, "weights": digest, "busy": busy, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    if sys.argv[1:] == ["here"]:
        print(json.dumps({build.__name__: trained(build) for build in MODELS}))
        raise SystemExit
    told = {}
    cores = sorted(os.sched_getaffinity(0))
    for some in (cores[:1], cores):
        os.sched_setaffinity(0, some)  # the new process has it from its start
        done = subprocess.run([sys.executable, __file__, "here"], capture_output=True, text=True, check=True)
        told[len(some)] = json.loads(done.stdout.splitlines()[-1])
    print(f"load {os.getloadavg()[0]:.0f}")
    one, all_of_them = told.values()
    for name in one:
        a, b = one[name], all_of_them[name]
        apart = max(abs(u - v) / abs(v) for u, v in zip(a["losses"], b["losses"], strict=True))
        same = "the same bits" if a["weights"] == b["weights"] else f"losses differ by {apart:.0e}"
        print(
            f"{name}: {same}; processor time {a['busy']:.1f} s on one core, {b['busy']:.1f} s on "
            f"{len(cores)}; {a['seconds']:.1f} s, {b['seconds']:.1f} s"
        )
