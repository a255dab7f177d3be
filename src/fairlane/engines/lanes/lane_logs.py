"""The logs of a lane: a chunk's arrays → what Keras hands to callbacks.

In: logs as a program gives them, each an array over lanes. Out: flat dicts with Python floats, in Keras's
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fairlane.engines.data.fit_data import Indices


def place_logs(stacked: Mapping[str, Any], i: int, names: Mapping[str, str] | None) -> dict[str, Any]:
    """One lane's logs out of a chunk's.

    Args:
        stacked: an array over lanes each.
        i: the lane's place.
        names: the program's name for a metric → the model's own; None where they are the same.
    """
    logs = keras_logs({k: jax.tree.map(lambda a: a[i], v) for k, v in stacked.items()})
    return logs if names is None else {names.get(k, k): v for k, v in logs.items()}


def epoch_logs_of(logs: Mapping[str, float], val_logs: Mapping[str, float] | None) -> dict[str, float]:
    """The logs of an epoch, in Keras's order; those of validation with ``val_`` before their names."""
    prefixed = {f"val_{k}": v for k, v in (val_logs or {}).items()}
    return dict(sorted({**logs, **prefixed}.items()))


def first_steps(runs: Sequence[Indices], steps: int | None) -> list[Indices]:
    """The first ``steps`` batches of an epoch's runs; all of them where it is None."""
    if steps is None:
        return list(runs)
    cut: list[Indices] = []
    for run in runs:
        if steps > 0:
            cut.append(run[:steps])
        steps -= len(run)
    return cut


def keras_logs(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs as Keras hands them to callbacks: flat, with Python floats."""
    flat: dict[str, Any] = {}
    for key, value in logs.items():
        if isinstance(value, dict):
            flat.update(keras_logs(value))
        else:
            flat[key] = float(value) if np.ndim(value) == 0 else value
    return flat
