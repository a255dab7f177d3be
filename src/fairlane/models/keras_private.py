"""Every private name of Keras that Fairlane uses, in one place, so that a new Keras is checked in one place.

In: Keras objects. Out: what Keras knows of them and has no public name for. Tried with keras 3.13 and 3.15.
"""

from __future__ import annotations

import copy
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.models.functional import Functional
from keras.src.trainers.data_adapters import array_data_adapter, array_slicing
from keras.src.trainers.epoch_iterator import EpochIterator
from keras.src.utils import module_utils
from keras.src.utils.tracking import DotNotTrackScope

from fairlane.kit.libraries import is_foreign_code


def is_functional(layer: Any) -> bool:
    """Whether it is a graph of layers from inputs to outputs: ``keras.Model(inputs, outputs)``."""
    return isinstance(layer, Functional)


def all_layers(model: Any) -> list[Any]:
    """The model itself and every layer in it, at any depth."""
    return list(model._flatten_layers())


def sublayers(layer: Any) -> list[Any]:
    """The layers directly inside a layer, an `InputLayer` of a `Sequential` included."""
    return list(getattr(layer, "_layers", ()))


def own_variables(layer: Any) -> list[Any]:
    """The weights that a layer holds itself, those of the layers inside it left out."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


_OF_MODELS = frozenset(
    {
        *("compiled", "loss", "steps_per_execution", "optimizer", "history", "output_names"),
        *("train_function", "test_function", "predict_function"),
        *("stop_training", "stop_evaluating", "stop_predicting"),
    }
)
"""The attributes that Keras gives to models besides those of layers, but for those that begin with ``_``."""


def names_of_attributes() -> frozenset[str]:
    """The attributes that Keras gives to layers and models; of models, none with ``_`` before it."""
    return _OF_MODELS.union(vars(keras.layers.Layer(name="bare")))


def never_trainable(layer: Any) -> list[Any]:
    """The weights that a layer holds itself and that were made with ``trainable=False``."""
    return list(layer._non_trainable_variables)


def own_metrics(layer: Any) -> list[Any]:
    """The metrics that a layer holds itself."""
    return list(layer._metrics)


def metric_directions(model: Any) -> dict[str, str]:
    """What Keras knows of a built model's metrics: the name that they are logged by → ``"min"`` or ``"max"``.

    It is what ``EarlyStopping`` and ``ModelCheckpoint`` go by with ``mode="auto"``. Losses are to be small.
    """
    found: dict[str, str] = {}
    compiled, loss = getattr(model, "_compile_metrics", None), getattr(model, "_compile_loss", None)
    if loss is not None:
        found |= {metric.name: "min" for metric in loss.metrics}
    several = len({getattr(one, "output_name", None) for one in _metrics_lists(compiled)}) > 1
    for one in _metrics_lists(compiled):
        output = getattr(one, "output_name", None)
        for metric in getattr(one, "metrics", [one]):
            if direction := _direction(metric):
                found[metric.name] = direction
                if several and output:  # as it is logged of a model with several outputs
                    found[f"{output}_{metric.name}"] = direction
    for metric in model.metrics:
        if (direction := _direction(metric)) and metric is not compiled:
            found[metric.name] = direction
    return found


def _metrics_lists(compiled: Any) -> list[Any]:
    if compiled is None or not compiled.built:
        return []
    lists = [*compiled._flat_metrics, *compiled._flat_weighted_metrics]
    return [one for one in lists if one is not None]


def _direction(metric: Any) -> str:
    return {"up": "max", "down": "min"}.get(getattr(metric, "_direction", None) or "", "")


def own_seed_generators(layer: Any) -> list[Any]:
    """The seed generators that a layer holds itself."""
    return list(layer._seed_generators)


def compile_arguments(model: Any) -> dict[str, Any]:
    """What the model was compiled with, as the live objects; empty where it has its own ``compile``."""
    config = getattr(model, "_compile_config", None)
    return {} if config is None else dict(config.config)


def excluded_from_weight_decay(optimizer: Any, variables: list[Any]) -> tuple[list[int], list[str]]:
    """What ``optimizer.exclude_from_weight_decay`` was told.

    Args:
        optimizer: any optimizer.
        variables: the variables to ask about.

    Returns:
        The positions in ``variables`` of those excluded by themselves, and the name patterns.
    """
    keys = getattr(optimizer, "_exclude_from_weight_decay", None) or set()
    pattern: re.Pattern[str] | None = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    positions = [i for i, v in enumerate(variables) if optimizer._var_key(v) in keys]
    return positions, [] if pattern is None else [pattern.pattern]


def trained_variables(optimizer: Any) -> list[Any]:
    """The variables that a built optimizer trains."""
    return list(_unwrapped(optimizer)._trainable_variables)


def has_settable_learning_rate(optimizer: Any) -> bool:
    """Whether it is an optimizer whose learning rate is a variable, and neither a schedule nor a function."""
    return isinstance(getattr(_unwrapped(optimizer), "_learning_rate", None), keras.Variable)


def averages_weights(optimizer: Any) -> bool:
    """Whether an optimizer puts averages in the weights' place when training ends (``use_ema``)."""
    return bool(getattr(_unwrapped(optimizer), "use_ema", False))


def _unwrapped(optimizer: Any) -> Any:
    """The optimizer inside one that scales the loss; any other, itself."""
    return getattr(optimizer, "inner_optimizer", None) or optimizer


def build_metrics_like(old: Any, new: Any, counterpart: Callable[[Any], Any]) -> None:
    """Build a compiled model's metrics and losses as another one's are, which data has built.

    Args:
        old: a compiled model.
        new: one compiled with the same arguments.
        counterpart: an object of the old one's metrics or losses → the new one's.
    """
    metrics = old._compile_metrics
    if metrics is not None and new._compile_metrics is None:
        # Compiled again, without metrics: then Keras keeps those of before, and logs them on.
        with DotNotTrackScope():
            new._compile_metrics = type(metrics)(
                counterpart(metrics._user_metrics),
                counterpart(metrics._user_weighted_metrics),
                output_names=metrics.output_names,
            )
    new_metrics = new._compile_metrics
    if metrics is not None and metrics.built and not new_metrics.built:
        for name in ("_flat_metrics", "_flat_weighted_metrics"):
            lists = [_metrics_list_like(one, counterpart) for one in getattr(metrics, name)]
            setattr(new_metrics, name, lists)
        new_metrics._resolved_output_names = getattr(metrics, "_resolved_output_names", None)
        new_metrics.built = True
    loss, new_loss = old._compile_loss, new._compile_loss
    if loss is not None and loss.built and new_loss is not None and not new_loss.built:
        new_loss._flat_losses = [one._replace(loss=counterpart(one.loss)) for one in loss._flat_losses]
        for metric in loss.metrics:
            new_loss._tracker.add_to_store("metrics", keras.metrics.Mean(name=metric.name))
        new_loss._y_pred_build_structure = loss._y_pred_build_structure
        new_loss._y_true_build_structure = loss._y_true_build_structure
        new_loss.built = True


def _metrics_list_like(old: Any, counterpart: Callable[[Any], Any]) -> Any:
    """A ``MetricsList`` (or metric, or None) of the counterparts."""
    if not hasattr(old, "metrics"):
        return old if old is None else counterpart(old)
    return type(old)([counterpart(metric) for metric in old.metrics], output_name=old.output_name)


def weight_decays(optimizer: Any, variables: list[Any]) -> list[bool]:
    """Which variables the optimizer's weight decay applies to."""
    return [bool(optimizer._use_weight_decay(v)) for v in variables]


def input_layer(tensor: Any) -> Any:
    """The `InputLayer` that made a symbolic tensor."""
    return tensor._keras_history.operation


def copy_operation(operation: Any) -> Any:
    """A second ``keras.Operation`` (not a layer: it has no state) that is in no graph yet."""
    kind: Any = type(operation)
    new = kind.__new__(kind)
    new.__dict__.update(operation.__dict__)
    new._inbound_nodes = []
    new._outbound_nodes = []
    return new


# --- the session's hidden state ---------------------------------------------------------------------

_SETTINGS = (
    "dtype_policy",
    "custom_objects_scope_dict",
    "distribution",
    "flash_attention",
    "nnx_enabled",
    "torch_device",
)
"""Those of Keras's thread-local attributes that a script sets, and a fresh process would have."""


def attributes() -> dict[str, Any]:
    """This thread's attributes, and (under "") the object that holds them."""
    tracker = global_state.GLOBAL_STATE_TRACKER
    return {"": tracker, **{k: _own(v) for k, v in tracker.__dict__.items()}}


def replace_attributes(values: Mapping[str, Any]) -> None:
    """Make this thread's attributes be ``values``; undoes a ``clear_session`` made in between."""
    tracker = values.get("", global_state.GLOBAL_STATE_TRACKER)
    global_state.GLOBAL_STATE_TRACKER = tracker
    tracker.__dict__.clear()
    tracker.__dict__.update({k: _own(v) for k, v in values.items() if k})


class _OfThisThread:
    """Stands for ``threading`` in Keras's ``clear_session``, which makes new thread-local objects by it."""

    def local(self) -> Any:
        """The one that there is, without this thread's attributes: other threads keep theirs."""
        tracker = global_state.GLOBAL_STATE_TRACKER
        tracker.__dict__.clear()
        return tracker

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


def clear_session_by_thread(on: bool) -> None:
    """Whether ``keras.utils.clear_session`` clears the attributes of the calling thread only, or of all."""
    global_state.threading = _OfThisThread() if on else threading


def _own(value: Any) -> Any:
    """What Keras changes in place, such as name counters and lists of variables to initialize, as a copy."""
    return copy.copy(value) if isinstance(value, list | dict | set) else value


def settings_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``values``, what a fresh process would have: settings, no counters, no generators."""
    return {k: v for k, v in values.items() if k in _SETTINGS or not k}


def configuration() -> dict[str, str]:
    """What Keras is set to, in this thread, of what its code reads while a model is built or traced."""
    config = keras.config
    found: dict[str, Any] = {
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image_data_format": config.image_data_format(),
        **{name: global_state.get_global_attribute(name) for name in _SETTINGS},
    }
    found["dtype_policy"] = config.dtype_policy().name
    found["custom_objects_scope_dict"] = sorted(found["custom_objects_scope_dict"] or ())
    return {name: repr(value) for name, value in found.items()}


def has_tensorflow_strategy() -> bool:
    """Whether this runs in the scope of a ``tf.distribute`` strategy."""
    if keras.backend.backend() != "tensorflow":
        return False
    return bool(sys.modules["tensorflow"].distribute.has_strategy())


def custom_objects() -> dict[str, Any]:
    """Name → the custom class or function registered under it, in this thread's scopes too."""
    scope = global_state.get_global_attribute("custom_objects_scope_dict") or {}
    return {**keras.saving.get_custom_objects(), **scope}


def without_tensorflow() -> None:
    """Let Keras take TensorFlow for missing: on JAX, too, it loads it where a seed is set."""
    module_utils.tensorflow._available = False


def tensorflow_random_state() -> Callable[[], None]:
    """A function that puts TensorFlow's global seed, which ``set_random_seed`` sets, back as it is."""
    context = sys.modules["tensorflow.python.eager.context"].context()
    seed, generator = context._seed, getattr(context, "_rng", None)  # made when the seed is first set
    position = generator.getstate() if generator is not None else None

    def restore() -> None:
        context._seed, context._rng = seed, generator
        if generator is not None:
            generator.setstate(position)

    return restore


# --- fit's data -------------------------------------------------------------------------------------


def is_array_data(*data: Any) -> bool:
    """Whether Keras would take these with its array adapter."""
    return bool(array_data_adapter.can_convert_arrays(data))


def split(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, Any]:
    """Keras's ``validation_split``: ``((x, y, sample_weight), (x, y, sample_weight))``."""
    return array_slicing.train_validation_split(  # type: ignore[no-any-return]
        (x, y, sample_weight), validation_split=fraction
    )


def epoch_iterator(x: Any, y: Any = None, **arguments: Any) -> Any:
    """The iterator over the batches of an epoch that ``fit`` makes, with its reading ahead."""
    if keras.backend.backend() == "jax":
        from keras.src.backend.jax.trainer import JAXEpochIterator

        return JAXEpochIterator(x=x, y=y, **arguments)
    return EpochIterator(x=x, y=y, **arguments)


def batch_iterator(x: Any, y: Any = None, **arguments: Any) -> Any:
    """An iterator over NumPy batches, cut and shuffled as ``fit`` does, that reads none ahead."""
    return _BatchIterator(x=x, y=y, **arguments)


class _BatchIterator(EpochIterator):  # type: ignore[misc]
    """Yields, once per execution, the iterator to take its batches from, as the JAX trainer's does."""

    def __next__(self) -> Any:
        return next(self._epoch_iterator)


def adapter_arrays(iterator: Any) -> tuple[Any, int]:
    """The arrays behind an iterator, as JAX takes them, and the number of samples.

    Returns:
        The structure that ``train_step`` gets as ``data``, of whole arrays; and their length.
    """
    adapter = iterator.data_adapter
    sliceables = array_slicing.convert_to_sliceable(adapter._inputs, target_backend="jax")
    arrays = keras.tree.map_structure(
        lambda s: None if s is None else s.convert_to_jax_compatible(s[slice(None)]), sliceables
    )
    return arrays, int(adapter._num_samples)


# --- fit's steps ------------------------------------------------------------------------------------


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


def symbolic_build_from(model: Any, batch: Any) -> None:
    """Build what ``fit`` builds before its first epoch, from a batch that was read before."""
    model._symbolic_build(data_batch=_words_as_symbols(batch))


def _words_as_symbols(batch: Any) -> Any:
    """A batch in which symbolic tensors stand for arrays of text, whose NumPy dtype Keras does not know."""

    def known(array: Any) -> Any:
        text = isinstance(array, np.ndarray) and array.dtype.kind in "OUST"
        return keras.KerasTensor(array.shape, "string") if text else array

    return keras.tree.map_structure(known, batch)


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
    """Hand a model its new state, to be assigned when a callback first asks for ``self.model``."""
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
    """Whether nobody has asked for the state that `set_pending_state` gave."""
    return not model._jax_state_synced


def assign_pending_state(model: Any) -> None:
    """Assign the pending state to the model's variables now."""
    model.jax_state_sync()


def initial_epoch(model: Any) -> int | None:
    """The epoch that a callback (``BackupAndRestore``) asked ``fit`` to begin with."""
    return getattr(model, "_initial_epoch", None)


def set_initial_epoch(model: Any, epoch: int | None) -> None:
    """Let ``fit`` begin with this epoch; None leaves it to its argument."""
    model._initial_epoch = epoch


def should_validate(model: Any, epoch: int, validation_freq: Any) -> bool:
    """Whether ``fit`` would validate after this epoch, with Keras's own error for a wrong argument."""
    return bool(model._should_eval(epoch, validation_freq))


# --- callbacks --------------------------------------------------------------------------------------


def profiles(tensorboard: Any) -> bool:
    """Whether a ``TensorBoard`` callback was made with ``profile_batch``."""
    return bool(tensorboard._should_trace)
