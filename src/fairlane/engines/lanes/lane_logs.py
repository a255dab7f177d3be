"""The logs of a lane: a chunk's arrays → what Keras hands to callbacks.

In: logs as a program gives them, each an array over lanes. Out: flat dicts with Python floats, in Keras's
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def rows(stacked: Mapping[str, Any] | None, width: int) -> list[dict[str, Any]] | None:
    """The logs of each lane out of a chunk's, under the program's names; None where there are none.

    Args:
        stacked: an array over lanes each.
        width: how many lanes it has.
    """
    if stacked is None:
        return None
    columns = {name: _column(array) for name, array in _flat(stacked).items()}
    return [{name: column[i] for name, column in columns.items()} for i in range(width)]


def _flat(logs: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in logs.items():
        flat.update(_flat(value) if isinstance(value, dict) else {name: value})
    return flat


def _column(array: Any) -> Sequence[Any]:
    """A value per lane: Python floats, as Keras gives them to callbacks, or arrays."""
    values = np.asarray(array)
    numbers: list[Any] = values.astype("float64").tolist() if values.ndim == 1 else list(values)
    return numbers


def epoch_logs_of(logs: Mapping[str, float], val_logs: Mapping[str, float] | None) -> dict[str, float]:
    """The logs of an epoch, in Keras's order; those of validation with ``val_`` before their names."""
    prefixed = {f"val_{k}": v for k, v in (val_logs or {}).items()}
    return dict(sorted({**logs, **prefixed}.items()))


def keras_logs(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs as Keras hands them to callbacks: flat, with Python floats."""
    return {name: float(value) if np.ndim(value) == 0 else value for name, value in _flat(logs).items()}
