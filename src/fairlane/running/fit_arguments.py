"""The arguments of ``Model.fit``: which there are, and which values they may have.

In: arguments for ``Model.fit``. Out: nothing, or an error before anything is trained.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from fairlane.errors import StudyError
from fairlane.kit.text import did_you_mean, nearest

COMPARES_OWN = ("x", "y", "callbacks", "verbose")
"""Arguments of ``Model.fit`` that ``compare`` gives itself, the same for all trials."""

FIT_ARGUMENTS = tuple(
    name for name in inspect.signature(keras.Model.fit).parameters if name not in ("self", *COMPARES_OWN)
)
"""The arguments of ``Model.fit`` that ``compare`` passes on."""


_MEANT = {"phase": "then", "phases": "then"}
"""Names that arguments could have: names that they have."""


def check_argument_names(
    names: Iterable[str],
    function: Callable[..., Any],
    other: Callable[..., Any] | None = None,
    hyperparameters: Collection[str] = (),
) -> None:
    """Refuse names that neither a function of Fairlane nor ``Model.fit`` has.

    Args:
        names: what the function was called with, besides its own arguments.
        function: which one.
        other: one that has more arguments.
        hyperparameters: that the phases take.

    Raises:
        StudyError: the name, with the nearest one that exists.
    """
    own, more = _own_names(function), () if other is None else _own_names(other)
    for name in names:
        if name in FIT_ARGUMENTS:
            continue
        who, meant = function.__name__, _MEANT.get(name, name)
        hint = did_you_mean(meant, (*own, *FIT_ARGUMENTS))
        if like := nearest(name, sorted(hyperparameters)):
            hint = f" Hyperparameters such as {like!r} belong in the variants."
        if meant in more and other is not None:
            hint += f" {other.__name__} takes {meant!r}, and {who} does not."
        raise StudyError(
            f"{name!r} is not an argument of {who} or Model.fit.{hint} The arguments of {who} are: "
            f"{', '.join(own)}; those of Model.fit: {', '.join(FIT_ARGUMENTS)}."
        )


def _own_names(function: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD)


def check_fit_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse values that ``Model.fit`` would refuse only after training has begun.

    Args:
        arguments: of ``Model.fit``, by name.

    Raises:
        StudyError: the argument, with the values that it may have.
    """
    for name, value in arguments.items():
        is_valid, expected = _VALUES.get(name, (None, ""))
        if is_valid is not None and not is_valid(value):
            raise StudyError(f"{name}={value!r}: {name} must be {expected}")


def _is_number(value: Any, least: int) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return bool(whole and value >= least)


def _is_count(value: Any) -> bool:
    return value is None or _is_number(value, 1)


def _is_share(value: Any) -> bool:
    if value is None:
        return True
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return bool(number and 0 <= value < 1)


def _is_frequency(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_number(epoch, 1) for epoch in value)
    return isinstance(value, int) and _is_number(value, 1)


def _is_class_weight(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        _is_number(of, 0) and isinstance(weight, int | float | np.number) for of, weight in value.items()
    )


def _is_shuffle(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_)) or (isinstance(value, str) and value == "batch")


_EPOCHS = (lambda value: _is_number(value, 0), "a whole number, 0 or more")
_COUNT = (_is_count, "a whole number, 1 or more, or None for Keras's default")
_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": _EPOCHS,
    "initial_epoch": _EPOCHS,
    "batch_size": _COUNT,
    "steps_per_epoch": _COUNT,
    "validation_steps": _COUNT,
    "validation_batch_size": _COUNT,
    "validation_split": (_is_share, "the share of the samples for validation, at least 0 and less than 1"),
    "validation_freq": (
        _is_frequency,
        "a whole number, 1 or more (validate after every n-th epoch), or a list of epochs, counted from 1",
    ),
    "shuffle": (_is_shuffle, "True, False or 'batch'"),
    "class_weight": (
        lambda value: value is None or _is_class_weight(value),
        "a dict from class (a whole number) to weight (a number), or None",
    ),
}
"""Argument → a check of its value, and the expected values in words."""
