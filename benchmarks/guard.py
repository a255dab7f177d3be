"""Claim: the guard costs less than 1 % of a ``fit`` of the digits demo.

What the guard adds to a ``compile`` and to a ``fit`` is measured around functions that do nothing in the
places of Keras's, since it is far below the noise of real ones; and set against one real ``fit``.
"""

from __future__ import annotations

import argparse
import csv
import functools
import os
import statistics
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def seconds(run: Any, repeat: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure, print and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
    import keras

    import _tasks
    import fairlane as fl

    task = _tasks.digits(trials=1, epochs=20)
    hyperparameters, _ = next(task.trials())
    model = task.build(**hyperparameters)
    start = time.perf_counter()
    model.fit(task.x, task.y, **task.fit, verbose=0)
    whole = time.perf_counter() - start

    model = task.build(**hyperparameters)
    rows = {}
    for name in ("compile", "fit"):
        home = next(cls for cls in keras.Model.__mro__ if name in vars(cls))
        own = vars(home)[name]
        setattr(home, name, lambda model, x=None, y=None: None)
        try:
            given = (task.x, task.y) if name == "fit" else ()  # the guard reads the samples
            off = seconds(functools.partial(getattr(model, name), *given), calls)
            with fl.guard():
                on = seconds(functools.partial(getattr(model, name), *given), calls)
        finally:
            setattr(home, name, own)
        rows[name] = on - off
    share = sum(rows.values()) / whole
    print(f"one fit of the digits model: {whole:.2f} s")
    for name, more in rows.items():
        print(f"the guard adds to {name:8} {more * 1e6:8.1f} µs")
    print(f"together {share:.4%} of the fit")
    with (RESULTS / "guard.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["what", "seconds"])
        writer.writerows((f"added to {name}", f"{more:.3g}") for name, more in rows.items())
        writer.writerow(["one fit of the digits model", f"{whole:.3f}"])


if __name__ == "__main__":
    main()
