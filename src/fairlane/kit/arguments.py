"""Checks of what a user gives: an argument's name and value → the value, or an error that says what is
expected.

In: an argument's name, its value, and what it may be. Out: the value as it is used; else a `StudyError` that
names the argument, what was given, and what is expected.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fairlane.errors import StudyError
from fairlane.kit.text import did_you_mean

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class CallError(StudyError, TypeError):
    """A function was called with an argument that it does not have, or without one that it needs."""


def checked(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A function that says in Fairlane's words which argument it does not have, or lacks.

    Example:
        >>> @checked
        ... def best(of, mode="auto"):
        ...     return of
        >>> best("loss", mod="max")
        Traceback (most recent call last):
            ...
        fairlane.kit.arguments.CallError: best has no argument 'mod'. Did you mean 'mode'? It takes: of, mode
        >>> best()
        Traceback (most recent call last):
            ...
        fairlane.kit.arguments.CallError: best needs the argument 'of'. It takes: of, mode
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            name = function.__qualname__.lower().removesuffix(".__call__").rpartition(".")[2]
            raise _unfitting(name, signature, kwargs, error) from None
        return function(*args, **kwargs)

    return call


def _unfitting(
    name: str, signature: inspect.Signature, kwargs: Mapping[str, Any], error: TypeError
) -> CallError:
    names = [parameter for parameter in signature.parameters if parameter != "self"]
    takes = f"It takes: {', '.join(names) or 'nothing'}"
    unknown = [one for one in kwargs if one not in names]
    if unknown:
        hint = did_you_mean(unknown[0], names)
        return CallError(f"{name} has no argument {unknown[0]!r}.{hint} {takes}")
    missing = _MISSING.search(str(error))
    if missing:
        return CallError(f"{name} needs the argument {missing[1]}. {takes}")
    return CallError(f"{name} can't be called like this: {error}. {takes}")


_MISSING = re.compile(r"missing a required (?:keyword-only )?argument: ('\w+')")


def given(value: Any) -> str:
    """A value in an error: short, with its type where it does not show.

    Example:
        >>> given("up"), given(3), given([1.0] * 100)
        ("'up'", '3', 'a list: [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1...')
    """
    if value is None or isinstance(value, str | bool | int | float):
        text = repr(value)
        return text if len(text) <= 60 else text[:57] + "..."
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    if isinstance(value, list | tuple | dict | set | frozenset | np.generic):
        text = repr(value)
        return f"{article} {kind}: {text if len(text) <= 45 else text[:42] + '...'}"
    return f"{article} {kind}"


def wrong(name: str, value: Any, expected: str) -> StudyError:
    """The error for a wrong value.

    Example:
        >>> print(wrong("confidence", 3, "a number between 0 and 1"))
        confidence must be a number between 0 and 1, not 3
    """
    return StudyError(f"{name} must be {expected}, not {given(value)}")


def text(name: str, value: Any, expected: str = "a string") -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise wrong(name, value, expected)
    return value


def optional_text(name: str, value: Any, expected: str = "a string, or None") -> str | None:
    """A string, or None."""
    if value is not None and not isinstance(value, str):
        raise wrong(name, value, expected)
    return value


def metric(name: str, value: Any) -> str:
    """The name of a metric."""
    return text(name, value, "the name of a metric, such as 'val_loss'")


def one_of(name: str, value: Any, options: Iterable[str]) -> str:
    """One of some strings."""
    options = list(options)
    if not isinstance(value, str) or value not in options:
        *first, last = map(repr, options)
        raise wrong(name, value, f"{', '.join(first)} or {last}" if first else last)
    return value


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise wrong(name, value, "True or False")
    return bool(value)


def is_whole(value: Any) -> bool:
    """Whether it is an integer, of Python's or NumPy's, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole(name: str, value: Any, least: int, example: str = "") -> int:
    """An integer that is not too small."""
    if not is_whole(value) or value < least:
        raise wrong(name, value, f"a whole number, {least} or more{example}")
    return int(value)


def share(name: str, value: Any) -> float:
    """A number between 0 and 1, without these."""
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool | complex)
    if not (real and math.isfinite(value) and 0 < value < 1):
        raise StudyError(f"{name} must lie between 0 and 1, such as 0.95; got {given(value)}")
    return float(value)


def function(name: str, value: Any, expected: str) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise wrong(name, value, expected)
    return value  # type: ignore[no-any-return]


def path(name: str, value: Any, example: str) -> Path:
    """The path of a file, and not of a folder."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise wrong(name, value, f"the path of a file, such as {example!r}")
    found = Path(value)
    if not found.name or found.is_dir():
        raise StudyError(
            f"{name} must be the path of a file, such as {example!r}; {str(value)!r} is a folder"
        )
    return found


def folder(name: str, value: Any) -> Path:
    """The path of a folder, which need not be there yet."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise wrong(name, value, "the path of a folder")
    return Path(value)


def generator(name: str, value: Any) -> np.random.Generator:
    """A generator of random numbers, from itself or a seed; None is seed 0."""
    if isinstance(value, np.random.Generator):
        return value
    if value is not None and not (is_whole(value) and value >= 0):
        raise wrong(name, value, "a numpy.random.Generator, or a seed: a whole number, 0 or more")
    return np.random.default_rng(0 if value is None else int(value))
