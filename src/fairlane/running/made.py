"""``data=``: a function of hyperparameters → the data of each trial, made once for all that share them.

In: the function, and trials. Out: ``Model.fit``'s data arguments, and what they are known by; or an error,
before anything is trained.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.engines.data.fit_data import DATA_ARGUMENTS
from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.kit.checksums import checksum
from fairlane.kit.error_text import one_line
from fairlane.models.session import Session, left_as_found
from fairlane.trials import Trial

_OF_TRIAL = ("seed", "fold")


class MadeData:
    """Calls a function of the data, once for each distinct set of its arguments.

    Args:
        function: returns ``(x, y)``, ``(x, y, sample_weight)``, or a dict of ``Model.fit``'s data arguments.

    Attributes:
        function: the same.
        names: of the hyperparameters that it takes.

    Raises:
        StudyError: it is no function, or its arguments can't be known.
    """

    def __init__(self, function: Any) -> None:
        if not callable(function):
            raise StudyError(
                "data must be a function that returns (x, y), such as def data(window): ...; give arrays "
                f"as x and y. Got {arguments.given(function)}"
            )
        self.function = function
        self._what = f"{getattr(function, '__name__', 'data')}()"
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
                raise StudyError(
                    f"{self._what} of the data takes {parameter}: which hyperparameters it depends on "
                    "can't be known; name them, as in def data(window, scaler): ..."
                )
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                raise StudyError(
                    f"{self._what} of the data takes {name!r} by position only; remove the slash"
                )
        self._parameters = parameters
        self.names = frozenset(parameters) - set(_OF_TRIAL)
        self._made: dict[Any, dict[str, Any]] = {}
        self._checksums: list[tuple[NDArray[Any], int]] = []

    def of(self, trial: Trial) -> tuple[Any, dict[str, Any]]:
        """What a trial's data are known by, and ``Model.fit``'s arguments with them.

        They are made in a session of the trial's seed where the function takes ``seed``, else of seed 0, so
        that they do not depend on what ran before.

        Args:
            trial: whose.

        Raises:
            StudyError: the function lacks an argument, raises an error, or returns something else.
        """
        given = {name: trial.hyperparameters[name] for name in self.names if name in trial.hyperparameters}
        given |= {name: getattr(trial, name) for name in _OF_TRIAL if name in self._parameters}
        key = tuple((name, likeness_of(given[name])) for name in sorted(given))
        if key not in self._made:
            made = self._called(given, trial)
            self._check_apart(made)
            self._made[key] = made
        return key, self._made[key]

    def _called(self, given: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
        for name, parameter in self._parameters.items():
            if name not in given and parameter.default is inspect.Parameter.empty:
                raise StudyError(
                    f"{self._what} of the data needs {name!r}, which {trial} does not have; give it a "
                    "default, or put it into every variant"
                )
        call = ", ".join(f"{name}={value!r}" for name, value in given.items())
        try:
            with left_as_found(), Session(trial.seed if "seed" in given else 0):
                made = self.function(**given)
        except Exception as error:
            raise StudyError(
                f"{self._what} of the data, called with {call or 'nothing'}, raised {one_line(error)}"
            ) from error
        return self._checked(made, call)

    def _check_apart(self, made: Mapping[str, Any]) -> None:
        """Refuse a function that has written over what it returned before.

        Raises:
            StudyError: it has.
        """
        arrays = [leaf for leaf in keras.tree.flatten(dict(made)) if isinstance(leaf, np.ndarray)]
        for before, known in self._checksums:
            if any(np.may_share_memory(before, array) for array in arrays) and known != checksum(before):
                raise StudyError(
                    f"{self._what} of the data has changed an array that it returned before: it writes into "
                    "one array at each call, so all variants would be trained on what the last call wrote. "
                    "Return a copy, such as x.copy()"
                )
        self._checksums += [(array, checksum(array)) for array in arrays]

    def _checked(self, made: Any, call: str) -> dict[str, Any]:
        if isinstance(made, Mapping):
            wrong = [name for name in made if name not in DATA_ARGUMENTS]
            if wrong or "x" not in made:
                lacks = f"it has {wrong[0]!r}" if wrong else "it has no 'x'"
                raise StudyError(
                    f"{self._what} of the data, called with {call or 'nothing'}, returned a dict that can't "
                    f"be Model.fit's data arguments: {lacks}. These are: {', '.join(DATA_ARGUMENTS)}"
                )
            return dict(made)
        if isinstance(made, tuple) and len(made) in (2, 3):
            return dict(zip(("x", "y", "sample_weight"), made, strict=False))
        raise StudyError(
            f"{self._what} of the data, called with {call or 'nothing'}, must return (x, y), (x, y, "
            f"sample_weight), or a dict of Model.fit's data arguments; it returned {arguments.given(made)}"
        )


def likeness_of(value: Any) -> Any:
    """Equal for values that are one for the data: numbers and texts that are equal, the same arrays."""
    if isinstance(value, np.generic | np.ndarray) and value.ndim == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return type(value), repr(value)
    if type(value) in (list, tuple):
        return type(value), tuple(map(likeness_of, value))
    if type(value) is dict:
        return dict, tuple((likeness_of(key), likeness_of(item)) for key, item in value.items())
    return id(value)
