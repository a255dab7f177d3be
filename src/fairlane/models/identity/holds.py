"""What objects hold: their attributes, Keras's configs of them, and what in them a user wrote.

In: an object of any kind. Out: its parts, and answers to what kind it is of.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import json
import re
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from fairlane.kit.libraries import is_installed, is_keras_class, is_user_function
from fairlane.models.identity import functions

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


def config_of(value: Any, describe: Callable[[Any], str]) -> Any:
    """Keras's config, without the numbers that Keras counts names with in a session.

    Args:
        value: an object of Keras's.
        describe: what is to stand for an object that Keras puts into a config as it is.

    Names that Keras made up (``dense_7``) get new numbers, in the order in which they stand; all others stay.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a lambda can't be loaded safely: nothing is loaded from this
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(value), default=describe))
    counted: dict[str, str] = {}
    for cls, name in _names_in(config):
        snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", cls)).lower()
        if re.fullmatch(rf"{re.escape(snake)}(_\d+)?", name) and name not in counted:
            taken = sum(other.startswith(f"{snake} ") for other in counted.values())
            counted[name] = f"{snake} {taken}"
    return _renamed(config, counted)


def _names_in(config: Any) -> Iterator[tuple[str, str]]:
    """Class and name of every object in a config, in order."""
    if isinstance(config, list):
        for item in config:
            yield from _names_in(item)
    elif isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            yield str(config.get("class_name")), inner["name"]
        for item in config.values():
            yield from _names_in(item)


def _renamed(value: Any, counted: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, counted) for item in value]
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":
            return "a lambda"  # Keras gives its compiled code, with the place where it stands
        # A class's or a module's name is not an object's, though they may be the same word.
        return {k: v if k in ("class_name", "module") else _renamed(v, counted) for k, v in value.items()}
    return counted.get(value, value) if isinstance(value, str) else value


@functools.cache
def set_by_keras(bases: tuple[type, ...]) -> frozenset[str]:
    """The names of the attributes that Keras's own of these classes set."""
    names: set[str] = set()
    for base in bases:
        if is_keras_class(base):
            for item in vars(base).values():
                for part in functions_in(item):
                    steps = dis.get_instructions(part.__code__)
                    names.update(str(step.argval) for step in steps if step.opname == "STORE_ATTR")
    return frozenset(names)


def functions_in(item: Any) -> list[types.FunctionType]:
    """The functions that an item of a class is made of."""
    candidates = [item, getattr(item, "__func__", None), getattr(item, "func", None)]
    candidates += [getattr(item, name, None) for name in ("fget", "fset", "fdel")]
    if isinstance(item, type) or not (isinstance(item, types.FunctionType) or hasattr(type(item), "__get__")):
        return []
    return [part for part in candidates if isinstance(part, types.FunctionType)]


def is_part(item: Any) -> bool:
    """Whether it is, or holds, layers and variables, which are read by themselves."""
    if isinstance(item, list | tuple | set):
        return any(map(is_part, item))
    if isinstance(item, Mapping):
        return any(map(is_part, item.values()))
    return isinstance(item, keras.Layer | keras.Variable | keras.random.SeedGenerator)


def is_of_user(value: Any) -> bool:
    """Whether it is, or directly holds, a function or an object that the user wrote."""
    if isinstance(value, types.FunctionType):
        held = (*functions.closure(value).values(), *functions.defaults(value).values())
        return is_user_function(value) or any(map(_is_single_of_user, held))
    if isinstance(value, list | tuple):
        return any(map(_is_single_of_user, value))
    if isinstance(value, Mapping):
        return any(map(_is_single_of_user, value.values()))
    return _is_single_of_user(value)


def _is_single_of_user(value: Any) -> bool:
    if isinstance(value, types.FunctionType):
        return is_user_function(value)
    if isinstance(value, functools.partial):
        return True
    if isinstance(value, types.MethodType):
        return _is_single_of_user(value.__func__) or _is_single_of_user(value.__self__)
    if isinstance(value, keras.Layer):
        return False  # it is a part by itself
    return not is_installed((value if isinstance(value, type) else type(value)).__module__)


def is_keras_value(value: Any) -> bool:
    """Whether a class of Keras's, which its config says all of: a schedule, an initializer, a regularizer."""
    return (
        is_keras_class(type(value))
        and hasattr(value, "get_config")
        and not isinstance(value, keras.callbacks.Callback)
    )


def attributes_of(value: Any) -> dict[str, Any] | None:
    """An object's attributes, where these are all that it remembers; None where C may hide something."""
    kind = type(value)
    slots = [
        (name, item)
        for base in kind.__mro__
        if "__slots__" in vars(base)
        for name, item in vars(base).items()
        if isinstance(item, types.MemberDescriptorType)
    ]
    seen = object.__basicsize__ + 8 * (len(slots) + (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0))
    if kind.__basicsize__ > seen or kind.__itemsize__:
        return None
    found = dict(getattr(value, "__dict__", None) or {})
    for name, item in slots:
        try:
            found[name] = item.__get__(value, kind)
        except AttributeError:
            continue  # nothing was assigned to it
    return found


def pickles_itself(kind: type) -> bool:
    """Whether a library's class says what of its objects is state, and what a cache."""
    names = ("__reduce__", "__reduce_ex__", "__getstate__")
    own = any(getattr(kind, n, None) is not getattr(object, n, None) for n in names)
    return own and is_installed(kind.__module__) and not issubclass(kind, keras.callbacks.Callback)


def own_repr(value: Any) -> str:
    """What the ``__repr__`` of a user's class, or of a dataclass, says of an object; empty where it has none.

    One that shows an address will not do: the next process has another.
    """
    written = getattr(type(value), "__repr__", None)
    if not isinstance(written, types.FunctionType) or not is_user_function(written):
        generated = dataclasses.is_dataclass(value) and isinstance(written, types.FunctionType)
        if not generated:
            return ""
    text = repr(value)
    return "" if _ADDRESS.search(text) else text


def is_foreign_array(value: Any) -> bool:
    """Whether it is an array of another library, of which NumPy can make one."""
    kind = type(value)
    has_all = all(hasattr(kind, name) for name in ("__array__", "dtype", "shape"))
    return has_all and kind.__module__.partition(".")[0] != "pandas" and not isinstance(value, keras.Variable)


def is_tracked(value: Any) -> bool:
    """Whether it is one of Keras's lists and dicts, which know who holds them."""
    return type(value).__module__.startswith("keras.")
