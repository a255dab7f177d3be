"""A live model → a recipe from which another process, on another backend, makes the same model.

In: a compiled model. Out: a `PortableRecipe` of plain values, classes and functions, which cloudpickle can
pickle; and in the other process a model of the same architecture and compile arguments. The values of
variables are not part of it; what layers hold besides is, such as what they adapted.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from fairlane.errors import BuilderError
from fairlane.kit.libraries import is_keras_class
from fairlane.kit.values import as_python, mapped
from fairlane.models import keras_private, layer_state
from fairlane.models.recipes.compiled import (
    OBJECTS,
    Exclusions,
    has_own_compile,
    plain_arguments,
    read_exclusions,
    write_exclusions,
)
from fairlane.models.recipes.configs import BUILDER_INSTEAD
from fairlane.models.recipes.objects import ObjectRecipe, has_config, made, read_object


@dataclass(frozen=True)
class PortableRecipe:
    """What a model is made from.

    Attributes:
        model: the model itself.
        compiled: the arguments of ``compile``.
        trainable: the flag of each layer, at any depth.
        layers: number of a layer → what it holds besides its variables.
        excluded: what the optimizer, and each that it wraps, excludes from weight decay.
    """

    model: ObjectRecipe
    compiled: Mapping[str, Any]
    trainable: tuple[bool, ...]
    layers: Mapping[int, layer_state.LayerState]
    excluded: tuple[Exclusions, ...] = field(default=())

    @classmethod
    def of(cls, model: Any) -> PortableRecipe:
        """The recipe of a compiled model.

        Raises:
            BuilderError: it can't be made again from configs.
        """
        layers = keras_private.all_layers(model)
        return cls(
            _model(model),
            _compiled(model),
            tuple(layer.trainable for layer in layers),
            {i: state for i, x in enumerate(layers) if (state := _state(x)) is not None},
            tuple(read_exclusions(model.optimizer, model.variables)),
        )

    def make(self) -> Any:
        """The model, compiled; its weights are drawn, not those of the first.

        Raises:
            BuilderError: what is made has other layers.
        """
        new = self.model.make()
        layers = keras_private.all_layers(new)
        if len(layers) != len(self.trainable):
            raise BuilderError(
                f"model {new.name!r} has {len(layers)} layers when made from its config, and "
                f"{len(self.trainable)} as it is. {BUILDER_INSTEAD}"
            )
        for layer, trainable in zip(layers, self.trainable, strict=True):
            if layer.trainable != trainable:
                layer.trainable = trainable
        for i, state in self.layers.items():
            layer_state.write_layer(layers[i], state)
        new.compile(**made(self.compiled))
        write_exclusions(new.optimizer, self.excluded, new.variables)
        return new


def _model(model: Any) -> ObjectRecipe:
    """A model; each layer of a graph is read by itself, so that none is taken for another."""
    if not _is_graph(model):
        return _object(model)
    layers = {layer.name: layer for layer in keras.Model.layers.fget(model)}
    settings: dict[str, Any] = dict(model.get_config())
    scope: dict[str, Any] = {}
    settings["layers"] = list(settings["layers"])
    for i, entry in enumerate(settings["layers"]):
        layer = layers.get(entry.get("name") or entry["config"].get("name"))
        if layer is not None:
            inner = _model(layer) if isinstance(layer, keras.Model) else _object(layer)
            settings["layers"][i] = {**entry, "config": inner.settings}
            scope |= inner.scope
    return ObjectRecipe(_portable_class(model), settings, scope)


def _is_graph(model: Any) -> bool:
    """Whether its config is Keras's own list of layers."""
    listed = isinstance(model, keras.Sequential) or keras_private.is_functional(model)
    return bool(listed and is_keras_class(type(model), "get_config"))


def _object(value: Any) -> ObjectRecipe:
    return replace(read_object(value, keep_seeds=True, renew=_packed), kind=_portable_class(value))


def _portable_class(value: Any) -> type:
    """Its class; on torch Keras has optimizers of its own, for which the ones for all backends stand."""
    classes = type(value).__mro__
    return next(kind for kind in classes if not kind.__module__.startswith("keras.src.backend."))


def _packed(value: Any) -> Any:
    """A compile argument or setting, with a recipe for each object."""
    return mapped(value, _packed_leaf)


def _packed_leaf(value: Any) -> Any:
    if inspect.ismethod(value) and isinstance(value.__self__, keras.Layer):
        raise BuilderError(
            f"the model is compiled with the method `{value.__name__}` of {type(value.__self__).__name__}, "
            f"which can't leave it. {BUILDER_INSTEAD}"
        )
    return _object(value) if has_config(value) else as_python(value)


def _compiled(model: Any) -> dict[str, Any]:
    if has_own_compile(model):
        raise BuilderError(
            f"class {type(model).__name__} has a `compile()` of its own, whose arguments can't be read "
            f"off the model. {BUILDER_INSTEAD}"
        )
    arguments = keras_private.compile_arguments(model)
    return {
        **{name: _packed(arguments[name]) for name in OBJECTS},
        **plain_arguments(model),
    }


def _state(layer: Any) -> layer_state.LayerState | None:
    if hasattr(layer, "save_assets") and is_keras_class(type(layer), "save_assets"):
        raise BuilderError(f"layer {layer.name!r} has a vocabulary, which needs TensorFlow")
    return layer_state.read_layer(layer)
