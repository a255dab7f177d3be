"""Records → a row per variant, with its value so far: what a search has seen.

In: the records of a study. Out: a data frame, in the order in which the variants began.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fairlane.errors import StudyError
from fairlane.results.cells import cells_of, named_cells
from fairlane.results.frames import last_values
from fairlane.results.logs import single
from fairlane.store import Record
from fairlane.trials import TrialState

PLACES = ("variant", "value", "epochs", "state", "curve")
"""The columns beside the hyperparameters."""


def variants(records: Sequence[Record], metric: str) -> pd.DataFrame:
    """A row per variant.

    Args:
        records: the trials' records.
        metric: a log's name.

    Returns:
        Columns ``variant``, the hyperparameters, ``value`` (as `value_of` gives it), ``epochs`` (how many
        epochs all of its trials have), ``state`` (``"stopped"`` where a rule has ended it, ``"done"``, or
        ``"open"``) and ``curve`` (the mean of each epoch). ``attrs`` has the ``metric``.

    Raises:
        StudyError: no variant has a value.
    """
    names, cells = named_cells(records)
    own: dict[int, list[Record]] = {}
    for record in records:
        own.setdefault(record.trial.variant.number, []).append(record)
    numbers = sorted(own)
    curves = [mean_curve(own[number], metric) for number in numbers]
    if not any(curves):
        raise StudyError(f"no variant has a value of {metric!r} yet")
    columns: dict[str, list[Any]] = {"variant": list(numbers)}
    columns |= {name: cells_of([cells[number] for number in numbers], name) for name in names}
    columns["value"] = [value_of(own[number], metric) for number in numbers]
    columns["epochs"] = [len(curve) for curve in curves]
    columns["state"] = [_state(own[number]) for number in numbers]
    columns["curve"] = [list(curve.values()) for curve in curves]
    frame = pd.DataFrame(columns)
    frame.attrs["metric"] = metric
    return frame


def mean_curve(own: Sequence[Record], metric: str) -> dict[int, float]:
    """Epoch → the mean over a variant's trials, of the epochs that all of them have.

    Args:
        own: the records of its trials.
        metric: a log's name.
    """
    logged = [
        {epoch: single(one, metric, logs[metric]) for epoch, logs in one.epochs if metric in logs}
        for one in own
    ]
    common = [epoch for epoch in logged[0] if all(epoch in one for one in logged)]
    return {epoch: math.fsum(one[epoch] for one in logged) / len(logged) for epoch in common}


def value_of(own: Sequence[Record], metric: str) -> float:
    """A variant's value, as `fairlane.Study.summary` has it; NaN where there is none.

    It is the mean over its trials, of the epochs that their trained weights belong to: callbacks may end them
    in different epochs. While one is not trained to its end, it is that of their last common epoch.

    Args:
        own: the records of its trials.
        metric: a log's name.
    """
    if all(record.state is TrialState.DONE for record in own):
        found = [single(record, metric, last_values(record).get(metric, math.nan)) for record in own]
        return math.fsum(found) / len(found) if all(map(math.isfinite, found)) else math.nan
    curve = mean_curve(own, metric)
    return curve[max(curve)] if curve else math.nan


def _state(own: Sequence[Record]) -> str:
    states = {record.state for record in own}
    if TrialState.STOPPED in states:
        return "stopped"
    return "done" if states == {TrialState.DONE} else "open"
