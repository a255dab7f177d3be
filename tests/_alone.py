"""What Keras alone makes of a trial, to hold Fairlane to: three lines, and what is read off afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Alone:
    """A training run of Keras alone.

    Attributes:
        logs: name → a value per epoch.
        variables: path → value, of the trained model and its optimizer.
    """

    logs: Mapping[str, list[float]]
    variables: list[tuple[str, Any]]


def keras_alone(build, hyperparameters, seed, x, y=None, **fit_arguments) -> Alone:
    """The contract, literally, with the name counters that a fresh process has."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = build(**hyperparameters)
    history = model.fit(x, y, **fit_arguments, verbose=0)
    return Alone(history.history, variables(model))


def variables(model: keras.Model) -> list[tuple[str, Any]]:
    """Every variable of a model and its optimizer, in Keras's order."""
    own = [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]
    return [(v.path, keras.ops.convert_to_numpy(v.value)) for v in own]


def history_of(study, trial: int) -> dict[str, list[float]]:
    """A trial's logs out of a study, as ``keras.callbacks.History`` has them."""
    frame = study.history
    frame = frame[frame["trial"] == trial]
    first = frame.columns.get_loc("epoch") + 1
    logs = {name: frame[name].tolist() for name in frame.columns[first:]}
    logged = {name: [v for v in values if not np.all(np.isnan(v))] for name, values in logs.items()}
    return {name: values for name, values in logged.items() if values}


def assert_logs_agree(lanes, alone, rtol=1e-5, epochs=5, what="") -> None:
    """All logs of the first epochs agree; those that do not are named, with both values."""
    assert set(lanes) == set(alone), what
    wrong = {
        name: (lanes[name][:epochs], alone[name][:epochs])
        for name in alone
        if len(lanes[name]) != len(alone[name])
        or not np.allclose(lanes[name][:epochs], alone[name][:epochs], rtol=rtol, atol=1e-7)
    }
    assert not wrong, f"{what}: {wrong}"


def assert_variables_agree(lanes, alone, rtol=1e-4, atol=1e-5, what="") -> None:
    """All variables agree; seed generators' states and counters to the last bit."""
    assert len(lanes) == len(alone), what
    for (path, a), (_, b) in zip(lanes, alone, strict=True):
        if np.issubdtype(b.dtype, np.integer):
            np.testing.assert_array_equal(a, b, err_msg=f"{what} {path}")
        else:
            np.testing.assert_allclose(
                np.asarray(a, "float32"), np.asarray(b, "float32"), rtol, atol, err_msg=f"{what} {path}"
            )
