"""What a study's trials logged: the names, and the values that can be compared.

In: the records of a study's trials. Out: the names of logs in their order, what Keras knows of their
direction, single numbers, and the errors for a metric that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fairlane.errors import StudyError
from fairlane.kit.text import did_you_mean
from fairlane.store import Record
from fairlane.trials import TrialState

COLUMN = "logged_"
"""Stands before a log's name in the frames where the name is taken."""
VALIDATION = "val_"


def default_metric(records: Iterable[Record]) -> str:
    """The metric that is used by default: ``"val_loss"`` where it was logged, else ``"loss"``.

    Args:
        records: the trials' records.
    """
    validated = any("val_loss" in logs for record in records for _, logs in record.epochs)
    return "val_loss" if validated else "loss"


def test_metrics(records: Iterable[Record]) -> list[str]:
    """The names of the metrics of the test data, such as ``test_loss``.

    Args:
        records: the trials' records.
    """
    return list({log: None for record in records for log in record.test_logs})


def ordered_logs(records: Iterable[Record]) -> list[str]:
    """All logs' names: ``loss``, other training metrics, then their ``val_`` counterparts.

    Args:
        records: the trials' records.
    """
    logs = {log: None for record in records for _, epoch in record.epochs for log in epoch}
    training = [log for log in logs if not log.startswith(VALIDATION)]
    training.sort(key=lambda log: log != "loss")  # the sort is stable, so only loss moves
    place = {VALIDATION + log: i for i, log in enumerate(training)}
    validation = [log for log in logs if log.startswith(VALIDATION)]
    validation.sort(key=lambda log: place.get(log, len(place)))
    return training + validation


def logged_name(records: Sequence[Record], logs: Sequence[str], metric: str) -> str:
    """A log's name, for the name itself or for that of its column.

    Args:
        records: the trials' records.
        logs: the names of all logs.
        metric: the name that was given.

    Raises:
        StudyError: there is no such log, or no log at all.
    """
    if metric in logs:
        return metric
    bare = metric.removeprefix(COLUMN)  # users copy names from the frames' columns
    if bare in logs:
        return bare
    raise unknown_metric(metric, logs) if logs else nothing_counts(records, metric)


def known_directions(records: Iterable[Record]) -> dict[str, list[str]]:
    """Metric → ``"min"`` or ``"max"``, as Keras knows it of compiled metrics; both where variants differ.

    Args:
        records: the trials' records.
    """
    known: dict[str, list[str]] = {}
    for record in records:
        for metric, better in record.directions.items():
            if better not in known.setdefault(metric, []):
                known[metric].append(better)
    return known


def single(record: Record, metric: str, value: Any) -> float:
    """A logged value as a number.

    Args:
        record: the trial's.
        metric: the log's name.
        value: as logged.

    Raises:
        StudyError: it is an array.
    """
    if np.ndim(value):
        raise StudyError(
            f"{record.trial} logs {metric!r} as an array, and only single numbers can be ranked; "
            "use a metric that averages over the classes, or log each class under its own name"
        )
    return float(value)


def unknown_metric(metric: str, names: Iterable[str]) -> StudyError:
    """The error for a metric that no trial has logged: the names that exist, and the nearest of them.

    Args:
        metric: the name that was given.
        names: the names that exist.

    Example:
        >>> print(unknown_metric("val_los", ["loss", "val_loss"]))
        no trial has logged a metric 'val_los'. Did you mean 'val_loss'? Logged metrics: loss, val_loss
    """
    names = list(names)
    hint = did_you_mean(metric, names)
    return StudyError(f"no trial has logged a metric {metric!r}.{hint} Logged metrics: {', '.join(names)}")


def nothing_counts(records: Sequence[Record], metric: str) -> StudyError:
    """The error where no trial has a value of a metric.

    Args:
        records: the trials' records.
        metric: the log's name.
    """
    done = sum(record.state is TrialState.DONE for record in records)
    if done:
        return StudyError(f"none of the {done} finished trials has a finite {metric!r}; see study.history")
    ended = [record for record in records if record.state.ended]
    if not ended:
        return StudyError(f"no trial has finished yet, so there is no {metric!r} to rank trials by")
    first = next((record for record in ended if record.error), None)
    why = f"; the first: {first.trial}: {first.error}" if first else ""
    return StudyError(
        f"no trial has finished: {len(ended)} of {len(records)} failed, diverged or were "
        f"interrupted, so there is no {metric!r} to rank trials by{why}"
    )
