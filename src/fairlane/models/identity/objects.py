"""Any value → text that says what it is: the same in every process for one state, another for another.

In: constants, containers, arrays, functions, classes, objects of all kinds. Out: a text, or a dict of texts
by the names of its parts; and on the way the texts of the functions and classes that it consists of, with
what they read. No address, order of a set or count of Keras's names gets into it. What can't be read (an open
file, a generator, an object of C that can't be pickled) is listed, so that it is never taken for the same.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import json
import threading
import types
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from fairlane.kit.libraries import is_installed, is_user_function
from fairlane.models import keras_private
from fairlane.models.identity import functions, holds
from fairlane.models.identity.texts import (
    UNKNOWN,
    Tree,
    array_text,
    class_name,
    flat,
    hashed,
    in_words,
    is_constant,
    is_unknown,
    shortened,
    text_of,
)

__all__ = [
    "UNKNOWN",
    "Reader",
    "array_text",
    "hashed",
    "in_words",
    "is_unknown",
    "template_config",
    "text_of",
]

_MOST = 200_000
_LARGE = 2**20

_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Event, threading.Condition)
_NAMED_ONLY = (
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    np.ufunc,
)
_OF_ENUM = frozenset(
    {
        *("_member_map_", "_member_names_", "_member_type_", "_value2member_map_", "_unhashable_values_"),
        *("_hashable_values_", "_use_args_", "_value_repr_", "_new_member_", "_generate_next_value_"),
    }
)
_KERAS_BASES = (
    keras.Layer,
    keras.optimizers.Optimizer,
    keras.losses.Loss,
    keras.Metric,
    keras.Variable,
    keras.random.SeedGenerator,
    keras.DTypePolicy,
)


class Reader:
    """Reads values; one reader for all that belongs together, so that what they share is said once.

    Args:
        weights: whether the values of Keras's variables are part of it.
        outside: functions of which only the globals that they read are part of it, and not their outer
            variables, to see what changes while this process runs. Large arrays are then known by where
            they are. By default none, and arrays are known by their content.

    Attributes:
        found: the functions and classes that were met, and what they read: name → text or tree.
        unknown: what could not be read, and where.
    """

    def __init__(self, weights: bool = True, outside: Sequence[Any] | None = None) -> None:
        self._weights, self._here = weights, outside is not None
        self._outside = {id(function) for function in outside or ()}
        self.found: dict[str, Tree] = {}
        self.unknown: list[str] = []
        self._depth = 0
        self._seen: dict[int, str] = {}
        self._alive: list[Any] = []
        self._labels: dict[int, str] = {}

    def read(self, value: Any, where: str = "it") -> Tree:
        """What a value is.

        Args:
            value: anything.
            where: how to call the place where it was found.
        """
        self._depth += 1
        try:
            return self._read(value, where)
        except RecursionError:
            if self._depth > 1:
                raise
            return self._give_up(value, where, "nested too deeply")
        finally:
            self._depth -= 1

    def _read(self, value: Any, where: str) -> Tree:
        if is_constant(value):
            return shortened(repr(value))
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        again = self._seen.get(id(value))
        if again is not None and not _is_immutable(value):
            return f"the same as {again}"
        if len(self._seen) > _MOST:
            return self._give_up(value, where, "in something too large to be read")
        self._seen[id(value)] = where
        self._alive.append(value)
        try:
            return self._simple(value, where) or self._object(value, where)
        except RecursionError:
            raise
        except Exception as error:  # reading runs code of others
            return self._give_up(value, where, f"{type(error).__name__} when it was read")

    # --- containers and single values ---

    def _simple(self, value: Any, where: str) -> Tree | None:
        """Values without a class of their own; None for all others."""
        if isinstance(value, list | tuple | dict | set | frozenset):
            return self._container(value, where)
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, np.generic):
            return array_text(np.asarray(value))
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if isinstance(value, enum.Enum):
            inner = self.read(value.value, f"{where}.value")
            return {"type": self.read(type(value)), "name": value.name, "value": inner}
        if isinstance(value, np.dtype | range | slice | type(Ellipsis) | type(NotImplemented)):
            return repr(value)
        if isinstance(value, types.MappingProxyType):
            return self._container(dict(value), where)
        if isinstance(value, weakref.ReferenceType):
            return {"type": "weakref", "to": self.read(value(), f"{where}()")}
        if isinstance(value, _LOCKS):
            return type(value).__qualname__  # how it is held is of no account
        if isinstance(value, keras.KerasTensor):
            return f"KerasTensor {value.dtype} {value.shape}"
        if keras.ops.is_tensor(value) or holds.is_foreign_array(value):
            return array_text(value)
        return self._callable(value, where)

    def _container(self, value: Any, where: str) -> Tree:
        if isinstance(value, dict):
            read: dict[str, Tree] = {}
            for key, item in value.items():
                name = text_of(self.read(key, f"a key of {where}"))
                while name in read:  # of two objects with one state
                    name += "'"
                read[name] = self.read(item, f"{where}[{name}]")
        elif isinstance(value, list | tuple):
            read = {f"{i}": self.read(item, f"{where}[{i}]") for i, item in enumerate(value)}
        else:  # the order of a set changes with the process
            texts = sorted(text_of(self._apart(item, where)) for item in value)
            read = {f"{i}": item for i, item in enumerate(texts)}
        more = self._own_attributes(value, where)
        if not more and type(value) in (list, tuple, dict, set, frozenset):
            line = flat(type(value), read)
            if line is not None:
                return line
        kind = self._type(value)
        made = getattr(value, "default_factory", None)
        extra = {} if made is None else {"default_factory": self.read(made, f"{where}.default_factory")}
        return {"type": kind, **{f"[{name}]": part for name, part in read.items()}, **extra, **more}

    def _apart(self, value: Any, where: str) -> Tree:
        """What a value is by itself, wherever else it was met."""
        reader = Reader()
        tree = reader.read(value, f"an item of {where}")
        self.unknown += reader.unknown
        self.found.update(reader.found)
        return tree

    def _array(self, value: np.ndarray[Any, Any], where: str) -> Tree:
        if value.dtype.hasobject:
            return {"type": f"array {value.shape}", "items": self.read(value.tolist(), f"{where}.tolist()")}
        if self._here and value.nbytes > _LARGE:
            return f"array at {id(value)}"
        text = array_text(value)
        names = value.dtype.names
        return text if names is None else f"{text} {names}"

    # --- functions, methods, classes ---

    def _callable(self, value: Any, where: str) -> Tree | None:
        if isinstance(value, types.MethodType):
            function = self.read(value.__func__)
            return {
                "type": "method",
                "function": function,
                "self": self.read(value.__self__, f"{where}.self"),
            }
        if isinstance(value, functools.partial):
            parts = {name: self.read(getattr(value, name), f"{where}.{name}") for name in _OF_PARTIAL}
            return {"type": self._type(value), **parts, **self._own_attributes(value, where)}
        if isinstance(value, _NAMED_ONLY):
            bound = getattr(value, "__self__", None)
            name = (
                f"{getattr(value, '__module__', None) or ''} {getattr(value, '__qualname__', value)}".strip()
            )
            if bound is None or isinstance(bound, types.ModuleType | type):
                return name
            return {"type": name, "self": self.read(bound, f"{where}.self")}
        if isinstance(value, staticmethod | classmethod):
            return {"type": type(value).__name__, "function": self.read(value.__func__, where)}
        if isinstance(value, property):
            parts = {n: self.read(getattr(value, n), where) for n in ("fget", "fset") if getattr(value, n)}
            return {"type": "property", **parts}
        wrapped = getattr(value, "__wrapped__", None)
        if callable(wrapped) and is_installed(type(value).__module__):  # of lru_cache, jit
            return {"type": class_name(type(value)), "of": self.read(wrapped, f"{where}.__wrapped__")}
        return None

    def _function(self, function: types.FunctionType) -> str:
        """A function's name; its text, and what it reads, are found under it."""
        if not is_user_function(function):
            return self._of_library(function)
        label, new = self._label(function)
        if new:
            self.found[label] = functions.text(function) or f"code {functions.digest(function.__code__)}"
            self._reads(function, label)
        return label

    def _of_library(self, function: types.FunctionType) -> str:
        """The name of an installed function; what of the user's it was made with is found under it."""
        name = f"{function.__globals__.get('__name__')}.{function.__code__.co_qualname}"
        held = {**functions.closure(function), **functions.defaults(function)}
        mine = {n: v for n, v in held.items() if holds.is_of_user(v)}
        if not mine:
            return name
        label, new = self._label(function)
        if new:
            self.found[label] = name
            for part, value in mine.items():
                self.found[f"{label}, {part}"] = self.read(value, f"{label}, {part}")
        return label

    def _reads(self, function: types.FunctionType, label: str) -> None:
        read = functions.outside if id(function) in self._outside else functions.reads
        for name, value in read(function):
            tree = self.read(value, f"{label}, {name}")
            self.found.setdefault(f"{label}, {name}", tree)  # a getter and a setter may read one global

    def _label(self, thing: Any) -> tuple[str, bool]:
        """What a function or class is called here, and whether it was not met before."""
        if id(thing) in self._labels:
            return self._labels[id(thing)], False
        self._alive.append(thing)
        name, count = str(thing.__qualname__), 1
        taken = set(self._labels.values())
        while name in taken or name in self.found:
            count += 1
            name = f"{thing.__qualname__} ({count})"
        self._labels[id(thing)] = name
        return name, True

    def _class(self, cls: type) -> str:
        """A class's name; its text and attributes, and what its methods read, are found under it."""
        if is_installed(cls.__module__):
            return class_name(cls)
        label, new = self._label(cls)
        if new:
            text = functions.text(cls)
            self.found[label] = text or "class"
            in_text = functions.methods_in(text) if text else frozenset()
            bases = [self.read(base) for base in (*cls.__bases__, type(cls)) if base not in (object, type)]
            if bases:
                self.found[f"{label}, bases"] = ", ".join(map(text_of, bases))
            for name, item in list(vars(cls).items()):
                self._of_class(label, name, item, in_text)
        return label

    def _of_class(self, label: str, name: str, item: Any, in_text: frozenset[str]) -> None:
        parts = holds.functions_in(item)
        for part in parts:
            if id(part) in self._labels:
                continue
            self._labels[id(part)] = f"{label}.{name}"
            text = functions.text(part)
            made_up = part.__code__.co_filename.startswith("<") and in_text  # by dataclass, from the text
            if text not in in_text and not made_up:  # added afterwards, or the text of the class is missing
                self.found[f"{label}.{name}"] = text or f"code {functions.digest(part.__code__)}"
            self._reads(part, f"{label}.{name}")
        dunder = name.startswith("__") and name.endswith("__")
        if parts or dunder or name == "_abc_impl" or isinstance(item, _NAMED_ONLY):
            return
        if name in _OF_ENUM or isinstance(item, enum.Enum):
            return  # members stand in the text, and would lead back here
        self.found[f"{label}.{name}"] = self.read(item, f"{label}.{name}")

    # --- objects ---

    def _object(self, value: Any, where: str) -> Tree:
        if isinstance(value, _KERAS_BASES) or holds.is_keras_value(value):
            return self._of_keras(value, where)
        users = not is_installed(type(value).__module__)
        before = list(self.unknown)
        try:
            parts = self._state(value, where)
        except Exception as error:
            if not users:
                return self._give_up(value, where, str(error))
            parts = {"state": self._give_up(value, where, str(error))}
        if len(self.unknown) > len(before) and users:
            shown = holds.own_repr(value)
            if shown:
                self.unknown[:] = before
                return {"type": self._type(value), "repr": shown}
        return {"type": self._type(value), **parts}

    def _state(self, value: Any, where: str) -> dict[str, Tree]:
        """All that an object remembers, by the names of its parts.

        Raises:
            Exception: it can't be read.
        """
        attributes = None if holds.pickles_itself(type(value)) else holds.attributes_of(value)
        if attributes is not None:
            callback = isinstance(value, keras.callbacks.Callback)
            names = [
                n for n in sorted(attributes) if not (callback and n in keras_private.GIVEN_TO_CALLBACKS)
            ]
            return {f".{name}": self.read(attributes[name], f"{where}.{name}") for name in names}
        reducer = copyreg.dispatch_table.get(type(value))
        reduced = reducer(value) if reducer else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            return {"name": reduced}
        made, arguments, *rest = reduced
        parts = {"made by": self.read(made, where), "arguments": self.read(arguments, f"{where}'s arguments")}
        for name, part in zip(("state", "items", "entries"), rest, strict=False):
            if part is not None:
                inner = part if name == "state" else list(part)
                parts[name] = self.read(inner, f"{where}'s {name}")
        return parts

    def _own_attributes(self, value: Any, where: str) -> dict[str, Tree]:
        held = getattr(value, "__dict__", None) or {}
        own = {n: v for n, v in sorted(held.items()) if not (n == "tracker" and holds.is_tracked(value))}
        return {f".{name}": self.read(item, f"{where}.{name}") for name, item in own.items()}

    def _type(self, value: Any) -> str:
        kind = type(value)
        return class_name(kind) if is_installed(kind.__module__) else self._class(kind)

    def _of_keras(self, value: Any, where: str) -> Tree:
        """By its config, its variables, and what no config holds: the user's functions and objects."""
        tree: dict[str, Any] = {"type": self._type(value)}
        try:
            tree["config"] = shortened(json.dumps(holds.config_of(value, _for_config), sort_keys=True))
        except Exception:  # none, or one of the user's own that fails: attributes have to do
            tree["config"] = "none"
        held = [value] if isinstance(value, keras.Variable) else getattr(value, "variables", ())
        if isinstance(value, keras.random.SeedGenerator):
            held = [value.state]
        if self._weights:
            tree |= {f"variable {i}": array_text(variable.value) for i, variable in enumerate(held)}
        return tree | self.held_by_keras(value, where)

    def held_by_keras(self, value: Any, where: str) -> dict[str, Tree]:
        """What Keras's configs do not say of a layer, model, optimizer, loss or metric."""
        tree: dict[str, Tree] = {}
        if isinstance(value, keras.Variable | keras.random.SeedGenerator):
            return tree
        layers = keras_private.all_layers(value) if isinstance(value, keras.Layer) else [value]
        for i, part in enumerate(layers):
            self._seen.setdefault(id(part), where)
            users = not is_installed(type(part).__module__)
            if users:
                tree[f"part {i}"] = self.read(type(part))
            makers = holds.set_by_keras(type(part).__mro__) if users else frozenset()
            for name, item in sorted(vars(part).items()):
                mine = users and name not in makers and not holds.is_part(item)
                if (mine or holds.is_of_user(item)) and not isinstance(item, keras.Model):
                    tree[f"part {i}.{name}"] = self.read(item, f"{where}, part {i}.{name}")
        if isinstance(value, keras.Model):
            for name, item in keras_private.compile_arguments(value).items():
                tree[f"compiled with {name}"] = self.read(item, f"{where}, {name}")
        return tree

    def _give_up(self, value: Any, where: str, why: str) -> str:
        text = f"{UNKNOWN}a {class_name(type(value))} at {where} ({why})"
        self.unknown.append(text)
        return text


_OF_PARTIAL = ("func", "args", "keywords")


# --- small parts ---


def _for_config(value: Any) -> str:
    return text_of(Reader().read(value))


def template_config(model: keras.Model) -> Any:
    """A model's config without the numbers that Keras counts names with."""
    return holds.config_of(model, _for_config)


def _is_immutable(value: Any) -> bool:
    """Whether it makes no difference if two places hold one of it, or two that are equal."""
    return isinstance(value, (tuple, frozenset, types.ModuleType, np.dtype, enum.Enum, *_NAMED_ONLY))
