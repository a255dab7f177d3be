"""Test data → each trained model's result on them, once.

In: what ``compare`` is given as ``test_data``, and a finished trial's model. Out: the event that tells the
result. No trial sees the test data before; what is chosen by validation is measured on them here.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import GeneratorType
from typing import Any

import keras

from fairlane import _keras
from fairlane.engine import one_line
from fairlane.errors import StudyError
from fairlane.session import Session
from fairlane.tracing import forget_foreign_traces
from fairlane.trial import Tested, Trial


def check_test_data(test_data: Any, trials: int) -> None:
    """Refuse test data that can't be evaluated on; before any training.

    Args:
        test_data: as ``compare`` takes it; None is none.
        trials: how many are to be evaluated.

    Raises:
        StudyError: a tuple that is not ``(x, y)`` or ``(x, y, sample_weight)``, or a generator for many.
        ValueError: what Keras raises for wrong arrays.
    """
    if test_data is None:
        return
    given = _arguments(test_data)
    if isinstance(given["x"], GeneratorType) and trials > 1:
        raise StudyError(
            f"test_data is a generator, which can be read once, and there are {trials} trials; give "
            "arrays, or a keras.utils.PyDataset"
        )
    if _keras.is_array_data(*given.values()):
        _keras.epoch_iterator(**given)


def evaluate(
    trial: Trial, model: Callable[[], keras.Model], test_data: Any, batch_size: int | None
) -> Tested:
    """A trial's result on the test data, as ``Model.evaluate`` gives it, in the trial's session.

    Args:
        trial: whose.
        model: gives its trained model.
        test_data: as ``compare`` takes it.
        batch_size: as ``Model.evaluate`` takes it.

    Returns:
        The event; with an error where evaluating raised one.
    """
    given = _arguments(test_data)
    try:
        trained = model()
        size = {} if batch_size is None or given.get("y") is None else {"batch_size": batch_size}
        forget_foreign_traces()
        with Session(trial.seed):
            logs = trained.evaluate(**given, **size, verbose=0, return_dict=True)
        return Tested(trial, {f"test_{name}": _number(value) for name, value in logs.items()})
    except Exception as error:
        return Tested(trial, {}, one_line(error))
    finally:
        trained = None
        gc.collect()  # models are full of cycles; what hundreds of them leave must not pile up


def _arguments(test_data: Any) -> dict[str, Any]:
    """``Model.evaluate``'s data arguments."""
    if not isinstance(test_data, tuple | list):
        return {"x": test_data}
    if not 2 <= len(test_data) <= 3:
        raise StudyError(
            f"test_data is (x, y), (x, y, sample_weight), or a dataset; not {len(test_data)} things in a "
            f"{type(test_data).__name__}"
        )
    return dict(zip(("x", "y", "sample_weight"), test_data, strict=False))


def _number(value: Any) -> Any:
    """A Python float, or an array where the metric is one."""
    return float(value) if not getattr(value, "shape", ()) else value
