"""A study → which hyperparameters matter, for a report.

In: the records of a study. Out: a dict of JSON data, or None where there is nothing to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fairlane.errors import StoreError, StudyError
from fairlane.results import optuna_study
from fairlane.results.directions import Modes
from fairlane.results.report.values import plain
from fairlane.store import Record
from fairlane.trials import TrialState

_MOST = 20
"""Hyperparameters that are shown, those that matter most."""

_LARGEST = 500
"""Variants of which it is computed for a page: a forest is grown for all seeds, and for each."""


def importance_of(
    records: Sequence[Record], names: Sequence[str], metric: str, mode: Modes
) -> dict[str, Any] | None:
    """How much each hyperparameter matters, as ``Study.importance`` computes it.

    Args:
        records: those of a search itself, without those that confirm; else all.
        names: of the hyperparameters.
        metric: the metric that ranks variants.
        mode: as for `fairlane.results.directions.direction`.

    Returns:
        ``metric``, ``rows`` (``name``, ``importance``, ``low`` and ``high``, None with one seed; the most
        important first) and ``words``: why there are no rows, or empty. None where fewer than two
        hyperparameters vary. While a trial is running there are no rows, because each of its epochs would
        change them.
    """
    if len(_varied(records, names)) < 2:
        return None
    rows: list[dict[str, Any]] = []
    words = ""
    if any(record.state is TrialState.RUNNING for record in records):
        words = "The importance of hyperparameters is computed when no trial is running."
    elif len({record.trial.variant.number for record in records}) > _LARGEST:
        words = f"With more than {_LARGEST} variants, importance is not computed here: study.importance()."
    else:
        try:
            frame = optuna_study.importance(records, metric, mode, "fanova", 0)
            rows = [_row(row) for row in frame.head(_MOST).to_dict("records")]
        except (StudyError, StoreError) as error:
            words = f"There is no importance of hyperparameters: {error}."
    return {"metric": metric, "rows": rows, "words": words}


def _varied(records: Sequence[Record], names: Sequence[str]) -> list[str]:
    given = [record.trial.hyperparameters for record in records]
    return [name for name in names if len({repr(one.get(name)) for one in given}) > 1]


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    ends = {end: None if math.isnan(row[end]) else plain(row[end]) for end in ("low", "high")}
    return {"name": str(row["hyperparameter"]), "importance": plain(row["importance"]), **ends}
