"""A live model as a recipe that another process, on another backend, can make the same model from.

In: a compiled model. Out: a `Recipe` of plain values, classes and functions, which cloudpickle carries; and
on the other side a model of the same architecture and compile arguments. Values of variables do not travel
with it, but for what layers hold besides, such as what they adapted.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError
from fairlane.models import keras_private, layer_state
from fairlane.models.configs import BUILDER_INSTEAD, class_name, config_of, is_keras_class

_KINDS = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")


@dataclass(frozen=True)
class Thing:
    """An object with a config.

    Attributes:
        kind: its class.
        settings: its config; objects in it are `Thing` again.
        scope: name → the custom class or function that the settings call by that name.
    """

    kind: type
    settings: Mapping[str, Any]
    scope: Mapping[str, Any]

    def make(self) -> Any:
        """The object."""
        with keras.saving.custom_object_scope(dict(self.scope)):
            return self.kind.from_config(_made(self.settings))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Recipe:
    """What a model is made from.

    Attributes:
        model: the model itself.
        compiled: the arguments of ``compile``.
        trainable: the flag of each layer, at any depth.
        layers: number of a layer → what it holds besides its variables.
        excluded: of the optimizer and those in it: which variables have no weight decay, by number and name.
    """

    model: Thing
    compiled: Mapping[str, Any]
    trainable: tuple[bool, ...]
    layers: Mapping[int, layer_state.LayerState]
    excluded: tuple[tuple[list[int], list[str]], ...] = field(default=())

    @classmethod
    def of(cls, model: Any) -> Recipe:
        """The recipe of a compiled model.

        Raises:
            BuilderError: it can't be made anew from configs.
        """
        layers = keras_private.all_layers(model)
        return cls(
            _model(model),
            _compiled(model),
            tuple(layer.trainable for layer in layers),
            {i: state for i, x in enumerate(layers) if (state := _state(x)) is not None},
            tuple(
                keras_private.excluded_from_weight_decay(o, model.variables)
                for o in _optimizers(model.optimizer)
            ),
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
            layer_state.give_to_layer(layers[i], state)
        new.compile(**_made(self.compiled))
        for optimizer, (numbers, names) in zip(_optimizers(new.optimizer), self.excluded, strict=True):
            if numbers or names:
                optimizer.exclude_from_weight_decay([new.variables[n] for n in numbers], names)
        return new


def _model(model: Any) -> Thing:
    """A model; each layer of a graph is read by itself, so that none is taken for another."""
    thing = _thing(model, model.get_config()) if _is_graph(model) else _thing(model)
    if not _is_graph(model):
        return thing
    layers = {layer.name: layer for layer in keras.Model.layers.fget(model)}
    settings, scope = dict(thing.settings), dict(thing.scope)
    settings["layers"] = list(settings["layers"])
    for i, entry in enumerate(settings["layers"]):
        layer = layers.get(entry.get("name") or entry["config"].get("name"))
        if layer is not None:
            inner = _model(layer) if isinstance(layer, keras.Model) else _thing(layer)
            settings["layers"][i] = {**entry, "config": inner.settings}
            scope |= inner.scope
    return Thing(thing.kind, settings, scope)


def _is_graph(model: Any) -> bool:
    """Whether its config is Keras's own list of layers."""
    listed = isinstance(model, keras.Sequential) or keras_private.is_functional(model)
    return bool(listed and is_keras_class(type(model), "get_config"))


def _thing(value: Any, settings: Mapping[str, Any] | None = None) -> Thing:
    if settings is not None:
        return Thing(_kind(value), settings, {})
    config = config_of(value, keep_seeds=True, renew=_packed)
    return Thing(_kind(value), config.settings, config.scope)


def _kind(value: Any) -> type:
    """Its class; on torch Keras has optimizers of its own, for which the ones for all backends stand."""
    classes = type(value).__mro__
    return next(kind for kind in classes if not kind.__module__.startswith("keras.src.backend."))


def _packed(value: Any) -> Any:
    """A compile argument or setting, with a `Thing` for each object."""
    if isinstance(value, dict):
        return {key: _packed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        items = [_packed(inner) for inner in value]
        return tuple(items) if isinstance(value, tuple) else items
    if inspect.ismethod(value) and isinstance(value.__self__, keras.Layer):
        raise BuilderError(
            f"the model is compiled with the method `{value.__name__}` of {class_name(value.__self__)}, "
            f"which can't leave it. {BUILDER_INSTEAD}"
        )
    if hasattr(value, "get_config") and not isinstance(value, type | keras.DTypePolicy):
        return _thing(value)
    return value.item() if isinstance(value, np.generic) else value


def _made(value: Any) -> Any:
    """The objects again."""
    if isinstance(value, Thing):
        return value.make()
    if isinstance(value, Mapping):
        return {key: _made(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        items = [_made(inner) for inner in value]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def _compiled(model: Any) -> dict[str, Any]:
    if type(model).compile is not keras.Model.compile:
        raise BuilderError(
            f"class {class_name(model)} has a `compile()` of its own, whose arguments can't be read off the "
            f"model. {BUILDER_INSTEAD}"
        )
    arguments = keras_private.compile_arguments(model)
    return {
        **{kind: _packed(arguments[kind]) for kind in _KINDS},
        "run_eagerly": model.run_eagerly,
        "steps_per_execution": model.steps_per_execution,
        "auto_scale_loss": isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer),
    }


def _optimizers(optimizer: Any) -> Iterator[Any]:
    """The optimizer, and those that it wraps."""
    while optimizer is not None:
        yield optimizer
        optimizer = getattr(optimizer, "inner_optimizer", None)


def _state(layer: Any) -> layer_state.LayerState | None:
    if hasattr(layer, "save_assets") and is_keras_class(type(layer), "save_assets"):
        raise BuilderError(f"layer {layer.name!r} has a vocabulary, which needs TensorFlow")
    return layer_state.told_of_layer(layer)
