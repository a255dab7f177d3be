"""Can this trial run on lanes, and if not, why?

In: a trial's model and callbacks. Out: `Unsuitable`, whose words complete "not on lanes: ...".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import keras
import numpy as np

from fairlane import _keras
from fairlane.engine import first_line
from fairlane.state import metrics_at_rest
from fairlane.tracing import NotPure

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
    """It was found out while the trial trained: it has to begin anew on another engine."""


def refuse_unsuitable_model(model: keras.Model, validates: bool) -> None:
    """See that lanes can train a compiled model as ``fit`` would, on such data.

    Raises:
        Unsuitable: they can't.
    """
    if model.run_eagerly:
        raise Unsuitable("the model is compiled with run_eagerly=True")
    if jax.config.jax_disable_jit:
        raise Unsuitable("jax_disable_jit is set, so that nothing may be compiled")
    if (method := _keras.own_training_loop(model, validates)) is not None:
        raise Unsuitable(f"{type(model).__name__} has its own {method}(), which lanes do not call")
    names = [layer.name for layer in _keras.all_layers(model) if not layer.supports_jit]
    if names:
        raise Unsuitable(f"layer {names[0]!r} can't be compiled (supports_jit is False)")
    if model.optimizer is None:
        raise Unsuitable("the model is compiled without an optimizer")


def resets_otherwise(model: keras.Model, rest: Sequence[Any]) -> str | None:
    """Why a model's metrics would not be as they are now whenever they are reset; or None.

    Args:
        model: built; its metrics are at rest, and are left so.
        rest: the values of their variables.
    """
    owners = [model, *_metrics(model.metrics)]
    before = [_plain_attributes(one) for one in owners]
    for variable, value in zip(model.metrics_variables, rest, strict=True):
        variable.assign(np.logical_not(value) if value.dtype == bool else value + np.ones((), value.dtype))
    now = metrics_at_rest(model)
    for variable, value in zip(model.metrics_variables, rest, strict=True):
        variable.assign(value)
    for one, then in zip(owners, before, strict=True):
        if _plain_attributes(one) != then:
            return f"{type(one).__name__} counts how often it is reset"
    for variable, a, b in zip(model.metrics_variables, rest, now, strict=True):
        if not np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.floating)):
            return f"{type(model).__name__} does not reset {variable.path!r} at the beginning of an epoch"
    return None


def _metrics(metrics: Sequence[Any]) -> Iterator[Any]:
    """Metrics, and those that they are made of."""
    for metric in metrics:
        yield metric
        yield from _metrics(getattr(metric, "metrics", ()))


def _plain_attributes(owner: Any) -> dict[str, str]:
    plain = (bool, int, float, str, list, tuple, dict)
    return {k: repr(v) for k, v in vars(owner).items() if isinstance(v, plain) and not k.startswith("_")}


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
    return "profile_batch" if _keras.profiles(callback) else None


def has_own(callback: Any, name: str) -> bool:
    """Whether a callback has a method of its own, or of its class's, instead of Keras's that does nothing."""
    method = getattr(callback, name, None)
    return method is not None and getattr(method, "__func__", method) is not getattr(
        keras.callbacks.Callback, name
    )
