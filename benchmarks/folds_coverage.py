"""Claim: over folds, the corrected interval holds what it promises, and a plain one does not.

Draws a data set two thousand times, cross-validates a model on it, and counts how often the 95 % interval
over its folds holds the true value: the expected loss of a model that is trained on as many samples as a fold
has, measured on data of the same kind without end. The models: least squares, which hardly change with the
samples that they are trained on, and classification trees, which change much. The folds: 5, 10, and 5 cut
three times. Then it cross-validates two models that are equally good (each sees another half of the
features), and counts how often their p-value is 0.05 or less.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from fairlane.results.folds import over_folds, p_value_over_folds

REPETITIONS = 2000
SAMPLES, FEATURES = 100, 6
RESULTS = Path(__file__).parent / "results" / "folds_coverage.csv"
Floats = NDArray[np.float64]


def drawn(kind: str, samples: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A data set, in which all features count alike."""
    x = rng.normal(size=(samples, FEATURES))
    y = x.sum(axis=1) / np.sqrt(FEATURES) + 0.7 * rng.normal(size=samples)
    return x, (y > 0).astype(float) if kind == "tree" else y


def losses(kind: str, x: Floats, y: Floats, new_x: Floats, new_y: Floats) -> Floats:
    """The squared errors of a model that is trained on some samples, on others; of classes: 0 and 1."""
    if kind == "tree":
        predicted = DecisionTreeClassifier(max_depth=4, random_state=0).fit(x, y).predict(new_x)
    else:
        predicted = new_x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return (new_y - predicted) ** 2


def truth(kind: str, folds: int, rng: np.random.Generator) -> float:
    """The expected loss of a model that is trained on as many samples as a fold has."""
    found = []
    for _ in range(4000):
        training, test = drawn(kind, SAMPLES - SAMPLES // folds, rng), drawn(kind, 1000, rng)
        found.append(losses(kind, *training, *test).mean())
    return float(np.mean(found))


def cut(folds: int, times: int, rng: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """The samples of each fold, of training and validation."""
    parts = [part for _ in range(times) for part in np.array_split(rng.permutation(SAMPLES), folds)]
    return [(np.setdiff1d(np.arange(SAMPLES), part), part) for part in parts]


def shares(repetitions: int) -> Iterator[tuple[object, ...]]:
    """How often each kind of interval holds the truth, and how often each p-value is a false alarm."""
    rng, half = np.random.default_rng(0), FEATURES // 2
    kinds = {"corrected": 1.0, "plain": 0.0}
    for model, (folds, times) in product(("least squares", "tree"), ((5, 1), (10, 1), (5, 3))):
        value = truth(model, folds, rng)
        held, alarms = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
        for _ in range(repetitions):
            x, y = drawn(model, SAMPLES, rng)
            splits = cut(folds, times, rng)

            def means(some: Floats, y: Floats = y, splits: Any = splits, model: str = model) -> Floats:
                return np.array([losses(model, some[a], y[a], some[b], y[b]).mean() for a, b in splits])

            values, differences = means(x), means(x[:, :half]) - means(x[:, half:])
            for kind, part in kinds.items():
                share = part / (folds - 1)
                _, low, high = over_folds(values, range(len(values)), share)
                held[kind] += low <= value <= high
                alarms[kind] += p_value_over_folds(differences, range(len(values)), share) <= 0.05
        for kind in kinds:
            row = (model, folds, times, kind, held[kind] / repetitions, alarms[kind] / repetitions)
            print(
                f"{model:13}  {folds:2} folds × {times}  {kind:9}  holds {row[4]:.1%}  alarms {row[5]:.1%}",
                flush=True,
            )
            yield row


def main() -> None:
    """Count, and write what was counted."""
    quick = "--quick" in sys.argv
    rows = list(shares(50 if quick else REPETITIONS))
    if not quick:
        with RESULTS.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("model", "folds", "times", "interval", "coverage", "alarms"), *rows])


if __name__ == "__main__":
    main()
