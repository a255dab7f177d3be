"""Test data → each trained model's result on them, once.

In: what ``compare`` is given as ``test_data``, and a finished trial's model. Out: the event with the
result. No trial sees the test data before; what is chosen by validation is measured on them here.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import GeneratorType
from typing import Any

import keras

from fairlane.engines.program.tracing import forget_foreign_traces
from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.kit.error_text import first_line, one_line
from fairlane.models import keras_private
from fairlane.models.session import Session, left_as_found
from fairlane.results.study import Study
from fairlane.results.study.members import evaluated_together
from fairlane.trials import Tested, Trial


def check_test_data(test_data: Any, trials: int) -> None:
    """Refuse test data that can't be evaluated on; before any training.

    Args:
        test_data: as ``compare`` takes it; None where there are none.
        trials: how many are to be evaluated.

    Raises:
        StudyError: no data that Keras takes, a tuple of too many things, or a generator for many trials.
    """
    if test_data is None:
        return
    given = arguments_of_evaluate("test_data", test_data)
    if isinstance(given["x"], GeneratorType) and trials > 1:
        raise StudyError(
            f"test_data is a generator, which can be read once, and there are {trials} trials; give "
            "arrays, or a keras.utils.PyDataset"
        )
    if not isinstance(given["x"], GeneratorType):
        try:
            keras_private.batch_iterator(**given)
        except (ValueError, TypeError, IndexError) as error:
            raise unfit_data({"test_data": test_data}, error, "test_data") from error


def check_on_models(models: Sequence[keras.Model], data: Mapping[str, Any], trial: Trial) -> None:
    """Refuse data that a model can't be evaluated on, as far as their shapes and types show; before any
    training.

    It traces the model's evaluation of one batch and computes nothing. Where the model can't be trained on
    its training data either, that is left for the trial to meet.

    Args:
        models: a fresh one of the trial for each of the data, and one more; or none.
        data: ``"x"``, ``"y"`` and ``"sample_weight"``; and ``"validation_data"`` and ``"test_data"``, where
            there are.
        trial: whose models.

    Raises:
        StudyError: which data, and why not.
    """
    if not models:
        return
    *fresh, spare = models
    names = [name for name in ("validation_data", "test_data") if data.get(name) is not None]
    for model, name in zip(fresh, names, strict=False):
        given = arguments_of_evaluate(name, data[name])
        if not keras_private.is_array_data(*given.values()):
            continue  # reading a batch has effects that are none of this check's business
        error = _unfit(model, given)
        if error is not None:
            training = {key: data[key] for key in ("x", "y", "sample_weight") if data.get(key) is not None}
            if not keras_private.is_array_data(*training.values()) or _unfit(spare, training) is None:
                lacks = "; it has no targets" if "y" in training and "y" not in given else ""
                raise StudyError(
                    f"{name} can't be evaluated by the model of {trial}: {first_line(error)}{lacks}. Nothing "
                    f"was trained. Given: {_described(name, data[name])}; training data: "
                    + "; ".join(_described(key, value) for key, value in training.items())
                ) from error


def _unfit(model: keras.Model, given: Mapping[str, Any]) -> Exception | None:
    """Why a fresh model can't be evaluated on data; None where it can."""
    try:
        with left_as_found(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keras_private.symbolic_build(model, keras_private.batch_iterator(**given, shuffle=False))
    except Exception as error:
        return error
    return None


def unfit_data(data: Mapping[str, Any], error: Exception, name: str = "") -> StudyError:
    """The error for data that Keras does not take.

    Args:
        data: argument → what was given.
        error: Keras's.
        name: which of the arguments it is about; empty for the training data.
    """
    arrays = {name: value for name, value in data.items() if name in _DATA and value is not None}
    listed = "; ".join(_described(name, value) for name, value in arrays.items())
    what = name or ("x" if list(arrays) == ["x"] else "the training data")
    said = " ".join(str(error).partition(", found: (")[0].split())[:300].rstrip(".")
    return StudyError(f"Keras can't use {what}: {said}. Given: {listed}")


_DATA = ("x", "y", "sample_weight", "validation_data", "validation_split", "test_data")


def _described(name: str, value: Any) -> str:
    """``x: float32 (32, 4)``."""
    if isinstance(value, tuple):
        return f"{name}: ({', '.join(_array(one) for one in value)})"
    return f"{name}: {_array(value)}"


def _array(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return arguments.given(value)
    return f"{getattr(dtype, 'name', dtype)} {tuple(shape)}"


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
    given = arguments_of_evaluate("test_data", test_data)
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


def evaluate_together(
    study: Study, trials: Sequence[Trial], test_data: Any, sizes: Sequence[int | None]
) -> dict[Trial, Tested]:
    """The results of those trials that one vectorised program can evaluate, as `evaluate` gives them.

    Args:
        study: whose trials have ended.
        trials: those that are done.
        test_data: as ``compare`` takes it.
        sizes: of each, as ``Model.evaluate`` takes it.

    Returns:
        A trial that is not there is to be evaluated by itself: its code may depend on its session, or say
        why it can't be.
    """
    given = arguments_of_evaluate("test_data", test_data)
    found: dict[Trial, Tested] = {}
    if not keras_private.is_array_data(*given.values()):
        return found
    for size in dict.fromkeys(sizes):
        of_size = [trial for trial, its in zip(trials, sizes, strict=True) if its == size]
        try:
            logs = evaluated_together(study, of_size, given, size if given.get("y") is not None else None)
        except Exception:  # of one of them, which says so when it is evaluated by itself
            continue
        for trial, values in zip(of_size, logs, strict=True):
            if values is not None:
                found[trial] = Tested(trial, {f"test_{name}": value for name, value in values.items()})
    return found


def arguments_of_evaluate(name: str, held_out: Any) -> dict[str, Any]:
    """``Model.evaluate``'s data arguments.

    Args:
        name: the argument's.
        held_out: as ``compare`` takes it.

    Raises:
        StudyError: a tuple of none or of too many things.
    """
    if not isinstance(held_out, tuple | list):
        return {"x": held_out}
    if not 1 <= len(held_out) <= 3:
        raise StudyError(
            f"{name} must be (x, y), (x, y, sample_weight), (x,), or a dataset; not a "
            f"{type(held_out).__name__} of length {len(held_out)}"
        )
    given = dict(zip(("x", "y", "sample_weight"), held_out, strict=False))
    return {key: value for key, value in given.items() if value is not None or key == "x"}


def _number(value: Any) -> Any:
    """A Python float, or an array where the metric is one."""
    return float(value) if not getattr(value, "shape", ()) else value
