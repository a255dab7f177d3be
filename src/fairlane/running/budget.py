"""The argument ``budget``: how long training may take.

In: a time, and the moments at which epochs begin and end. Out: whether one more epoch may begin.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd

from fairlane.engines.contract import EngineEvent
from fairlane.errors import StudyError
from fairlane.trials import EpochEnded, TrialDone, TrialFailed, TrialStarted


def seconds_of(time_given: Any) -> float:
    """The seconds of a time such as ``"10min"`` or a ``timedelta``; NaN for anything else.

    A number without a unit is no time: pandas would take it for nanoseconds.
    """
    has_unit = not isinstance(time_given, str) or re.search("[a-zA-Zµ:]", time_given)
    try:
        if has_unit and isinstance(time_given, (str, timedelta)):
            return float(pd.Timedelta(time_given).total_seconds())
    except ValueError:
        pass
    return float("nan")


def duration(given: Any) -> float:
    """The seconds of a time as for `seconds_of`, or of a number of seconds; NaN for anything else."""
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return float(given) if number else seconds_of(given)


class BudgetSpent(Exception):
    """No epoch may begin any more."""


class Budget:
    """Says whether one more epoch would end in time.

    An epoch is expected to take as long as the longest of those that ended last, one of each trial; a trial's
    first epoch, which is compiled, counts only as long as there is no other.

    Args:
        seconds: from now on.
        words: as given, for messages.
        clock: the time in seconds.
    """

    def __init__(self, seconds: float, words: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.words = words
        self._clock, self._end = clock, clock() + seconds
        self._began: dict[int, float] = {}
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}

    @classmethod
    def of(cls, given: Any) -> Budget | None:
        """The budget that an argument asks for, from now on; None where it asks for none.

        Raises:
            StudyError: it is not a time.
        """
        if given is None:
            return None
        seconds = duration(given)
        if not seconds > 0:
            raise StudyError(f"budget must be a time such as '10min', or a number of seconds, not {given!r}")
        return cls(seconds, str(given) if isinstance(given, (str, timedelta)) else f"{given} s")

    def note(self, event: EngineEvent) -> None:
        """Take in what happened."""
        now = self._clock()
        if isinstance(event, TrialStarted):
            self._began[id(event.trial)] = now
        elif isinstance(event, EpochEnded):
            key = id(event.trial)
            durations = self._last if key in self._first else self._first
            durations[key] = now - self._began.get(key, now)
            self._began[key] = now
        elif isinstance(event, TrialDone | TrialFailed):
            self._last.pop(id(event.trial), None)

    @property
    def spent(self) -> bool:
        """Whether an epoch that begins now would end too late."""
        known = self._last or self._first
        return self._clock() + max(known.values(), default=0.0) > self._end
