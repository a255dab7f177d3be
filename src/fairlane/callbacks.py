"""Each trial's own callbacks.

In: ``compare``'s argument ``callbacks``. Out: a function per trial that returns its fresh callbacks.
"""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras

from fairlane.errors import SharedStateError, StudyError
from fairlane.trial import Trial


class Callbacks:
    """Gives each trial its own callbacks.

    Args:
        callbacks: ``compare``'s argument: a function, a list, one callback, or None.

    Raises:
        StudyError: it is none of them, or a callback can't be copied.
    """

    def __init__(self, callbacks: Any) -> None:
        self._given: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._make: Callable[[Trial], Any] | None
        if callbacks is None or callbacks == []:
            self._make = None
        elif isinstance(callbacks, (list, tuple, keras.callbacks.Callback)):
            listed = keras.tree.flatten(callbacks)
            _check_listed(listed)
            self._make = lambda trial: [copied(callback) for callback in listed]
        elif callable(callbacks):
            self._make = callbacks if _takes_trial(callbacks) else lambda trial: callbacks()
        else:
            raise StudyError(
                "callbacks is a function that returns a list of fresh callbacks, or a list; got "
                f"{type(callbacks).__name__}"
            )

    def of(self, trial: Trial) -> Callable[[], list[Any]] | None:
        """A function that returns the trial's own callbacks; None where there are none."""
        make = self._make
        return None if make is None else lambda: self._fresh(make, trial)

    def _fresh(self, make: Callable[[Trial], Any], trial: Trial) -> list[Any]:
        made = make(trial)
        listed = [] if made is None else keras.tree.flatten(made)
        for callback in listed:
            if not isinstance(callback, keras.callbacks.Callback):
                raise StudyError(
                    f"callbacks() for {trial} returned {_article(callback)} in its list, not a Callback"
                )
            if self._given.get(id(callback)) is callback:
                raise SharedStateError(
                    f"callbacks() for {trial} returned a {type(callback).__name__} that another trial "
                    "has. Callbacks remember (the best value, how long to wait): make them inside the "
                    "function"
                )
            self._given[id(callback)] = callback
        return listed


def copied(callback: Any) -> Any:
    """A deep copy of a callback.

    Raises:
        StudyError: it can't be copied; the message recommends a function.
    """
    try:
        return copy.deepcopy(callback)
    except Exception as error:
        raise StudyError(
            f"a {type(callback).__name__} can't be copied for each trial ({type(error).__name__}: "
            f"{error}); give a function that makes the callbacks instead: "
            f"callbacks=lambda: [{type(callback).__name__}(...)]"
        ) from error


def _check_listed(listed: Sequence[Any]) -> None:
    for callback in listed:
        if not isinstance(callback, keras.callbacks.Callback):
            raise StudyError(f"{callback!r} in callbacks is not a keras.callbacks.Callback")
        copied(callback)


def _takes_trial(function: Callable[..., Any]) -> bool:
    """Whether the function has one parameter without a default, for the trial."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    return sum(p.default is p.empty and p.kind in (0, 1) for p in parameters) == 1


def _article(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
