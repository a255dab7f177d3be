"""A small model and its data, what Keras alone makes of them, and the comparison with a study's trials."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from _alone import variables

_rng = np.random.default_rng(20)
X = _rng.normal(size=(42, 3)).astype("float32")
Y = (X @ np.array([[1.0], [2.0], [-1.0]]) + _rng.normal(size=(42, 1))).astype("float32")

FIT: dict[str, Any] = {"epochs": 4, "batch_size": 8, "validation_split": 0.23}
"""Four steps of 8 samples per epoch; and two of validation, the last of 2."""
RAGGED: dict[str, Any] = {"validation_split": 0.25}
"""In addition to `FIT`: the last step is of 7 samples, for which there is one more program to compile."""


def build(lr: float = 0.05, units: int = 4, rate: float = 0.25) -> keras.Model:
    """A small model with all that a trial draws: weights, dropout masks, a batch order."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(units, activation="tanh"),
            layers.Dropout(rate),
            layers.Dense(1),
        ]
    )
    optimizer = keras.optimizers.SGD(lr, momentum=0.9)
    model.compile(optimizer, loss="mse", metrics=["mae"])
    return model


@dataclass
class Alone:
    """A model that Keras alone has trained."""

    model: keras.Model
    history: dict[str, list[float]]
    epochs: list[int]
    callbacks: list[Any]


def alone(
    hyperparameters: dict[str, Any] | None = None,
    seed: int = 0,
    make_callbacks: Callable[[], list[Any]] = list,
    builder: Callable[..., keras.Model] = build,
    x: Any = X,
    y: Any = Y,
    **arguments: Any,
) -> Alone:
    """The three lines of the contract, with callbacks, and the name counters of a fresh process."""
    callbacks = make_callbacks()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = builder(**(hyperparameters or {}))
    fit = {**FIT, **arguments}
    history = model.fit(x, y, callbacks=callbacks, verbose=0, **fit)
    return Alone(model, dict(history.history), list(history.epoch), callbacks)


def check_logs(study: Any, trial: int, expected: Alone, rtol: float = 1e-5) -> None:
    """The trial's rows are those of Keras's history, no more and no fewer."""
    rows = study.history.query("trial == @trial").dropna(axis="columns", how="all")
    assert rows["epoch"].tolist() == expected.epochs
    known = {"trial", "seed", "epoch", *study._record(trial).trial.hyperparameters}
    missing = {k for k, v in expected.history.items() if np.isnan(v).all()}
    assert set(rows.columns) - known == set(expected.history) - missing
    for log, values in expected.history.items():
        if len(values) == len(rows) and log not in missing:
            np.testing.assert_allclose(rows[log], values, rtol=rtol, atol=1e-6, err_msg=log)


def check_weights(study: Any, trial: int, expected: Alone, rtol: float = 1e-4) -> None:
    """The trial's model is the one that Keras alone trained: weights, optimizer, learning rate."""
    ours, theirs = variables(study.model(trial)), variables(expected.model)
    assert [path for path, _ in ours] == [path for path, _ in theirs]
    for (path, a), (_, b) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5, err_msg=path)


def check(study: Any, expected: list[Alone], engine: str = "lanes", rtol: float = 1e-5) -> None:
    """Every trial, in the order given, was trained as Keras alone trains it, on the engine meant."""
    assert study.trials["engine"].tolist() == [engine] * len(expected)
    assert study.trials["error"].tolist() == [""] * len(expected)
    for trial, one in enumerate(expected):
        check_logs(study, trial, one, rtol)
        check_weights(study, trial, one)
