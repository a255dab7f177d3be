"""``data=``: a function of hyperparameters → the data of each trial, made once for all that share them.

In: the function, and trials. Out: ``Model.fit``'s data arguments, and what they are known by; or an error,
before anything is trained.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np

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
        self._contents: dict[Any, _Content] = {}

    def key(self, trial: Trial) -> Any:
        """What a trial's data are known by: equal for trials with the same arguments of the function."""
        given = self._given(trial)
        return tuple((name, likeness_of(given[name])) for name in sorted(given))

    def returned(self, trial: Trial) -> Set[str]:
        """The names of the arguments of ``Model.fit`` that the function returns for a trial.

        Raises:
            StudyError: as `of`.
        """
        key = self.key(trial)
        return self._contents[key].names if key in self._contents else self.of(trial).keys()

    def of(self, trial: Trial) -> dict[str, Any]:
        """``Model.fit``'s arguments that the function returns for a trial, kept until they are forgotten.

        They are made in a session of the trial's seed where the function takes ``seed``, else of seed 0, so
        that they do not depend on what ran before.

        Args:
            trial: whose.

        Raises:
            StudyError: the function lacks an argument, raises an error, returns something else, or other data
                than before.
        """
        key = self.key(trial)
        if key not in self._made:
            made = self.again(trial)
            self._check_apart(made)
            self._made[key] = made
        return self._made[key]

    def again(self, trial: Trial) -> dict[str, Any]:
        """As `of`, and not kept; made again where they are forgotten.

        Raises:
            StudyError: as `of`.
        """
        key = self.key(trial)
        if key in self._made:
            return self._made[key]
        made = self._called(self._given(trial), trial)
        content, before = _Content.of(made), self._contents.get(key)
        if before is not None and before != content:
            raise StudyError(
                f"{self._what} of the data, {_when(self._given(trial), trial)}, returned other data than the "
                "first time, so they are not those that other trials of the study have. What it "
                "draws must depend on its arguments: give its random generators a fixed seed, or let it take "
                "seed"
            )
        self._contents[key] = content
        return made

    def forget(self, key: Any) -> None:
        """Hold the data that are known by a key no longer."""
        self._made.pop(key, None)

    def _given(self, trial: Trial) -> dict[str, Any]:
        given = {name: trial.hyperparameters[name] for name in self.names if name in trial.hyperparameters}
        return given | {name: getattr(trial, name) for name in _OF_TRIAL if name in self._parameters}

    def _called(self, given: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
        for name, parameter in self._parameters.items():
            if name not in given and parameter.default is inspect.Parameter.empty:
                raise StudyError(
                    f"{self._what} of the data needs {name!r}, which {trial} does not have; give it a "
                    "default, or put it into every variant"
                )
        try:
            with left_as_found(), Session(trial.seed if "seed" in given else 0):
                made = self.function(**given)
        except Exception as error:
            raise StudyError(
                f"{self._what} of the data, {_when(given, trial)}, raised {one_line(error)}"
            ) from error
        return self._checked(made, _when(given, trial))

    @contextmanager
    def naming(self, trial: Trial) -> Iterator[None]:
        """Have an error about data name the call that returned them, and whose they are.

        Args:
            trial: whose.
        """
        try:
            yield
        except StudyError as error:
            raise StudyError(
                f"{self._what} of the data, {_when(self._given(trial), trial)}, returned data that can't be "
                f"used: {error}"
            ) from error.__cause__ or error

    def _check_apart(self, made: Mapping[str, Any]) -> None:
        """Refuse a function that has written over what it returned before.

        Raises:
            StudyError: it has.
        """
        leaves = _leaves(made)
        for key, before in self._made.items():
            shared = any(_are_shared(one, leaf) for one in _leaves(before) for leaf in leaves)
            if shared and _Content.of(before) != self._contents[key]:
                raise StudyError(
                    f"{self._what} of the data has changed an array that it returned before: it writes into "
                    "one array at each call, so all variants would be trained on what the last call wrote. "
                    "Return a copy, such as x.copy()"
                )

    def _checked(self, made: Any, when: str) -> dict[str, Any]:
        if isinstance(made, Mapping):
            wrong = [name for name in made if name not in DATA_ARGUMENTS]
            if wrong or "x" not in made:
                lacks = f"it has {wrong[0]!r}" if wrong else "it has no 'x'"
                raise StudyError(
                    f"{self._what} of the data, {when}, returned a dict that can't "
                    f"be Model.fit's data arguments: {lacks}. These are: {', '.join(DATA_ARGUMENTS)}"
                )
            return dict(made)
        if isinstance(made, tuple) and len(made) in (2, 3):
            return dict(zip(("x", "y", "sample_weight"), made, strict=False))
        raise StudyError(
            f"{self._what} of the data, {when}, must return (x, y), (x, y, "
            f"sample_weight), or a dict of Model.fit's data arguments; it returned {arguments.given(made)}"
        )


class _Content(NamedTuple):
    """What the function returned, without the data themselves.

    Attributes:
        names: of the arguments.
        checksum: of their arrays.
    """

    names: frozenset[str]
    checksum: int

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> _Content:
        """That of some data."""
        return cls(frozenset(made), checksum([made[name] for name in sorted(made)]))


def _leaves(made: Mapping[str, Any]) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(dict(made)) if hasattr(leaf, "shape")]


def _are_shared(a: Any, b: Any) -> bool:
    """Whether two arrays or frames are one, or one in memory."""
    arrays = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return a is b or (arrays and np.may_share_memory(a, b))


def _when(given: Mapping[str, Any], trial: Trial) -> str:
    """The call of the function, and for whom it was."""
    call = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return f"called with {call or 'nothing'} for {trial}"


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
