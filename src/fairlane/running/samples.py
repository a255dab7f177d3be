"""The samples of a study as they are requested, and how they are cut into folds.

In: ``Model.fit``'s arguments, and ``compare``'s ``data``, ``cv`` and ``groups``. Out: `Samples`, which makes
the data of a trial and cuts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fairlane.engines.data.folds import Fold
from fairlane.errors import StudyError
from fairlane.running.folds import folds_of, refuse_validation
from fairlane.running.made import MadeData
from fairlane.trials import Trial, Variant


class Cutting:
    """Cuts data into folds, each data once: variants are paired by folds, whatever a splitter draws.

    Args:
        cv: a number, a splitter, or pairs of index arrays.
        groups: the group of each sample, or None.
    """

    def __init__(self, cv: Any, groups: Any) -> None:
        self._cv, self._groups = cv, groups
        self._known: dict[tuple[int, int], tuple[Any, Any, list[Fold]]] = {}

    def __call__(self, given: Mapping[str, Any]) -> list[Fold]:
        """The folds of some data.

        Args:
            given: ``Model.fit``'s arguments with the data.

        Raises:
            StudyError: as `folds_of`.
        """
        x, y = given.get("x"), given.get("y")
        if (id(x), id(y)) not in self._known:
            self._known[id(x), id(y)] = x, y, folds_of(self._cv, self._groups, given)
        return self._known[id(x), id(y)][2]

    def forget(self, given: Mapping[str, Any]) -> None:
        """Hold some data, and their folds, no longer."""
        self._known.pop((id(given.get("x")), id(given.get("y"))), None)


class Samples:
    """The data of a study as it is requested, and how they are cut into folds.

    Args:
        common: ``Model.fit``'s arguments that are the same for all trials.
        data: makes the data of a trial; None where they are among the arguments.
        cv: a number, a splitter, or pairs of index arrays; None for no folds.
        groups: the group of each sample, or None.

    Attributes:
        common: the same.
        made: makes the data of a trial; None where they are among the arguments.
        cut: cuts data into folds; None where there are none.

    Raises:
        StudyError: they are given twice, or ``data`` is no function.
    """

    def __init__(self, common: Mapping[str, Any], data: Any, cv: Any, groups: Any) -> None:
        # Splits that are an iterator, as KFold(5).split(x) gives them, can be read once.
        self.common = common
        self.cut = None if cv is None else Cutting(list(cv) if isinstance(cv, Iterator) else cv, groups)
        self.made = None if data is None else MadeData(data)
        if self.made is not None and (common.get("x") is not None or common.get("y") is not None):
            raise StudyError("x or y is given, and data too, which makes them; give one of the two")
        if cv is None and groups is not None:
            raise StudyError("groups need cv; give cv=5, or a splitter, to cut the samples by them")

    @property
    def made_from(self) -> frozenset[str]:
        """The hyperparameters that the data are made from."""
        return frozenset() if self.made is None else self.made.names

    def folds(self, planned: Callable[[int | None], Sequence[Trial]]) -> list[Fold]:
        """The folds of the first trial's data; none where they are not cut.

        Args:
            planned: gives the trials, of so many folds.

        Raises:
            StudyError: the data can't be cut.
        """
        if self.cut is None:
            return []
        if self.made is None:
            return self.cut(self.common)
        first = planned(1)[0]
        made = self.made.of(first)
        with self.made.naming(first):
            return self.cut({**self.common, **made})

    def check(self, variants: Sequence[Variant]) -> None:
        """Refuse variants with validation data of their own, where there are folds.

        Raises:
            StudyError: the argument.
        """
        for variant in variants if self.cut is not None else ():
            refuse_validation(variant.fit_arguments)
