"""What every part of a `Study` needs: the records, the name, and how they are looked up.

In: the records of a store. Out: `Base`, with the default metric and a record by its trial.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import cast

import keras

from fairlane.errors import FairlaneWarning, StudyError
from fairlane.kit import arguments
from fairlane.provenance.origin import Origin
from fairlane.results import logs
from fairlane.results import searched as searching
from fairlane.results.directions import Modes
from fairlane.store import Record, Records
from fairlane.trials import Trial, Weights

CALLER = 3
"""The stack level of the user's line, from a method that is `fairlane.kit.arguments.checked`."""

_WARNED_AT = CALLER + 1
"""The same, from a method of `Base` that such a method calls."""


class Base:
    """A study's records and name.

    Args:
        store: the records and the trained weights.
        name: the study's name, or None.
        rebuild: gives a trial's compiled model, without its trained weights.
        origin: says where the study comes from.
    """

    def __init__(
        self,
        store: Records,
        name: str | None,
        rebuild: Callable[[Trial, Weights], keras.Model],
        origin: Callable[[], Origin],
    ) -> None:
        self._store = store
        self._rebuild = rebuild
        self._origin = origin
        self.name = name
        self._warned: set[str] = set()

    def _warn(self, notes: Iterable[str]) -> None:
        """Warn the caller of the public method that calls this, of each note once."""
        for note in notes:
            if note not in self._warned:
                self._warned.add(note)
                warnings.warn(note, FairlaneWarning, stacklevel=_WARNED_AT)

    def _metric(self, metric: str | None) -> str:
        searched = searching.objective(self._store)
        if metric is None and searched is not None:
            return searched[0]
        return logs.default_metric(self._store) if metric is None else arguments.metric("metric", metric)

    def _logged(self, metric: str | None) -> str:
        """As `_metric`, of a metric that was logged.

        Raises:
            StudyError: no trial has logged it.
        """
        name, names = self._metric(metric), logs.ordered_logs(self._store)
        if names and name not in names:
            raise logs.unknown_metric(name, names)
        return name

    def _mode(self, mode: Modes, metric: str) -> Modes:
        """The direction; that of a search's objective, where nothing else is requested."""
        searched = searching.objective(self._store)
        if isinstance(mode, str) and mode == "auto" and searched is not None and searched[0] == metric:
            return cast(Modes, searched[1])
        return mode

    def _searched(self) -> list[Record]:
        """The records of a search itself, without those that confirm."""
        return searching.searching(self._store)

    def _counting(self) -> list[Record]:
        """The records by which variants are compared."""
        return searching.counting(self._store)

    def _record(self, trial: Trial | int) -> Record:
        records = list(self._store)
        if not (isinstance(trial, Trial) or arguments.is_whole(trial)):
            raise arguments.wrong(
                "trial", trial, f"a trial of this study, or its number, 0 to {len(records) - 1}"
            )
        number = None if isinstance(trial, Trial) else int(trial)
        for record in records:
            if record.trial is trial or record.trial.number == number:
                return record
        raise StudyError(f"there is no {trial!s} in this study; it has the trials 0 to {len(records) - 1}")
