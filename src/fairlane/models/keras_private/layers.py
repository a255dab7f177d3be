"""Private names of Keras's layers, models and graphs.

In: a model or layer. Out: its parts, and what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras.src.models.functional import Functional


def is_functional(layer: Any) -> bool:
    """Whether it is a graph of layers from inputs to outputs: ``keras.Model(inputs, outputs)``."""
    return isinstance(layer, Functional)


def is_graph(model: Any) -> bool:
    """Whether a model is a graph of layers that Keras can load without code of the user's: no subclass."""
    return type(model).__module__.partition(".")[0] == "keras" and _graph(model) is not None


def _graph(model: Any) -> Any:
    """The graph that a model is, or that a built `Sequential` holds; None where there is none."""
    return model if is_functional(model) else getattr(model, "_functional", None)


def structure_of_inputs(model: Any) -> Any:
    """The symbolic inputs of a graph, nested as it takes them."""
    return _graph(model)._inputs_struct


def names_of_outputs(model: Any) -> list[str]:
    """The names of a graph's outputs, in order, by which losses and metrics may be given."""
    return list(_graph(model).output_names)


def keys_of_outputs(model: Any) -> list[Any]:
    """The keys of a graph's outputs, in the order of `names_of_outputs`; None for each without one."""
    outputs = _graph(model)._outputs_struct
    keys = sorted(outputs) if isinstance(outputs, dict) else []
    names = names_of_outputs(model)
    return keys if len(keys) == len(names) else [None] * len(names)


def all_layers(model: Any) -> list[Any]:
    """The model itself and every layer in it, at any depth."""
    return list(model._flatten_layers())


def sublayers(layer: Any) -> list[Any]:
    """The layers directly inside a layer, an `InputLayer` of a `Sequential` included."""
    return list(getattr(layer, "_layers", ()))


def put_shape(variable: Any, shape: tuple[Any, ...]) -> Callable[[], None]:
    """Let a variable say that it has another shape; returns how to undo it."""
    before = variable._shape
    variable._shape = shape

    def undo() -> None:
        variable._shape = before

    return undo


def own_variables(layer: Any) -> list[Any]:
    """The weights that a layer holds itself, those of the layers inside it left out."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def never_trainable(layer: Any) -> list[Any]:
    """The weights that a layer holds itself and that were made with ``trainable=False``."""
    return list(layer._non_trainable_variables)


def own_metrics(layer: Any) -> list[Any]:
    """The metrics that a layer holds itself."""
    return list(layer._metrics)


def own_seed_generators(layer: Any) -> list[Any]:
    """The seed generators that a layer holds itself."""
    return list(layer._seed_generators)


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


def loaders_of_models() -> list[tuple[Any, str]]:
    """The functions that read a model from a file, each with its module, where Keras looks them up."""
    from keras.src.legacy.saving import legacy_h5_format
    from keras.src.saving import saving_lib

    return [(saving_lib, "load_model"), (legacy_h5_format, "load_model_from_hdf5")]
