"""Claim: lanes differ from Keras by rounding, which grows with the number of epochs.

The digits MLP, four trials as lanes of one program and on the reference engine; the largest relative
difference of the training losses, over trials, after some epochs.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np

AFTER = (1, 3, 5, 10, 30, 100)


def main() -> None:
    """Train on both engines, print the differences and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=max(AFTER))
    epochs = parser.parse_args().epochs
    os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
    import _tasks
    import fairlane as fl

    task = _tasks.digits(trials=4, epochs=epochs)
    losses = []
    for engine in ("lanes", "reference"):
        study = fl.compare(
            task.build, task.grid, task.x, task.y, seeds=task.seeds, engine=engine, verbose=0, **task.fit
        )
        losses.append(study.history.pivot(index="epoch", columns="trial", values="loss").to_numpy())
    gaps = np.abs(losses[0] - losses[1]) / losses[1]
    rows = [(n, gaps[n - 1].min(), gaps[n - 1].max()) for n in AFTER if n <= epochs]
    for n, least, most in rows:
        print(f"epoch {n:3}: {least:.1e} to {most:.1e}")
    with (Path(__file__).parent / "results" / "rounding.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "least", "most"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
