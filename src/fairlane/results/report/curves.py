"""Records → the curves of a report.

In: the records of a study, and the names of its logs. Out: each trial's row with its curves, and each
variant's mean curves. A value that was not logged is None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairlane.results import histories
from fairlane.results.plots.lines import FEWEST_FOR_A_BAND
from fairlane.results.report.values import plain, shortened
from fairlane.store import Record
from fairlane.trials import TrialState

CONFIDENCE = 0.95
"""Of the intervals, as in the figures."""


def trial_row(record: Record, logs: Sequence[str], tests: Sequence[str]) -> dict[str, Any]:
    """A trial's row, with its curves.

    Args:
        record: the trial's.
        logs: the names of the logs that have curves.
        tests: the names of the metrics of the test data.
    """
    return {
        "number": record.trial.number,
        "variant": record.trial.variant.number,
        "seed": record.trial.seed,
        "fold": record.trial.fold,
        "state": str(record.state),
        "seconds": plain(round(record.seconds, 3)),
        "engine": record.engine,
        "worker": record.worker,
        "fleet": record.fleet,
        "loop": record.loop,
        "reason": record.reason,
        "error": shortened(record.error),
        "epochs": [epoch for epoch, _ in record.epochs],
        "weights_epoch": record.weights_epoch,
        "curves": [[plain(of_epoch.get(log)) for _, of_epoch in record.epochs] for log in logs],
        "tests": [plain(record.test_logs.get(test)) for test in tests],
    }


def counted_trials(records: Sequence[Record]) -> dict[int, list[Record]]:
    """Variant's number → the trials of its mean curves: the finished ones, or else those in training.

    Args:
        records: the trials' records.
    """
    of_variant: dict[int, list[Record]] = {}
    for record in records:
        of_variant.setdefault(record.trial.variant.number, []).append(record)
    return {number: _counting(some) for number, some in of_variant.items()}


def _counting(records: Sequence[Record]) -> list[Record]:
    begun = [record for record in records if record.epochs]
    for state in (TrialState.DONE, TrialState.RUNNING):
        if found := [record for record in begun if record.state is state]:
            return found
    return begun


def mean_curves(
    counted: Mapping[int, Sequence[Record]], logs: Sequence[str], share: float | None = None
) -> dict[int, dict[str, Any]]:
    """The mean curves of each variant with several trials that count, and their intervals.

    As in figures, a mean has a gap where a trial has no value, and two trials have no interval.

    Args:
        counted: variant's number → the trials that count.
        logs: the names of the logs that have curves.
        share: validation samples per training sample of the folds; None where there are no folds.
    """
    several = {number: some for number, some in counted.items() if len(some) > 1}
    rows = [
        (number, record.trial.number, epoch, record.trial.fold, *(_number(of_epoch.get(log)) for log in logs))
        for number, some in several.items()
        for record in some
        for epoch, of_epoch in record.epochs
    ]
    columns = [str(i) for i in range(len(logs))]
    frame = pd.DataFrame(rows, columns=["number", "trial", "epoch", "fold", *columns])
    if frame.empty or not columns:
        return {}
    if share is None:
        frame = frame.drop(columns="fold")
    frame.attrs[histories.SHARE] = share
    curves = histories.over_seeds(frame, ["number"], columns, CONFIDENCE)
    of_variant = zip(*(curve.groupby("variant", sort=True) for curve in curves), strict=True)
    found: dict[int, dict[str, Any]] = {}
    for (number, some), ((_, mean), (_, low), (_, high)) in zip(several.items(), of_variant, strict=True):
        curve = {"epochs": mean["epoch"].tolist(), "values": _columns(mean, columns)}
        if len(some) >= FEWEST_FOR_A_BAND:
            curve |= {"low": _columns(low, columns), "high": _columns(high, columns)}
        found[number] = curve
    return found


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> list[list[float | None]]:
    """Each column's values, None where there is no finite value."""
    columns = frame[names].to_numpy(dtype=float).T.tolist()
    return [[plain(value) if math.isfinite(value) else None for value in column] for column in columns]


def _number(value: Any) -> float:
    """A logged value that can be averaged, or NaN."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def epochs_of(records: Iterable[Record]) -> Iterator[Mapping[str, Any]]:
    """The logs of all epochs of all trials.

    Args:
        records: the trials' records.
    """
    return (logs for record in records for _, logs in record.epochs)


def is_single(log: str, rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a log is always a single number; only such logs have curves.

    Args:
        log: its name.
        rows: logged values by name.
    """
    return all(np.ndim(row[log]) == 0 for row in rows if log in row)


def panels(logs: Sequence[str]) -> list[dict[str, Any]]:
    """The metrics, with the places of their training and validation values among the logs.

    Args:
        logs: the names of the logs that have curves.
    """
    bare = dict.fromkeys(log.removeprefix("val_") for log in logs)
    place = {log: i for i, log in enumerate(logs)}
    return [
        {"name": name, "training": place.get(name), "validation": place.get(f"val_{name}")} for name in bare
    ]
