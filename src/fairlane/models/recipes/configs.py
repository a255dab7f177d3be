"""What Keras's configs and constructors say of an object, and what they leave out.

In: an object with ``get_config``, or its class. Out: its complete settings; where they are not complete, an
error that says what to add to its class.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from fairlane.errors import BuilderError
from fairlane.kit.libraries import is_keras_class

BUILDER_INSTEAD = "Or give a builder, a function that returns a fresh, compiled model, instead of a model."
"""What to do where a model can't be made again; it ends messages."""
_KEPT_BY_KERAS = frozenset({"name", "dtype", "trainable"})
_MISSING = object()


def raw_settings(thing: Any) -> dict[str, Any]:
    """What ``get_config`` returns, and what Keras's own classes leave out of it.

    ``Huber(delta=0.5)``, for one, has no ``delta`` in its config in Keras 3.13 and 3.15.

    Raises:
        BuilderError: ``get_config`` raises, or lacks an argument of a custom class's constructor.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of lambdas, and of what NumPy 2 says to Keras
            raw = thing.get_config()
    except Exception as error:
        raise BuilderError(_no_config(thing, error)) from error
    cls = type(thing)
    if is_keras_class(cls, "__init__"):
        return {**raw, **_left_out_by_keras(thing, raw)}
    if is_keras_class(cls, "from_config"):
        _check_complete(thing, raw)
    return dict(raw)


def constructor(cls: type) -> dict[str, inspect.Parameter]:
    """The constructor's parameters, ``self`` left out."""
    parameters = list(inspect.signature(cls.__init__).parameters.items())  # type: ignore[misc]
    return dict(parameters[1:])


def has(parameters: Mapping[str, inspect.Parameter], kind: Any) -> bool:
    """Whether there is a ``*args`` or ``**kwargs`` among the parameters."""
    return any(parameter.kind == kind for parameter in parameters.values())


def attribute(thing: Any, name: str, default: Any = _MISSING) -> Any:
    """The attribute that holds a constructor argument: ``thing.name``, or ``thing._name``."""
    return getattr(thing, name, getattr(thing, f"_{name}", default))


def _left_out_by_keras(thing: Any, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments that a class of Keras forgot, where the object says what they were."""
    kept = {name.removeprefix("_"): value for name, value in vars(thing).items()}
    kept |= getattr(thing, "_fn_kwargs", None) or {}
    return {
        name: kept[name]
        for name in constructor(type(thing))
        if name not in raw
        and name not in (*_KEPT_BY_KERAS, "seed")
        and isinstance(kept.get(name), str | int | float | tuple)
    }


def _check_complete(thing: Any, raw: Mapping[str, Any]) -> None:
    """Raise where a custom class's config lacks an argument of its constructor.

    The config that Keras makes for a model without ``get_config`` holds the defaults of the constructor
    and not what it was called with, so it counts for nothing.
    """
    cls = type(thing)
    made_by_keras = isinstance(thing, keras.Model) and is_keras_class(cls, "get_config")
    missing = [
        name
        for name, parameter in constructor(cls).items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and (name not in raw or made_by_keras)
        and name not in _KEPT_BY_KERAS
        and not _is_default(thing, parameter)
    ]
    if missing:
        raise BuilderError(_incomplete(thing, missing))


def _is_default(thing: Any, parameter: inspect.Parameter) -> bool:
    """Whether the object says that the argument was left at its default."""
    if parameter.default is parameter.empty:
        return False
    value = attribute(thing, parameter.name)
    with contextlib.suppress(Exception):
        return value is parameter.default or bool(value == parameter.default)
    return False


def label(thing: Any) -> str:
    """An object's name and a space, for messages; empty where it has none."""
    name = getattr(thing, "name", None)
    return f"{name!r} " if isinstance(name, str) else ""


def _no_config(thing: Any, error: Exception) -> str:
    what = " ".join(str(error).split())[:160]
    return (
        f"{type(thing).__name__} {label(thing)}can't be rebuilt, because its `get_config()` raises "
        f"{type(error).__name__}: {what} ... Add to class {type(thing).__name__} a `get_config()` that "
        f"returns super().get_config() and every argument of its constructor. {BUILDER_INSTEAD}"
    )


def _incomplete(thing: Any, missing: list[str]) -> str:
    entries = ", ".join(f'"{name}": self.{name}' for name in missing)
    names = " and ".join(f"`{name}`" for name in missing)
    return (
        f"{type(thing).__name__} {label(thing)}can't be rebuilt, because its config lacks {names}, which its "
        f"constructor takes: the rebuilt one would differ. Add to class {type(thing).__name__}:\n"
        f"    def get_config(self):\n"
        f"        return {{**super().get_config(), {entries}}}\n"
        f"{BUILDER_INSTEAD}"
    )
