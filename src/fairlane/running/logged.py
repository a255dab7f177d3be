"""What a model will log, known before it is trained.

In: a fresh model, a batch like those of training, and callbacks. Out: the names of the logs of an epoch, and
their directions; None where code of the user's own decides what is logged.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from fairlane.models import keras_private
from fairlane.models.session import left_as_found

_DECIDES = ("train_step", "test_step", "compute_metrics", "get_metrics_result", "metrics")
"""What of a model decides which names its steps return."""

_ADDS = {
    keras.callbacks.LearningRateScheduler: "learning_rate",
    keras.callbacks.ReduceLROnPlateau: "learning_rate",
}
"""Keras's callbacks that write into the logs, and the name under which they do."""


_CALLS = keras.callbacks.LambdaCallback
"""It calls functions of the user's own."""


def logs_of(
    model: keras.Model, batch: Any, validates: bool, callbacks: Sequence[Any] = ()
) -> dict[str, list[str]] | None:
    """The names of the logs of an epoch, in their order; None where they are not known.

    Args:
        model: a fresh model, which is built as ``fit`` builds it.
        batch: a batch like those of training, or tensors like it; None where it is not known.
        validates: whether epochs end with validation.
        callbacks: those of a trial.

    Returns:
        The names; and for each which values are better, ``["min"]`` or ``["max"]``, or none where Keras does
        not know it.
    """
    own = any(getattr(type(model), name) is not getattr(keras.Model, name) for name in _DECIDES)
    keras_own = all(type(one).__module__.startswith("keras.src.") for one in callbacks)
    if batch is None or own or not keras_own or any(isinstance(one, _CALLS) for one in callbacks):
        return None
    try:
        with left_as_found(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keras_private.symbolic_build_from(model, batch)
            trained = keras_private.names_of_metrics(model)
    except Exception:
        return None  # the trial itself fails of it, and says so
    known = keras_private.metric_directions(model)
    added = [name for kind, name in _ADDS.items() if any(isinstance(one, kind) for one in callbacks)]
    tested = [f"val_{name}" for name in trained] if validates else []
    return {name: _listed(known.get(name.removeprefix("val_"))) for name in [*trained, *tested, *added]}


def _listed(direction: str | None) -> list[str]:
    return [direction] if direction else []
