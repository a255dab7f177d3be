"""What layers hold besides their variables → plain data, and back.

In: a model, or one of its layers. Out: a tree of plain data (dicts, lists, numbers, strings, NumPy arrays),
which `fairlane.trials.Weights` carry; and a model of the same architecture whose layers hold the same again.

Keras has hooks for that, and they are used as Keras's own saving uses them: ``save_own_variables`` and
``load_own_variables``, ``save_assets`` and ``load_assets``, ``get_build_config`` and ``build_from_config``.
So a `Normalization` computes its constants, a lookup gets its vocabulary, and a custom layer restores what
it likes. Of a custom class, attributes that are plain data or tensors are carried, too: ``adapt`` may set one
or a builder, and no hook of Keras knows it.

All ways by which a model comes back use this: `fairlane.copy`, a study's models, its files and checkpoints,
and models that go to a worker.
"""

from __future__ import annotations

import inspect
import json
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import keras
import numpy as np

from fairlane.errors import StudyError
from fairlane.kit.libraries import home_of, is_keras_class
from fairlane.kit.values import same_bits, same_trees
from fairlane.models import keras_private
from fairlane.trials import State

LayerState = Mapping[str, Any]
"""Plain data: ``class`` and ``layer`` (names), ``at`` (the layer's place among all of the model's), and those
of ``config`` (JSON), ``build``, ``own``, ``assets``, ``attributes`` and ``why`` that there are."""

_HOOKS = ("save_own_variables", "load_own_variables", "save_assets", "load_assets", "finalize_state", "adapt")
_GROUPS = ("trainable", "non_trainable")
_IN_CONFIG = {"Discretization": ("bin_boundaries", "summary")}
"""What Keras's own layers learn from data and keep in their config, which a study has once per variant."""
_SCALARS = (bool, int, float, str, type(None))
_IN_SETS = (bool, int, float, str)


def holds_more(layer: Any) -> bool:
    """Whether a layer's state is more than its variables, as far as its class shows.

    A layer of Keras's own that adapts to nothing has only variables; its hooks are for quantization.
    """
    if hasattr(type(layer), "adapt"):
        return True
    homes = (home_of(type(layer), hook) for hook in _HOOKS)
    return any(home is not None and not is_keras_class(home) for home in homes)


def read_layers(model: Any) -> list[LayerState]:
    """What the layers of a model hold besides the variables of the model.

    Args:
        model: a model; it is only read. Its variables need not be up to date.

    Returns:
        Plain data, for `write_layers`. Values that are the model's own variables stand as their places.
    """
    places = {
        id(variable): [group, i]
        for group in _GROUPS
        for i, variable in enumerate(getattr(model, f"{group}_variables"))
    }
    states: list[LayerState] = []
    for at, layer in enumerate(keras_private.all_layers(model)):
        state = read_layer(layer, places)
        if state is not None:
            states.append({**state, "at": at})
    return states


def read_layer(layer: Any, places: Mapping[int, Any] | None = None) -> LayerState | None:
    """The same of one layer, without the layers inside it.

    Args:
        layer: any layer.
        places: the ``id`` of a variable → what to write instead of its value.

    Returns:
        Plain data, for `write_layer`; None where it has no such state.
    """
    state: dict[str, Any] = {}
    if holds_more(layer):
        try:
            state = _by_hooks(layer, places or {})
        except Exception as error:  # of the user's code; the layer trains all the same
            state = {"why": f"{type(error).__name__}: {error!s:.300}"}
    attributes = _attributes(layer)
    if attributes:
        state["attributes"] = attributes
    if state and (config := _config(layer)):
        state["config"] = config
    return {"class": type(layer).__name__, "layer": str(layer.name), **state} if state else None


def write_layers(
    model: Any,
    states: Iterable[LayerState] | None,
    values: State,
    strict: bool = True,
) -> None:
    """Give the layers of a model their stored state. The values of variables are to be assigned afterwards.

    Args:
        model: one of the same architecture.
        states: as `read_layers` gave them; None in studies of earlier versions, which did not store them.
        values: those of the model's variables.
        strict: whether all layers must be there; else those are left out that building the model makes.

    Raises:
        StudyError: they are of another model, or a layer does not accept them.
    """
    layers = keras_private.all_layers(model)
    if states is None:
        return
    for state in states:
        at = state.get("at") if isinstance(state, Mapping) else None
        if not isinstance(at, int) or not 0 <= at < len(layers) or not _is_of(layers[at], state):
            if not strict:
                continue
            raise StudyError(
                f"the state of {_described(state)} is of a model with other layers than {model.name!r}"
            )
        write_layer(layers[at], _with_values(state, values))


def compute_again(model: Any, states: Iterable[LayerState] | None) -> None:
    """After the variables were assigned, let layers compute what they hold instead of them.

    Needed in studies of earlier versions: a `Normalization` computes with constants that it makes from its
    variables.

    Args:
        model: a model whose variables have their values.
        states: as for `write_layers`.
    """
    if states is not None:
        return
    for layer in keras_private.all_layers(model):
        if hasattr(type(layer), "adapt") and layer.built and keras_private.own_variables(layer):
            store: dict[str, Any] = {}
            layer.save_own_variables(store)
            layer.load_own_variables({name: _array(value) for name, value in store.items()})


def write_layer(layer: Any, state: LayerState) -> None:
    """Give one layer the stored state of another; the values of its variables may change, too.

    Raises:
        StudyError: it does not accept that.
    """
    who = f"layer {layer.name!r} ({type(layer).__name__})"
    if "why" in state:
        raise StudyError(
            f"{who} could not report what it holds besides its variables ({state['why']!s:.300}), so it "
            f"would compute something else here; correct its save_own_variables or save_assets"
        )
    try:
        if state.get("build") and not layer.built:
            layer.build_from_config(state["build"])
        if state.get("own"):
            layer.load_own_variables(dict(state["own"]))
        if state.get("assets"):
            _load_assets(layer, state["assets"])
        for name, value in (state.get("attributes") or {}).items():
            _set_attribute(layer, name, value)
    except StudyError:
        raise
    except Exception as error:  # of Keras's or the user's code, for values that may come from anywhere
        raise StudyError(
            f"{who} does not accept its stored state ({type(error).__name__}: {error!s:.300})"
        ) from error


# --- Keras's hooks --------------------------------------------------------------------------------------


def _by_hooks(layer: Any, places: Mapping[int, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    build = layer.get_build_config() if layer.built else None
    if build:
        state["build"] = _shapes(build)
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    if store:
        state["own"] = {
            str(name): {"variable": places[id(value)]} if id(value) in places else _array(value)
            for name, value in store.items()
        }
    if hasattr(layer, "save_assets") and (assets := _saved_assets(layer)):
        state["assets"] = assets
    return state


def _config(layer: Any) -> str:
    """A layer's config as JSON; empty where there is none, or for a model, whose config holds others'."""
    if isinstance(layer, keras.Model):
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return json.dumps(keras.saving.serialize_keras_object(layer)["config"])
    except Exception:  # of the user's code; the description of the whole model has the reason
        return ""


def _with_values(state: LayerState, values: State) -> LayerState:
    """With the values of variables instead of their places."""
    own = {}
    for name, value in (state.get("own") or {}).items():
        if isinstance(value, Mapping):
            group, i = value["variable"]
            try:
                value = values._asdict()[group][i]
            except (LookupError, TypeError) as error:
                raise StudyError(
                    f"the state of {_described(state)} names a variable that does not exist"
                ) from error
        own[name] = value
    return {**state, "own": own}


def _saved_assets(layer: Any) -> dict[str, Any]:
    """The files that a layer writes: path in their folder → bytes."""
    with tempfile.TemporaryDirectory() as folder:
        layer.save_assets(folder)
        return {
            path.relative_to(folder).as_posix(): np.frombuffer(path.read_bytes(), np.uint8)
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }


def _load_assets(layer: Any, assets: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in assets.items():
            parts = PurePosixPath(name).parts
            if not parts or "\\" in name or ":" in name or any(part in ("/", "..") for part in parts):
                raise StudyError(f"the file {name!r:.60} of layer {layer.name!r} lies outside its folder")
            path = Path(folder, *parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(np.asarray(content, np.uint8).tobytes())
        layer.load_assets(folder)


# --- attributes -----------------------------------------------------------------------------------------


def _attributes(layer: Any) -> dict[str, Any]:
    """Those attributes of a layer that are its state and no config of Keras's holds for each trial."""
    if is_keras_class(type(layer)):
        names = _IN_CONFIG.get(type(layer).__name__, ())
        found = {name: getattr(layer, name, None) for name in names}
    else:
        found = {name: value for name, value in vars(layer).items() if _is_own(layer, name)}
    encoded = {name: _encoded(value) for name, value in found.items()}
    return {name: value for name, value in encoded.items() if value is not _NO_DATA}


def _set_attribute(layer: Any, name: str, value: Any) -> None:
    """Set an attribute where it is another; nothing that a class defines is hidden by one from a store."""
    value = _decoded(value)
    defined = inspect.getattr_static(type(layer), name, None)
    if not name.isidentifier() or callable(defined) or hasattr(type(defined), "__get__"):
        return
    known = _IN_CONFIG.get(type(layer).__name__, ()) if is_keras_class(type(layer)) else ()
    if name not in known and (is_keras_class(type(layer)) or not _is_own(layer, name)):
        return
    if not _same(getattr(layer, name, _NO_DATA), value):
        setattr(layer, name, value)


def _is_own(layer: Any, name: str) -> bool:
    """Whether a custom class, or the code that made the layer, has given it this attribute."""
    return name not in _names_of_keras() and not (isinstance(layer, keras.Model) and name.startswith("_"))


_names_of_keras = cache(keras_private.names_of_attributes)


_NO_DATA = object()


def _encoded(value: Any) -> Any:
    """As plain data, tensors and arrays marked; `_NO_DATA` where it is another object."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, np.ndarray | np.generic):
        return _NO_DATA if value.dtype.hasobject else {"array": np.array(value)}
    if isinstance(value, keras.Variable | keras.KerasTensor):
        return _NO_DATA
    if isinstance(value, list | tuple) and type(value).__name__ in ("list", "tuple", "TrackedList"):
        items = [_encoded(item) for item in value]
        if any(item is _NO_DATA for item in items):
            return _NO_DATA
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, set | frozenset) and all(type(item) in _IN_SETS for item in value):
        return {type(value).__name__.removeprefix("Tracked").lower(): sorted(value, key=repr)}
    if isinstance(value, dict):
        if not all(type(key) is str for key in value):
            return _NO_DATA
        items_of = {key: _encoded(item) for key, item in value.items()}
        return _NO_DATA if any(item is _NO_DATA for item in items_of.values()) else {"dict": items_of}
    if keras.ops.is_tensor(value):
        try:
            return {"tensor": np.array(keras.ops.convert_to_numpy(value))}
        except Exception:  # a tensor of a trace that has ended, or of random keys
            return _NO_DATA
    return _NO_DATA


def _decoded(value: Any) -> Any:
    """The value that `_encoded` was given."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    ((kind, inner),) = value.items()
    match kind:
        case "array":
            return np.array(inner) if np.ndim(inner) else np.asarray(inner)[()]
        case "tensor":
            return keras.ops.convert_to_tensor(np.asarray(inner))
        case "tuple":
            return tuple(_decoded(item) for item in inner)
        case "dict":
            return {key: _decoded(item) for key, item in inner.items()}
        case "set":
            return set(inner)
        case "frozenset":
            return frozenset(inner)
    raise StudyError(f"a layer's state holds a {kind!r:.40}, which this version does not know")


def _same(a: Any, b: Any) -> bool:
    """Whether two values are equal, and of one kind."""
    return same_trees(a, b, _same_leaf)


def _same_leaf(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    return same_bits(a, b) if hasattr(a, "shape") else bool(a is b or a == b)


# --- small parts ----------------------------------------------------------------------------------------


def _is_of(layer: Any, state: LayerState) -> bool:
    return type(layer).__name__ == state.get("class")


def _described(state: Any) -> str:
    if not isinstance(state, Mapping):
        return "a layer"
    return f"layer {state.get('layer')!r:.60} ({state.get('class')!s:.60})"


def _array(value: Any) -> Any:
    """A value as a NumPy array of its own."""
    return np.array(keras.ops.convert_to_numpy(value) if not isinstance(value, np.ndarray) else value)


def _shapes(config: Any) -> Any:
    """The config of a build: shapes, in lists that Keras may have made to watch them, and names."""
    if isinstance(config, Mapping):
        return {str(key): _shapes(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        items = [_shapes(value) for value in config]
        return items if isinstance(config, list) else tuple(items)
    if isinstance(config, np.generic):
        return config.item()
    if type(config) in _SCALARS:
        return config
    raise TypeError(f"get_build_config() returns a {type(config).__name__}")
