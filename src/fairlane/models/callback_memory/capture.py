"""What callbacks remember → plain data.

In: a trial's callbacks between two epochs. Out: a tree of plain data in which each object that can change has
a number, so that two places that hold one object hold one again afterwards. All of it is copied, so that what
changes later does not change the tree.

Captured are numbers, texts, arrays, containers, Keras's variables, random generators, objects of the user's
classes, and what functions, methods and partials hold: outer variables, defaults and arguments. Functions,
classes and other constants are described, to see later whether those of the new callbacks are the same. For
anything else there is no plain data, and `CannotTell` is raised.
"""

from __future__ import annotations

import functools
import inspect
import random
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fairlane.kit.libraries import is_installed, is_user_function
from fairlane.models import keras_private
from fairlane.models.callback_memory.attributes import is_set_by_keras
from fairlane.models.callback_memory.plain_data import TAG, CannotTell, simple
from fairlane.models.identity import functions, holds, objects

MISSING = object()
_CONTAINERS = (list, dict, set, deque, bytearray)
PLAIN_CONTAINERS = (list, dict, set, deque, bytearray, OrderedDict, defaultdict, Counter)
"""Those that can be made again; others are filled where they stand."""
_RANDOM = (random.Random, np.random.Generator, np.random.RandomState)
_OF_KERAS = (
    keras.Layer,
    keras.Metric,
    keras.optimizers.Optimizer,
    keras.random.SeedGenerator,
    keras.Variable,
)
# --- callbacks → plain data -----------------------------------------------------------------------------


def captured(callbacks: Sequence[Any]) -> dict[str, Any]:
    """What callbacks remember.

    Raises:
        CannotTell: one of them holds something else; what it is, and where.
    """
    capture = Capture(callbacks)
    try:
        states = [capture.callback(callback) for callback in callbacks]
    except RecursionError:
        raise CannotTell("a callback remembers something that is nested too deeply") from None
    return {"classes": [name_of(type(c)) for c in callbacks], "states": states, "objects": capture.objects}


class Capture:
    """Turns values into plain data; objects that can change get a number each."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self.objects: list[dict[str, Any]] = []
        self.met: dict[int, Any] = {}
        self.code: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._arrays: dict[int, Any] = {}
        self._alive: list[Any] = []
        self._parts = {id(part): i for i, part in enumerate(parts_of_model(callbacks))}

    def callback(self, callback: Any) -> Any:
        """A callback, and all that it holds."""
        return self.value(callback, f"callback {type(callback).__name__}")

    def value(self, value: Any, where: str) -> Any:
        """A value, and all that it holds."""
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if id(value) in self._parts:
            return {TAG: "part of the model", "of": self._parts[id(value)]}
        if kind is tuple:
            return tuple(self.value(item, f"{where}[{i}]") for i, item in enumerate(value))
        if kind is frozenset:
            return {TAG: "frozenset", "of": [self.value(item, where) for item in value]}
        single = simple(value)
        if single is not None:
            return single
        if isinstance(value, types.MethodType):
            function = self.value(value.__func__, where)
            owner = self.value(value.__self__, f"{where}'s object")
            return {TAG: "method", "name": value.__func__.__name__, "self": owner, "function": function}
        if isinstance(value, types.BuiltinMethodType) and isinstance(value.__self__, _CONTAINERS):
            owner = self.value(value.__self__, f"{where}'s object")
            return {TAG: "method of a container", "name": value.__name__, "self": owner}
        if isinstance(value, type | types.FunctionType):
            self.code.append(value)
        read = self._reader_of(value)
        return self._constant(value, where) if read is None else self._numbered(value, where, read)

    def _reader_of(self, value: Any) -> Callable[[Any, str], dict[str, Any]] | None:
        """What reads an object that can change; None for others."""
        if isinstance(value, np.ndarray):
            return self._array
        if isinstance(value, _CONTAINERS):
            return self._container
        if isinstance(value, types.FunctionType):
            return self._function if _holds_more(value) else None
        if isinstance(value, type):
            return None if is_installed(value.__module__) else self._class
        if isinstance(value, types.CellType):
            return self._cell
        if isinstance(value, functools.partial):
            return self._partial
        if isinstance(value, _RANDOM):
            return lambda one, where: {"kind": "random", "of": self.value(_random_state(one), where)}
        if isinstance(value, _OF_KERAS):
            return self._of_keras
        if isinstance(value, keras.callbacks.Callback) or not is_installed(type(value).__module__):
            return self._object
        return self._object if type(value) is types.SimpleNamespace else None

    def _numbered(self, value: Any, where: str, read: Callable[[Any, str], dict[str, Any]]) -> Any:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.objects)
            self.met[id(value)] = value
            entry: dict[str, Any] = {"class": name_of(type(value)), "where": where}
            self.objects.append(entry)
            entry.update(read(value, where))
        return {TAG: "object", "of": number}

    def _constant(self, value: Any, where: str) -> Any:
        described = describe(value)
        if objects.is_unknown(described):
            raise CannotTell(f"{where} is a {type(value).__name__}, which is not plain data")
        return {TAG: "constant", "of": described}

    def _array(self, value: np.ndarray[Any, Any], where: str) -> dict[str, Any]:
        if value.dtype.hasobject:
            raise CannotTell(f"{where} is an array of objects")
        base: Any = value
        while isinstance(base.base, np.ndarray):
            base = base.base
        if self._arrays.setdefault(id(base), value) is not value:
            raise CannotTell(f"{where} shares its memory with another array")
        self._alive.append(base)
        return {"kind": "array", "of": value.copy()}

    def _container(self, value: Any, where: str) -> dict[str, Any]:
        more = self._attributes(getattr(value, "__dict__", {}), where)
        if isinstance(value, dict):
            pairs = [[self.value(k, where), self.value(v, f"{where}[{k!r:.40}]")] for k, v in value.items()]
            factory = self.value(getattr(value, "default_factory", None), where)
            return {"kind": "dict", "of": pairs, "factory": factory, "attributes": more}
        if isinstance(value, bytearray):
            return {"kind": "bytearray", "of": np.frombuffer(bytes(value), np.uint8), "attributes": more}
        items = [self.value(item, f"{where}[{i}]") for i, item in enumerate(value)]
        kind = next(k.__name__ for k in _CONTAINERS if isinstance(value, k))
        return {"kind": kind, "of": items, "longest": getattr(value, "maxlen", None), "attributes": more}

    def _function(self, function: types.FunctionType, where: str) -> dict[str, Any]:
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        ignored = functions.only_written(function)
        return {
            "kind": "function",
            "name": function_name(function),
            "cells": {
                name: self.value(cell, f"{where}'s outer variable {name}")
                for name, cell in cells
                if name not in ignored
            },
            "defaults": self.value(function.__defaults__, f"{where}'s defaults"),
            "keywords": self._attributes(function.__kwdefaults__ or {}, f"{where}'s defaults"),
            "attributes": self._attributes(
                {k: v for k, v in vars(function).items() if k != "__wrapped__"}, where
            ),
        }

    def _class(self, cls: type, where: str) -> dict[str, Any]:
        """A class of the user's: the outer variables of its methods."""
        parts = {f"{name} {i}": f for name, item in vars(cls).items() for i, f in functions_of(item)}
        return {
            "kind": "class",
            "name": name_of(cls),
            "functions": {name: self.value(part, f"{where}'s {name}") for name, part in parts.items()},
            "bases": [self.value(base, where) for base in cls.__bases__],
        }

    def _cell(self, cell: types.CellType, where: str) -> dict[str, Any]:
        try:
            return {"kind": "cell", "full": True, "of": self.value(cell.cell_contents, where)}
        except ValueError:
            return {"kind": "cell", "full": False, "of": None}

    def _partial(self, value: functools.partial[Any], where: str) -> dict[str, Any]:
        parts = {name: self.value(getattr(value, name), where) for name in ("func", "args", "keywords")}
        return {"kind": "partial", **parts, "attributes": self._attributes(vars(value), where)}

    def _of_keras(self, value: Any, where: str) -> dict[str, Any]:
        values = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables_of(value)]
        held = {}
        if not is_installed(type(value).__module__):
            set_by_keras = holds.set_by_keras(type(value).__mro__)
            held = {name: item for name, item in vars(value).items() if name not in set_by_keras}
        return {"kind": "variables", "of": values, "attributes": self._attributes(held, where)}

    def _object(self, value: Any, where: str) -> dict[str, Any]:
        attributes = holds.attributes_of(value)
        if attributes is None and type(value) is types.SimpleNamespace:
            attributes = vars(value)
        if attributes is None:
            raise CannotTell(f"{where} is a {type(value).__name__}, which is not plain data")
        of_callback = isinstance(value, keras.callbacks.Callback)
        captured: dict[str, Any] = {}
        for name, item in attributes.items():
            if of_callback and is_set_by_keras(value, name):
                continue
            try:
                captured[name] = self.value(item, f"{where}, attribute {name}")
            except CannotTell:
                # Files and writers of Keras's own callbacks, which are opened when training begins.
                if not (of_callback and _is_keras_own(value, name) and not holds.is_of_user(item)):
                    raise
        return {"kind": "object", "attributes": captured, "type": self.value(type(value), where)}

    def _attributes(self, held: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {name: self.value(item, f"{where}, attribute {name}") for name, item in held.items()}


# --- small parts ----------------------------------------------------------------------------------------


def name_of(cls: type) -> str:
    """A class's module and name."""
    return f"{cls.__module__}.{cls.__qualname__}"


def describe(value: Any) -> str:
    """What a constant is: another text for each; see `objects.is_unknown` for those that can't be read."""
    if isinstance(value, type):
        return name_of(value)
    if isinstance(value, types.FunctionType):
        return function_name(value)
    reader = objects.Reader()
    text = objects.text_of(reader.read(value))
    return objects.UNKNOWN + text if reader.unknown else text


def function_name(function: types.FunctionType) -> str:
    """A function's name, with a hash of its code."""
    return f"{function.__module__}.{function.__qualname__} {functions.digest(function.__code__)}"


def _holds_more(function: types.FunctionType) -> bool:
    """Whether a function is more than its code."""
    held = function.__closure__ or function.__defaults__ or function.__kwdefaults__ or vars(function)
    return bool(held) and (is_user_function(function) or not function.__module__.startswith("keras."))


def functions_of(item: Any) -> list[tuple[int, types.FunctionType]]:
    """The functions that an item of a class is made of, counted."""
    return list(enumerate(holds.functions_in(item)))


def parts_of_model(callbacks: Sequence[Any]) -> list[Any]:
    """The model that callbacks serve, and its parts: their state is the trial's own."""
    model = next((vars(c)["_model"] for c in callbacks if vars(c).get("_model") is not None), None)
    if model is None:
        return []
    layers = keras_private.all_layers(model)
    metrics = [metric for metric in getattr(model, "metrics", ()) if metric is not None]
    optimizer = getattr(model, "optimizer", None)
    owners = [*layers, *metrics, *([] if optimizer is None else [optimizer])]
    return [*owners, *(variable for owner in owners for variable in owner.variables)]


def variables_of(value: Any) -> list[Any]:
    """All variables of an object of Keras's."""
    if isinstance(value, keras.Variable):
        return [value]
    if isinstance(value, keras.random.SeedGenerator):
        return [value.state]
    optimizer = getattr(value, "optimizer", None) if isinstance(value, keras.Model) else None
    return [*value.variables, *([] if optimizer is None else optimizer.variables)]


@functools.cache
def _arguments(classes: tuple[type, ...]) -> frozenset[str]:
    """What classes are made with."""
    return frozenset(name for cls in classes for name in inspect.signature(cls).parameters)


def _is_keras_own(callback: Any, name: str) -> bool:
    """Whether a class of Keras's made the attribute, and it is not what the callback was given."""
    own = tuple(cls for cls in type(callback).__mro__ if cls.__module__.startswith("keras."))
    return (
        name not in _arguments(own)
        and bool(own)
        and (own[0] is type(callback) or name in holds.set_by_keras(own))
    )


def _random_state(value: Any) -> Any:
    if isinstance(value, random.Random):
        return value.getstate()
    return (
        value.bit_generator.state if isinstance(value, np.random.Generator) else value.get_state(legacy=False)
    )


def item_of(live: Any, place: int) -> Any:
    """What a sequence has at a place, or `MISSING`."""
    return live[place] if isinstance(live, list | tuple | deque) and place < len(live) else MISSING


def contents(cell: types.CellType) -> Any:
    """The value of an outer variable, or `MISSING`."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
