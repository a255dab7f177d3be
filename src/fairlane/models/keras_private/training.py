"""Private names of Keras's training loop and of its callbacks.

In: a compiled model, or a callback. Out: what ``fit`` would do with it, and its state during a training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.backend import compute_output_spec

from fairlane.kit.libraries import is_foreign_code


def symbolic_build(model: Any, iterator: Any) -> Any:
    """Build what ``fit`` builds before its first epoch, drawing the same random numbers.

    Returns:
        The batch that was read for it; None where everything was built.
    """
    seen: list[Any] = []

    def reading() -> Any:
        for begin, end, batches in iterator:
            seen.append(
                batches[0] if isinstance(batches, list | tuple) else next(batches)
            )  # a list but on JAX
            yield begin, end, [_words_as_symbols(seen[-1])]

    model._symbolic_build(iterator=reading())
    iterator.reset()
    return seen[0] if seen else None


def only_output(model: Any) -> tuple[tuple[int, ...], str] | None:
    """The shape, without the axis of samples, and the dtype of a functional model's only output.

    Returns:
        Both; None where the model does not say them, or has several outputs.
    """
    graph = model._functional if isinstance(model, keras.Sequential) else model
    output = getattr(graph, "_outputs_struct", None)
    if not isinstance(output, keras.KerasTensor) or output.sparse or not output.shape:
        return None
    shape = tuple(output.shape[1:])
    if output.shape[0] is not None or not all(type(n) is int for n in shape):
        return None
    return shape, str(output.dtype)


def build_for_output(model: Any, iterator: Any) -> None:
    """As `symbolic_build`, but metrics and the loss are built for `only_output`, and nothing is traced."""
    batches = next(batches for _, _, batches in iterator)
    batch = _words_as_symbols(batches[0] if isinstance(batches, list | tuple) else next(batches))
    iterator.reset()
    x, y, _ = keras.utils.unpack_x_y_sample_weight(keras.tree.map_structure(_symbol, batch))
    known = only_output(model)
    assert known is not None
    shape, dtype = known
    # As in a trace, arrays without names: the loss takes those of symbolic tensors for names of outputs.
    output = _Array((keras.tree.flatten(x)[0].shape[0], *shape), dtype)
    for part in (model._compile_metrics, model._compile_loss):
        if part is not None and not part.built:
            part.build(y, output)
    model._symbolic_build(data_batch=batch)
    model._called = True  # as the trace leaves it


@dataclass(frozen=True, eq=False)
class _Array:
    """What is known of an array before there is one."""

    shape: tuple[int, ...]
    dtype: str


def _symbol(array: Any) -> Any:
    if array is None:
        return None
    return _Array(array.shape, keras.backend.standardize_dtype(array.dtype))


def symbolic_build_from(model: Any, batch: Any) -> None:
    """Build what ``fit`` builds before its first epoch, from a batch that was read before."""
    model._symbolic_build(data_batch=_words_as_symbols(batch))


def names_of_metrics(model: Any) -> list[str]:
    """The names under which a built model logs its metrics; nothing is computed."""
    return list(compute_output_spec(model.get_metrics_result))


def _words_as_symbols(batch: Any) -> Any:
    """A batch in which symbolic tensors stand for arrays of text, whose NumPy dtype Keras does not know."""

    def known(array: Any) -> Any:
        text = isinstance(array, np.ndarray) and array.dtype.kind in "OUST"
        return keras.KerasTensor(array.shape, "string") if text else array

    return keras.tree.map_structure(known, batch)


@contextmanager
def values_put_away(model: Any, what: str) -> Iterator[None]:
    """While a step is traced, let variables have no values of their own, as while ``fit`` runs.

    What reads one that is not among the step's inputs then fails, as in ``fit``: a metric that ``call``
    updates, or the optimizer's rate in a loss.

    Args:
        model: the model.
        what: ``train``, ``test``, or another, for which nothing is put away.
    """
    if what not in ("train", "test"):
        yield
        return
    groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    unique = {id(variable): variable for group in groups for variable in group}
    if what == "train":
        unique |= {id(variable): variable for variable in model.optimizer.variables}
    variables = list(unique.values())
    values = [variable._value for variable in variables]
    for variable in variables:
        variable._value = None
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable._value = value


_CALLED_ON_LANES = frozenset(
    {
        "_compute_loss",
        "_get_own_metrics",
        "_update_metrics_variables",
        "compile",
        "compile_from_config",
        "compute_loss",
        "compute_loss_and_updates",
        "compute_metrics",
        "get_compile_config",
        "get_metrics_result",
        "metrics",
        "metrics_names",
        "reset_metrics",
        "stateless_compute_loss",
        "test_step",
        "train_step",
    }
)
"""Methods of the trainer that are called on lanes as well: while the step is traced, or where it is built."""


_NOT_CALLED_BY_FIT = frozenset(
    {
        "make_predict_function",
        "predict",
        "predict_on_batch",
        "predict_step",
        "test_on_batch",
        "train_on_batch",
    }
)


def own_training_loop(model: Any, validates: bool = True) -> str | None:
    """A method of Keras's training loop of which a model has its own version; or None.

    Args:
        model: any model. Methods that are called on lanes too, such as ``train_step``, do not count.
        validates: whether there are validation data, without which ``fit`` does not evaluate.
    """
    of_keras = keras.Model.__mro__
    loop = {name for cls in of_keras if cls.__name__.endswith("Trainer") for name in vars(cls)}
    loop = {name for name in loop if not name.startswith("__")} - _CALLED_ON_LANES - _NOT_CALLED_BY_FIT
    loop -= set() if validates else {"evaluate", "make_test_function"}
    names = {
        name
        for cls in type(model).__mro__
        for name in loop & set(vars(cls))
        if not cls.__module__.startswith("keras.src.") or _is_replaced(vars(cls)[name])
    }
    return min(names | {name for name in loop if callable(vars(model).get(name))}, default=None)


def _is_replaced(method: Any) -> bool:
    """Whether a method of a class of Keras's is somebody else's by now."""
    code = getattr(method, "__code__", None)
    return code is not None and is_foreign_code(code, method.__module__)


def set_pending_state(model: Any, state: tuple[Any, Any, Any, Any] | None) -> None:
    """Hand a model its new state, to be assigned when a callback first reads ``self.model``."""
    if state is None:
        model._jax_state, model._jax_state_synced = None, True
        return
    names = (
        "trainable_variables",
        "non_trainable_variables",
        "optimizer_variables",
        "metrics_variables",
    )
    model._jax_state, model._jax_state_synced = dict(zip(names, state, strict=True)), False


def state_is_pending(model: Any) -> bool:
    """Whether the state that `set_pending_state` gave is not assigned yet."""
    return not model._jax_state_synced


def assign_pending_state(model: Any) -> None:
    """Assign the pending state to the model's variables now."""
    model.jax_state_sync()


def initial_epoch(model: Any) -> int | None:
    """The epoch that a callback (``BackupAndRestore``) lets ``fit`` begin with."""
    return getattr(model, "_initial_epoch", None)


def set_initial_epoch(model: Any, epoch: int | None) -> None:
    """Let ``fit`` begin with this epoch; None leaves it to its argument."""
    model._initial_epoch = epoch


def should_validate(model: Any, epoch: int, validation_freq: Any) -> bool:
    """Whether ``fit`` would validate after this epoch, with Keras's own error for a wrong argument."""
    return bool(model._should_eval(epoch, validation_freq))


def profiles(tensorboard: Any) -> bool:
    """Whether a ``TensorBoard`` callback was made with ``profile_batch``."""
    return bool(tensorboard._should_trace)


GIVEN_TO_CALLBACKS = frozenset({"_model", "model", "params"})
"""The attributes that Keras gives a callback when training begins: no state of the callback's own."""
