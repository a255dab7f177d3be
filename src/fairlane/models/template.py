"""A compiled model as a template: read for its architecture and settings, never trained or changed.

In: a compiled ``keras.Model``. Out: fresh, compiled models like it, with hyperparameters named by dotted
paths into it: ``"optimizer.learning_rate"``, ``"dropout_1.rate"``, ``"encoder.dense.kernel_regularizer.l2"``.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError, StudyError
from fairlane.kit.text import nearest
from fairlane.models import keras_private
from fairlane.models.recipes.configs import raw_settings
from fairlane.models.recipes.objects import inner_settings
from fairlane.models.recipes.rebuild import is_graph, rebuild

_COMPILED = ("optimizer", "loss", "loss_weights")
"""The compile arguments that paths may begin with."""
_LIKENESS = 0.5  # names of layers often differ in half of their letters: `dense_1`, `dense_12`


@dataclass(frozen=True)
class _Target:
    """What a path leads to: a setting of a layer, or of a compile argument."""

    key: Hashable
    keys: tuple[str, ...]


class Template:
    """A compiled model, from which others are built.

    It is read at each `build`: a learning rate that was changed after the model was compiled is the
    one that the built models start with. New weights are drawn, also for pre-trained ones; what adapted
    preprocessing layers (`Normalization`, `TextVectorization`, ...) learned from data stays. Integer
    seeds in the template are replaced, so that replicates differ.

    Args:
        model: a compiled ``keras.Model``: functional, `Sequential`, or of a class with ``get_config``.

    Raises:
        BuilderError: it is not a compiled model, or can't be rebuilt from its configs.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="out")])
        >>> model.compile("sgd", "mse")
        >>> template = Template(model)
        >>> template.check("out.units")
        >>> template.build({"out.units": 2, "optimizer.learning_rate": 0.5}).output_shape
        (None, 2)
        >>> template.check("out.unit")
        Traceback (most recent call last):
            ...
        fairlane.errors.StudyError: 'out.unit' leads nowhere in the template 'sequential': ...
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, keras.Model):
            raise BuilderError(f"A template must be a compiled keras.Model, not {type(model).__name__}.")
        if not model.compiled:
            raise BuilderError(
                f"The template {model.name!r} is not compiled, so it says neither optimizer nor loss. "
                f"Call `model.compile(optimizer=..., loss=..., metrics=[...])` first; do not fit it."
            )
        self._model = model
        with _random_state_kept():
            rebuild(model)

    def __repr__(self) -> str:
        return f"<Template {self._model.name}>"

    @property
    def model(self) -> Any:
        """The template model itself."""
        return self._model

    def check(self, path: str) -> None:
        """Raise an error where a dotted path leads nowhere.

        Args:
            path: such as ``"optimizer.learning_rate"``, ``"dropout_1.rate"``,
                ``"dense_1.kernel_regularizer.l2"`` or ``"loss"``.

        Raises:
            StudyError: there is no such layer or setting; the message lists those that there are.
        """
        self._target(path)

    def build(self, hyperparameters: Mapping[str, Any] | None = None) -> Any:
        """A fresh model like the template, with other hyperparameters.

        Args:
            hyperparameters: dotted path → value. An object among the values (a regularizer, an optimizer)
                is rebuilt too, so that one object in a grid does not tie the models together.

        Returns:
            A compiled ``keras.Model``. Its weights are a function of the random state at the call alone:
            after ``keras.utils.set_random_seed(seed)``, of the seed.

        Raises:
            StudyError: a path leads nowhere.
            BuilderError: the model can't be built with such a value.

        Example:
            >>> import keras
            >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5, name="drop")])
            >>> model.compile("sgd", "mse")
            >>> Template(model).build({"drop.rate": 0.25}).get_layer("drop").rate
            0.25
        """
        changes: dict[Hashable, dict[tuple[str, ...], Any]] = {}
        for path, value in (hyperparameters or {}).items():
            target = self._target(path)
            changes.setdefault(target.key, {})[target.keys] = value
        return rebuild(self._model, changes)

    def _target(self, path: str) -> _Target:
        """Where a path leads."""
        parts = tuple(path.split("."))
        if is_graph(self._model) and parts[0] in {layer.name for layer in self._model.layers}:
            return self._layer_target(path, self._model, parts, "")
        if parts[0] in _COMPILED:
            return self._compiled_target(path, parts)
        return self._layer_target(path, self._model, parts, "")

    def _compiled_target(self, path: str, parts: tuple[str, ...]) -> _Target:
        """A compile argument, or a setting of it; of a wrapped optimizer, the inner one's."""
        first, keys = parts[0], parts[1:]
        arguments = keras_private.compile_arguments(self._model)
        if first not in arguments:
            raise StudyError(
                f"{path!r} can't be varied in the template {self._model.name!r}, because class "
                f"{type(self._model).__name__} has its own `compile()`. Give a builder instead of a model."
            )
        value, before = arguments[first], first
        while isinstance(value, dict) and keys:
            if keys[0] not in value:
                raise self._nowhere(path, before, f"{first} has no output", keys[0], value)
            value, before, keys = value[keys[0]], f"{before}.{keys[0]}", keys[1:]
        if keys:
            settings = raw_settings(value) if hasattr(value, "get_config") else {}
            inner = inner_settings(settings.get("inner_optimizer"))
            if isinstance(inner, dict) and keys[0] not in settings:
                parts, keys = (first, "inner_optimizer", *keys), ("inner_optimizer", *keys)
            self._walk(path, before, value, settings, keys)
        return _Target(first, parts[1:])

    def _layer_target(self, path: str, model: Any, parts: tuple[str, ...], before: str) -> _Target:
        """A setting of a layer; of a model that is not a graph, an argument of its constructor."""
        if not is_graph(model):
            self._walk(path, before, model, raw_settings(model), parts)
            return _Target(id(model), parts)
        layers = {layer.name: layer for layer in model.layers}
        for end in range(len(parts), 0, -1):  # a layer's name may hold dots
            name = ".".join(parts[:end])
            if name not in layers:
                continue
            layer, rest, here = layers[name], parts[end:], f"{before}{name}"
            if isinstance(layer, keras.Model):
                if not rest:
                    raise self._incomplete(path, layer)
                return self._layer_target(path, layer, rest, f"{here}.")
            if not rest:
                raise self._incomplete(path, layer)
            self._walk(path, here, layer, raw_settings(layer), rest)
            return _Target(id(layer), rest)
        raise self._no_layer(path, model, parts, before)

    def _walk(self, path: str, before: str, owner: Any, settings: Any, keys: tuple[str, ...]) -> None:
        """Follow keys through settings, raising at the first that is not there."""
        who = type(owner).__name__
        for key in keys:
            options = [name for name in settings if name != "name"] if isinstance(settings, dict) else []
            if key not in options:
                raise self._nowhere(path, before, f"{who} has no setting", key, options)
            settings, who = inner_settings(settings[key]), f"{who}'s {key}"
            before = f"{before}.{key}" if before and not before.endswith(".") else f"{before}{key}"

    def _nowhere(self, path: str, before: str, what: str, key: str, options: Iterable[str]) -> StudyError:
        options = list(options)
        dot = "" if not before or before.endswith(".") else "."
        near = nearest(key, options, _LIKENESS)
        hint = f' Did you mean "{before}{dot}{near}"?' if near else ""
        there = f" Its settings: {', '.join(options)}." if options else " It has none to vary."
        return StudyError(
            f"{path!r} leads nowhere in the template {self._model.name!r}: {what} {key!r}.{hint}{there}"
        )

    def _no_layer(self, path: str, model: Any, parts: tuple[str, ...], before: str) -> StudyError:
        names = [layer.name for layer in model.layers if not _is_input(layer)]
        beginnings = names if before else [*names, *_COMPILED]
        near = nearest(parts[0], beginnings, _LIKENESS)
        hint = f' Did you mean "{".".join((before + near, *parts[1:]))}"?' if near else ""
        also = "" if before else f" A path may also begin with {', '.join(_COMPILED)}."
        return StudyError(
            f"{path!r} leads nowhere in the template {self._model.name!r}: {model.name!r} has no layer "
            f"{parts[0]!r}.{hint} Its layers: {', '.join(names)}.{also}"
        )

    def _incomplete(self, path: str, layer: Any) -> StudyError:
        inner = is_graph(layer)
        options = [one.name for one in layer.layers] if inner else list(raw_settings(layer))
        kind = "layers" if inner else "settings"
        listed = ", ".join(name for name in options if name != "name")
        return StudyError(
            f"{path!r} is a whole {type(layer).__name__}: say which of its {kind} to vary, as in "
            f'"{path}.{next(iter(name for name in options if name != "name"), "...")}". '
            f"Its {kind}: {listed}."
        )


def _is_input(layer: Any) -> bool:
    return isinstance(layer, keras.layers.InputLayer)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Python's and NumPy's global random state, put back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
