"""Which attributes of a callback are its own state.

In: callbacks. Out: the attributes that a training changes, without those that Keras sets when it begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlane.models.keras_private import GIVEN_TO_CALLBACKS

# Keras 2 gave callbacks the validation data, and callbacks written for it may still hold them. They are an
# input of the training, and too large for each checkpoint.
_INPUTS = GIVEN_TO_CALLBACKS | {"validation_data"}
_OF_FILES = {"CSVLogger": frozenset({"append", "append_header"})}
"""Attributes of Keras's callbacks that say how their files stood when training began."""


def is_set_by_keras(callback: Any, name: str) -> bool:
    """Whether Keras sets an attribute again when training begins, so that it is not part of a checkpoint."""
    return name in _INPUTS or name in _OF_FILES.get(type(callback).__name__, ())


def own_attributes(callbacks: Sequence[Any]) -> list[dict[str, Any]]:
    """What each callback holds, but for the model that it serves.

    For callbacks of Keras's own that go on in another process, where all that they hold can be pickled.
    """
    return [
        {name: value for name, value in vars(callback).items() if name not in GIVEN_TO_CALLBACKS}
        for callback in callbacks
    ]


def set_own_attributes(callbacks: Sequence[Any], states: Sequence[Mapping[str, Any]]) -> None:
    """Let callbacks hold what `own_attributes` read from callbacks like them."""
    for callback, state in zip(callbacks, states, strict=False):
        vars(callback).update(state)
