"""A model as text that says how to build it, and back, without executing anything that the text says.

In: a compiled ``keras.Model``, and a batch that it is trained on. Out: JSON: Keras's own config of the model
and its compile arguments, and the batch's shapes and dtypes. And from such JSON, a built, compiled model:
only classes of Keras, and those that the caller names, are made; code in the config is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from fairlane.errors import StudyError
from fairlane.models import keras_private, layer_state
from fairlane.models.session import left_as_found
from fairlane.models.variables import variable_groups
from fairlane.trials import Weights

_MODULES = (
    *("keras.layers", "keras.models", "keras.optimizers", "keras.losses", "keras.metrics"),
    *("keras.initializers", "keras.regularizers", "keras.constraints", "keras.activations"),
    *("keras.dtype_policies", "keras.quantizers", "keras.random", "keras.ops"),
)
"""Where Keras keeps what models are made of."""
_TOP = frozenset({"Sequential", "Model", "DTypePolicy", "FloatDTypePolicy", "DTypePolicyMap"})
"""What of the module ``keras`` itself is one of them."""
_PRIVATE = ("keras.src.models.functional", "keras.src.ops")
"""Where Keras finds what functional models are made of."""
_FUNCTIONS = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints", "ops")
_VALUES = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"},
)
"""Data in a config that JSON has no word for."""
_MODELS = frozenset({"Sequential", "Functional"})
_CODE = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"})
"""What holds code, or reads files that do."""
_LARGEST = 2**30
"""Values of a batch that is made only to be looked at."""
_BUILD = "give its builder: fairlane.open(store, name, build=builder)"

Batch = Any
"""Arrays as ``train_step`` gets them, of any values: their shapes and dtypes count."""


def description(model: keras.Model, batch: Batch = None) -> str:
    """How to build the model, as JSON; where it can't be told, why.

    Args:
        model: a compiled model; it is only read.
        batch: one that it is trained on, or None where it is not known yet.
    """
    shapes = keras.tree.map_structure(_shape, batch)
    try:
        config = keras.saving.serialize_keras_object(model)
        return json.dumps({"config": config, "batch": _listed(shapes)})
    except Exception as error:  # a model or loss of the user's own, that has no config
        why = f"{type(error).__name__}: {error}"
        return json.dumps({"why": why, "batch": _listed(shapes)})


def model_of(
    text: str, custom_objects: Mapping[str, Any] | None = None, weights: Weights | None = None
) -> keras.Model:
    """A compiled model, built from a description that may come from anywhere.

    Args:
        text: what `description` gave.
        custom_objects: name → class or function, for those that are not Keras's own.
        weights: those that the model will get: what its layers hold besides is needed to build some, such as
            lookups, which have as many outputs as words.

    Raises:
        StudyError: the description holds code, names what it must not, or builds no model.
    """
    told = _loaded(text)
    if not isinstance(told, dict) or "config" not in told:
        why = told.get("why", "there is no config") if isinstance(told, dict) else "it is no description"
        raise StudyError(f"the model's config could not be kept ({why!s:.300}); {_BUILD}")
    known = dict(custom_objects or {})
    if weights is not None:
        _configure(told["config"], weights.layers)
    check(told["config"], known)
    try:
        with left_as_found():
            model = keras.saving.deserialize_keras_object(
                told["config"], custom_objects=known, safe_mode=True
            )
            if isinstance(model, keras.Model) and model.compiled:
                if weights is not None:
                    layer_state.give(model, weights.layers, weights.state, strict=False)
                _build(model, told.get("batch"))
    except Exception as error:  # whatever Keras or a class of the user's raises for what was kept
        raise StudyError(
            f"the kept config builds no model ({type(error).__name__}: {error!s:.300}); {_BUILD}"
        ) from error
    if not isinstance(model, keras.Model) or not model.compiled:
        raise StudyError(f"the kept config is not that of a compiled model; {_BUILD}")
    return model


def with_variables(model: keras.Model, text: str | None) -> keras.Model:
    """A compiled model with all variables made, of the shapes that a description's batch asks for.

    Raises:
        StudyError: they can't be made.
    """
    told = _loaded(text or "null")
    try:
        with left_as_found():
            _build(model, told.get("batch") if isinstance(told, dict) else None)
    except Exception as error:  # whatever a model of the user's raises for such a batch
        raise StudyError(
            f"{model.name!r} can't be built for the kept batch ({type(error).__name__}: {error!s:.300})"
        ) from error
    return model


def write_weights(model: keras.Model, weights: Weights, what: str) -> None:
    """Give a model all that it is to remember, if its variables are those that the weights are of.

    Args:
        model: a built model.
        weights: of a model of the same architecture.
        what: whose weights they are.

    Raises:
        StudyError: the model has other variables, or a layer does not take what it held besides them.
    """
    try:
        layer_state.give(model, weights.layers, weights.state)
    except StudyError as error:
        raise StudyError(f"the model of {what} can't be given back: {error}") from error
    pairs = []
    for kind, variables, arrays in zip(
        ("trainable", "non-trainable", "optimizer", "metric"),
        variable_groups(model),
        weights.state,
        strict=True,
    ):
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [tuple(array.shape) for array in arrays]:
            raise StudyError(
                f"the weights of {what} are of another model: the {kind} variables of this one have the "
                f"shapes {shapes}, and those kept {[tuple(array.shape) for array in arrays]}"
            )
        pairs += list(zip(variables, arrays, strict=True))
    for variable, array in pairs:
        variable.assign(array)
    layer_state.settle(model, weights.layers)


# Configs of trials


def _configure(config: Any, states: Iterable[layer_state.LayerState] | None) -> None:
    """Put the configs of a trial's layers into that of its model, which is of one trial of each variant.

    What a layer learnt from data may stand there: the bins of a `Discretization`, how many words a lookup
    has.

    Args:
        config: of a model, as JSON has it; it is changed.
        states: what the trial's layers hold besides their variables.
    """
    wanted: dict[Any, list[Any]] = {}
    for state in states or ():
        try:
            found = json.loads(state["config"])
        except (KeyError, TypeError, ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            wanted.setdefault((state.get("class"), found.get("name")), []).append(found)
    nodes = [node for node in _serialised(config) if isinstance(node["config"].get("name"), str)]
    another = False
    for key, configs in wanted.items():
        there = [node for node in nodes if (node["class_name"], node["config"]["name"]) == key]
        if len(there) == len(configs) or len(configs) == 1:  # else nobody can tell which is whose
            for i, node in enumerate(there):
                other = configs[min(i, len(configs) - 1)]
                another |= node["config"] != other
                node["config"] = other
    for node in nodes:
        if another and node["class_name"] not in _MODELS:
            node.pop("build_config", None)  # others come after it, and may have other shapes


def _serialised(config: Any) -> Iterator[dict[str, Any]]:
    """The objects in a config, outer ones first, in the order in which they stand there."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
                yield value
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))


# What a config may name


def check(config: Any, custom_objects: Mapping[str, Any]) -> None:
    """Refuse a config that names anything but Keras's building blocks and the caller's own classes.

    Keras's safe mode refuses code too; this asks for less than that, before Keras reads a word of it.

    Raises:
        StudyError: it names something else; what, and what to do.
    """
    todo = [config]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                _check_class(value, custom_objects)
            todo.extend(value.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)


def _check_class(value: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> None:
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if name in _CODE:
        raise StudyError(
            f"the model has a {name}, whose code would have to be executed from the store, which Fairlane "
            f"never does; {_BUILD}"
        )
    function = name == "function"
    name = value.get("config") if function else name
    if name in _VALUES and module is None:
        return
    own = _is_kerass_function(module, name) if function else _is_kerass_class(module, name)
    if own or any(_is_known(key, custom_objects) for key in (name, registered)):
        return
    raise StudyError(
        f"the model has {name!r:.60} of {module!r:.60}, which is none of Keras's building blocks: give it, "
        f"fairlane.open(store, name, custom_objects={{{name!r:.60}: ...}}), or {_BUILD}"
    )


def _is_kerass_class(module: Any, name: Any) -> bool:
    if not isinstance(module, str) or not isinstance(name, str):
        return False
    return (module == "keras" and name in _TOP) or _lies_in(module, (*_MODULES, *_PRIVATE))


def _is_kerass_function(module: Any, name: Any) -> bool:
    if not isinstance(module, str) or not isinstance(name, str) or not name.isidentifier():
        return False
    homes = [getattr(keras, home) for home in _FUNCTIONS]
    if module == "builtins":  # where Keras says that its own functions are
        return any(callable(getattr(home, name, None)) for home in homes)
    return _lies_in(module, tuple(f"keras.{home}" for home in _FUNCTIONS))


def _lies_in(module: str, parents: tuple[str, ...]) -> bool:
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


def _is_known(name: Any, custom_objects: Mapping[str, Any]) -> bool:
    if not isinstance(name, str):
        return False
    return name in custom_objects or keras.saving.get_registered_object(name) is not None


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"the model's config in the store is no JSON ({error}); {_BUILD}") from error


# Batches


def _shape(array: Any) -> dict[str, Any] | None:
    if array is None:
        return None
    return {"shape": list(array.shape), "dtype": keras.backend.standardize_dtype(array.dtype)}


def _listed(shapes: Any) -> Any:
    """Tuples marked, which JSON does not have."""
    if isinstance(shapes, tuple):
        return {"tuple": [_listed(item) for item in shapes]}
    if isinstance(shapes, list):
        return [_listed(item) for item in shapes]
    if isinstance(shapes, dict) and not _is_shape(shapes):
        return {"dict": {key: _listed(item) for key, item in shapes.items()}}
    return shapes


def _is_shape(value: dict[str, Any]) -> bool:
    return value.keys() == {"shape", "dtype"} and isinstance(value["dtype"], str)


def _symbols(shapes: Any) -> Any:
    if isinstance(shapes, list):
        return [_symbols(item) for item in shapes]
    if not isinstance(shapes, dict):
        return None
    if _is_shape(shapes):
        if math.prod(shapes["shape"]) > _LARGEST:
            raise StudyError(f"the kept batch has the shape {shapes['shape']}, which is too large to be one")
        return keras.KerasTensor(shapes["shape"], shapes["dtype"])
    if "tuple" in shapes:
        return tuple(_symbols(item) for item in shapes["tuple"])
    return {key: _symbols(item) for key, item in shapes["dict"].items()}


def _build(model: keras.Model, shapes: Any) -> None:
    """Make all variables: those of layers, the optimizer and the metrics."""
    batch = _symbols(shapes) if shapes is not None else _guessed(model)
    if batch is not None:
        keras_private.symbolic_build_from(model, batch)


def _guessed(model: keras.Model) -> Any:
    """A batch of the shapes of a model's own inputs and outputs; None where it has none yet."""
    if not model.built or not getattr(model, "inputs", None):
        return None

    def one(tensor: Any) -> Any:
        shape = [1 if n is None else n for n in tensor.shape]
        return keras.KerasTensor(shape, keras.backend.standardize_dtype(tensor.dtype))

    if keras_private.is_functional(model):
        return tuple(keras.tree.map_structure(one, part) for part in (model.input, model.output))
    return tuple(one(tensors[0]) for tensors in (model.inputs, model.outputs))
