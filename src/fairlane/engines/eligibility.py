"""Can this trial run on lanes, and if not, why?

In: a trial's model and callbacks. Out: `Unsuitable`, whose words complete "not on lanes: ...".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import keras
import numpy as np

from fairlane.engines.program.tracing import NotPure
from fairlane.kit.error_text import first_line
from fairlane.kit.libraries import is_foreign_code
from fairlane.models import keras_private
from fairlane.models.variables import metrics_at_rest

_BATCH_METHODS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


class Unsuitable(Exception):
    """The trial can't run on lanes; the message says why."""


class TooLate(Unsuitable):
    """It was found out while the trial trained: it has to begin again on another engine."""


def session_reason() -> str:
    """Why no trial of this session can run on lanes; empty where they can."""
    if keras_private.has_tensorflow_strategy():
        return "a tf.distribute strategy is set, and lanes place arrays themselves"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set, and lanes place arrays themselves"
    return ""


def refuse_unsuitable_model(model: keras.Model, validates: bool) -> None:
    """See that lanes can train a compiled model as ``fit`` would, on such data.

    Raises:
        Unsuitable: they can't.
    """
    if model.run_eagerly:
        raise Unsuitable("the model is compiled with run_eagerly=True")
    if jax.config.jax_disable_jit:
        raise Unsuitable("jax_disable_jit is set, so JAX compiles nothing")
    if (method := keras_private.own_training_loop(model, validates)) is not None:
        raise Unsuitable(f"{type(model).__name__} has its own {method}(), which lanes do not call")
    names = [layer.name for layer in keras_private.all_layers(model) if not layer.supports_jit]
    if names:
        raise Unsuitable(f"layer {names[0]!r} can't be compiled (supports_jit is False)")
    if model.optimizer is None:
        raise Unsuitable("the model is compiled without an optimizer")


def refuse_step_limit(before: int | None) -> None:
    """See that a builder has not limited the steps of an epoch, by which data are cut before it is called.

    Args:
        before: the limit before it was called.

    Raises:
        Unsuitable: it has.
    """
    if keras.config.max_steps_per_epoch() != before:
        raise Unsuitable("its builder calls keras.config.set_max_steps_per_epoch")


def refuse_unsuitable_metrics(model: keras.Model, rest: Sequence[Any], own_callbacks: bool) -> None:
    """See that metrics with code of one's own give the same whenever they are reset and read.

    Keras calls both outside of the step, again in each epoch. On lanes, they are as at the beginning.

    Args:
        model: built; its metrics are at rest, and are left so.
        rest: the values of their variables.
        own_callbacks: whether there are callbacks that are not Keras's.

    Raises:
        Unsuitable: they do not, or it can't be known.
    """
    owners = [model, *_metrics(model.metrics)]
    name = next((type(one).__name__ for one in owners if _has_own_code(one)), None)
    if name is None:
        return
    if own_callbacks:
        raise Unsuitable(f"{name} computes its results in each epoch from values that a callback may change")
    before = plain_attributes(owners)
    for variable, value in zip(model.metrics_variables, rest, strict=True):
        variable.assign(np.logical_not(value) if value.dtype == bool else value + np.ones((), value.dtype))
    model.get_metrics_result()
    now = metrics_at_rest(model)
    for variable, value in zip(model.metrics_variables, rest, strict=True):
        variable.assign(value)
    if plain_attributes(owners) != before:
        raise Unsuitable(f"{name} counts how often it is reset or read")
    for variable, a, b in zip(model.metrics_variables, rest, now, strict=True):
        if not np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.floating)):
            raise Unsuitable(f"{name} does not reset {variable.path!r} at the beginning of an epoch")


def metrics_of(model: keras.Model) -> list[Any]:
    """A model's metrics, and those that they are made of."""
    return list(_metrics(model.metrics))


def _metrics(metrics: Sequence[Any]) -> Iterator[Any]:
    for metric in metrics:
        yield metric
        yield from _metrics(getattr(metric, "metrics", ()))


def _has_own_code(owner: Any) -> bool:
    of_model = isinstance(owner, keras.Model)
    names = ("get_metrics_result", "reset_metrics") if of_model else ("result", "reset_state")
    return any(has_foreign_method(owner, name) for name in names)


def has_foreign_method(owner: Any, name: str) -> bool:
    """Whether a method is of no known library."""
    code = getattr(getattr(owner, name, None), "__code__", None)
    return code is not None and is_foreign_code(code)


def plain_attributes(owners: Sequence[Any]) -> list[dict[str, Any]]:
    """What objects hold in attributes that are numbers, strings, or lists and dicts of them."""
    return [{name: _plain(value) for name, value in vars(one).items()} for one in owners]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return type(value).__name__


def why_not_traced(error: Exception) -> str:
    """Why a model whose step could not be traced, or not twice alike, is not on lanes."""
    if isinstance(error, NotPure):
        return str(error)
    return f"its training step can't be traced ({first_line(error)})"


def batch_method(callback: Any) -> str | None:
    """What a callback has to do between batches: the first such method, or an argument; or None."""
    kc, kind = keras.callbacks, type(callback)
    if isinstance(callback, kc.TerminateOnNaN):
        return None if kind is kc.TerminateOnNaN else "a class derived from TerminateOnNaN"
    if kind in (kc.ModelCheckpoint, kc.BackupAndRestore, getattr(kc, "OrbaxCheckpoint", None)):
        return None if callback.save_freq == "epoch" else "save_freq"
    if kind is kc.TensorBoard:
        return _tensorboard_between_batches(callback)
    if kind is kc.ProgbarLogger:  # with verbose=0, it shows nothing, under Keras alone too
        return None
    return next((name for name in _BATCH_METHODS if has_own(callback, name)), None)


def _tensorboard_between_batches(callback: Any) -> str | None:
    """The argument for which a ``TensorBoard`` writes something of single batches or times them, or None."""
    if callback.update_freq != "epoch":
        return "update_freq"
    if callback.write_steps_per_second:
        return "write_steps_per_second"
    return "profile_batch" if keras_private.profiles(callback) else None


def has_own(callback: Any, name: str) -> bool:
    """Whether a callback has a method of its own, or of its class's, instead of Keras's that does nothing."""
    method = getattr(callback, name, None)
    return method is not None and getattr(method, "__func__", method) is not getattr(
        keras.callbacks.Callback, name
    )
