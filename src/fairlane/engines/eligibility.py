"""Can this trial run on lanes, and if not, why? The one place that answers.

In: what is known of a trial: first the session and its data, then its model and callbacks, then the code that
its step runs. Out: a reason, or `Unsuitable`, whose words complete "not on lanes: ...".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import keras
import numpy as np

from fairlane.engines.program.tracing import NotPure
from fairlane.kit.error_text import first_line
from fairlane.kit.libraries import is_foreign_code
from fairlane.kit.values import same_values
from fairlane.models import keras_private
from fairlane.models.variables import metrics_at_rest


class Unsuitable(Exception):
    """The trial can't run on lanes; the message says why."""


class TooLate(Unsuitable):
    """It was found out while the trial trained: it has to begin again on another engine."""


# --- the session and the data -------------------------------------------------------------------------


def session_reason() -> str:
    """Why no trial of this session can run on lanes; empty where they can."""
    if keras_private.has_tensorflow_strategy():
        return "a tf.distribute strategy is set, and lanes place arrays themselves"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set, and lanes place arrays themselves"
    return ""


def sparse_reason(x: Any, arguments: Mapping[str, Any]) -> str:
    """Why lanes can't train on data, where these are sparse arrays; empty where they are not.

    Args:
        x: ``Model.fit``'s ``x``.
        arguments: its other arguments, ``y`` among them.
    """
    held_out = arguments.get("validation_data")
    for name, data in (
        ("x", (x, arguments.get("y"), arguments.get("sample_weight"))),
        ("validation_data", _flat(held_out)),
    ):
        for leaf in keras.tree.flatten(data):
            if _is_sparse(leaf):
                return (
                    f"{name} has sparse arrays ({type(leaf).__name__}), and lanes need dense ones; "
                    "convert them with .toarray() if they fit into memory"
                )
    return ""


def _is_sparse(array: Any) -> bool:
    """Whether an array is a sparse one of SciPy's, JAX's, torch's or TensorFlow's."""
    dense_by_name = hasattr(array, "to_dense") and getattr(array, "is_sparse", False)
    return hasattr(array, "todense") or dense_by_name or type(array).__name__ == "SparseTensor"


def _flat(held_out: Any) -> tuple[Any, ...]:
    return tuple(held_out) if isinstance(held_out, (tuple, list)) else (held_out,)


def refuse_batch(name: str, batch: Any) -> None:
    """Check that a batch is made of dense numeric arrays.

    Raises:
        Unsuitable: it is not; the message says what it has instead.
    """
    for leaf in jax.tree.leaves(batch):
        if hasattr(leaf, "todense") or hasattr(leaf, "to_dense"):
            raise Unsuitable(
                f"{name} gives sparse batches ({type(leaf).__name__}), and lanes take dense ones; "
                "convert them where they are made (.toarray(), tf.sparse.to_dense)"
            )
        if not isinstance(leaf, (np.ndarray, np.generic, jax.Array)):
            raise Unsuitable(f"{name} gives batches with a {type(leaf).__name__}, and lanes take arrays")
        if leaf.dtype.kind in "OSUM":
            raise Unsuitable(f"{name} gives batches of dtype {leaf.dtype}, and lanes take numbers")


# --- the model ----------------------------------------------------------------------------------------


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


# --- the code that its step runs ----------------------------------------------------------------------


def refuse_unsuitable_code(model: keras.Model, foreign: str, eager: bool, validates: bool) -> None:
    """See that a model's code runs in the traced step alone, and that Keras has traced nothing yet.

    Args:
        model: built, before its first batch.
        foreign: the foreign code that its step runs, or empty.
        eager: whether there are callbacks that may hold the model by any name.
        validates: whether there is validation, of a model that is not the caller's own.

    Raises:
        Unsuitable: it does not.
    """
    if model.jit_compile is False and (foreign or eager):
        raise Unsuitable("the model is compiled with jit_compile=False, so its Python code runs in each step")
    if eager and validates and model.test_function is not None:
        raise Unsuitable("a callback has evaluated the model before its first batch")


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
        if not same_values(a, b):
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


# --- the callbacks ------------------------------------------------------------------------------------


_BATCH_METHODS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def refuse_unsuitable_callbacks(callbacks: Sequence[Any], steps_per_execution: int) -> None:
    """See that callbacks act between epochs alone.

    Raises:
        Unsuitable: one acts inside of an epoch.
    """
    for callback in callbacks:
        if (method := batch_method(callback)) is not None:
            raise Unsuitable(f"callback {type(callback).__name__} acts inside the epoch ({method})")
        if isinstance(callback, keras.callbacks.TerminateOnNaN) and steps_per_execution > 1:
            raise Unsuitable("callback TerminateOnNaN looks at the loss once per steps_per_execution")


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


# --- what can go to a worker process ------------------------------------------------------------------


def arrays_reason(arguments: Mapping[str, Any]) -> str:
    """Why data can't go to the worker process, where they are no arrays; empty where they can.

    Args:
        arguments: of ``Model.fit``.
    """
    sources = {"x": (arguments.get("x"), arguments.get("y"), arguments.get("sample_weight"))}
    if (held_out := arguments.get("validation_data")) is not None:
        sources["validation_data"] = keras.utils.unpack_x_y_sample_weight(held_out)
    for name, parts in sources.items():
        if not keras_private.is_array_data(*parts):
            return f"{name} is a {type(parts[0]).__name__}, and only arrays go to the worker process"
    return ""


def refuse_callbacks_of_ones_own(callbacks: Sequence[Any]) -> None:
    """See that all callbacks are Keras's own: another might change, or look at, objects of this session.

    Raises:
        Unsuitable: one is not.
    """
    for callback in callbacks:
        kind = type(callback)
        if kind.__module__.partition(".")[0] != "keras" or isinstance(
            callback, keras.callbacks.LambdaCallback
        ):
            raise Unsuitable(
                f"callback {kind.__name__} runs your own code, which must run in this session, and lanes run "
                "in a worker process"
            )
