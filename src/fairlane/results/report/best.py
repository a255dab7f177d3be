"""A study → its best variant, for a list of studies.

In: the records of a study. Out: a dict of JSON data. It is computed without curves, so that a list of many
studies costs little.
"""

from __future__ import annotations

from typing import Any, cast

from fairlane.results.directions import Modes
from fairlane.results.folds import share_of
from fairlane.results.logs import default_metric
from fairlane.results.report.values import plain
from fairlane.results.report.verdict import verdict
from fairlane.results.searched import counting, objective
from fairlane.store import Records


def best_of(records: Records) -> dict[str, Any]:
    """The best variant, by the metric that ranks variants in the report.

    Args:
        records: of the study.

    Returns:
        ``metric``, ``words`` (why there is no best variant, or empty), and, where there is one, ``variant``
        (its label), ``mean``, ``low`` and ``high`` (None where there are too few seeds), ``provisional``
        (whether trials are unfinished) and ``mode`` (``"min"`` or ``"max"``).
    """
    searched = objective(records)
    metric, mode = searched if searched is not None else (default_metric(list(records)), "auto")
    found = verdict(counting(records), metric, cast(Modes, mode), share_of(records))
    if found.table is None:
        return {"metric": metric, "words": found.sentence}
    row = found.table.iloc[0]
    labels = {record.trial.variant.number: record.trial.variant.label for record in records}
    ends = {end: None if row[end] != row[end] else plain(row[end]) for end in ("low", "high")}
    return {
        "metric": metric,
        "words": "",
        "variant": labels[int(row["variant"])],
        "mean": plain(row["mean"]),
        **ends,
        "provisional": bool(found.table.attrs["provisional"]),
        "mode": str(found.table.attrs["direction"]),
    }
