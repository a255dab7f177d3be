"""What the peers train: a builder, a grid, seeds, data and ``fit``'s arguments.

In: plain parameters that travel as JSON from a script to its workers. Out: `Task` values.
Imported by workers only, as it imports the builders and so Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

import _data
import _models

LEARNING_RATES = (1e-3, 3e-3, 3e-4, 5e-3, 1e-4, 2e-3, 5e-4, 2e-4)


@dataclass(frozen=True)
class Task:
    """The same trials for every peer: the grid of hyperparameters times the seeds."""

    build: Callable[..., Any]
    grid: dict[str, list[float]]
    seeds: list[int]
    x: np.ndarray
    y: np.ndarray
    fit: dict[str, Any]

    def trials(self) -> Iterator[tuple[dict[str, float], int]]:
        """Hyperparameters and seed of each trial, the seeds running fastest."""
        for values in product(*self.grid.values()):
            for seed in self.seeds:
                yield dict(zip(self.grid, values, strict=True)), seed


def split(trials: int) -> tuple[list[float], list[int]]:
    """Learning rates × seeds: the most rates, up to eight, that leave two seeds or more.

    The rates and seeds of 8, 64 and 512 trials contain those of the smaller numbers.

    >>> rates, seeds = split(64)
    >>> len(rates), len(seeds)
    (8, 8)
    """
    most = min(len(LEARNING_RATES), trials // 2 if trials > 3 else trials)
    rates = next(k for k in range(most, 0, -1) if trials % k == 0)
    return list(LEARNING_RATES[:rates]), list(range(trials // rates))


def digits(trials: int, epochs: int, validation: bool = True) -> Task:
    """The digits MLP; batch 32."""
    x, y = _data.digits()
    return _task(_models.digits_mlp, trials, x, y, _fit(epochs, 32, validation))


def digits_own_loss(trials: int, epochs: int, validation: bool = True) -> Task:
    """The digits MLP with a loss function of one's own."""
    x, y = _data.digits()
    return _task(_models.digits_own_loss, trials, x, y, _fit(epochs, 32, validation))


def widths(trials: int, epochs: int) -> Task:
    """The digits MLP of as many widths, from 16 on in steps of 2; one seed."""
    x, y = _data.digits()
    grid: dict[str, list[float]] = {"units": [16 + 2 * i for i in range(trials)]}
    return Task(_models.digits_units, grid, [0], x, y, _fit(epochs, 32, True))


def structures(trials: int, epochs: int) -> Task:
    """A deeper MLP on the digits: 2, 3 and 4 hidden layers of as many widths as it takes; one seed."""
    x, y = _data.digits()
    units: list[float] = [24 + 8 * i for i in range(trials // 3)]
    grid: dict[str, list[float]] = {"depth": [2, 3, 4], "units": units}
    return Task(_models.digits_depths, grid, [0], x, y, _fit(epochs, 32, True))


def filters(trials: int, epochs: int) -> Task:
    """The CNN on 28×28 images with as many numbers of filters, from 4 on in steps of 1; one seed."""
    x, y = _data.images(None, 6_400)
    grid: dict[str, list[float]] = {"filters": [4 + i for i in range(trials)]}
    return Task(_models.cnn_filters, grid, [0], x[..., None], y, _fit(epochs, 64, False))


def mnist(epochs: int, data: str | None = None, validation: bool = True) -> Task:
    """The MNIST MLP at RMSprop 0.001 against 0.0001; batch 128, one seed."""
    x, y = _data.images(data)
    fit = _fit(epochs, 128, validation)
    grid = {"learning_rate": [1e-3, 1e-4]}
    return Task(_models.mnist_mlp, grid, [0], x.reshape(len(x), 784), y, fit)


def architecture(name: str, trials: int, epochs: int, data: str | None = None, samples: int = 6_400) -> Task:
    """``"cnn"``, ``"lstm"`` or ``"attention"`` on 28×28 images; batch 64, no validation."""
    x, y = _data.images(data, samples)
    x = x[..., None] if name == "cnn" else x
    return _task(getattr(_models, name), trials, x, y, _fit(epochs, 64, False))


def _task(build: Callable[..., Any], trials: int, x: np.ndarray, y: np.ndarray, fit: dict[str, Any]) -> Task:
    rates, seeds = split(trials)
    return Task(build, {"learning_rate": rates}, seeds, x, y, fit)


def _fit(epochs: int, batch_size: int, validation: bool) -> dict[str, Any]:
    fit: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size}
    return fit | {"validation_split": 0.2} if validation else fit
