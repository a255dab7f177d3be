"""Records → tidy data frames.

In: the records of a study's trials, in the order of the trials. Out: pandas DataFrames, with a row per epoch,
per value or per trial.

Every frame names the hyperparameters in the order in which the variants give them; `fairlane.results.cells`
says how their values look.

A log whose name is taken, by a hyperparameter or by a column of Fairlane's own, gets the column
``logged_<name>``: Keras's learning rate callbacks log ``learning_rate``, which is often varied too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from fairlane.results.cells import cells_of, encodable, frame_of, named_cells
from fairlane.results.logs import COLUMN, VALIDATION, ordered_logs, test_metrics
from fairlane.store import Record
from fairlane.trials import OF_NO_EPOCH, RESERVED_COLUMNS

At = Literal["last", "best"]
Rows = Iterable[Record]

FIXED = ("trial", "seed", "epoch")
"""The columns that every history has."""


def history(records: Rows) -> pd.DataFrame:
    """A row per trial and epoch, as Keras's ``History`` of each, stacked.

    Args:
        records: the trials' records.

    Returns:
        Columns ``trial``, the hyperparameters, ``seed``, ``fold`` (from 0; only where there are folds),
        ``epoch`` (from 0, as in Keras), then the logs: ``loss``, the other training metrics, and their
        ``val_`` counterparts in the same order. A log that an epoch does not have is NaN, as ``val_loss`` in
        epochs that ``validation_freq`` leaves out. Without records, only the fixed columns.

    Example:
        >>> from fairlane.store import Record
        >>> from fairlane.trials import Trial, Variant
        >>> trial = Trial(0, Variant(0, {"units": 32}), seed=7)
        >>> history([Record(trial, epochs=[(0, {"loss": 0.5}), (1, {"loss": 0.25})])])
           trial  units  seed  epoch  loss
        0      0     32     7      0  0.50
        1      0     32     7      1  0.25
    """
    records = list(records)
    names, cells = named_cells(records)
    rows = [(record, epoch, logs) for record in records for epoch, logs in record.epochs]
    columns = _spec([record for record, _, _ in rows], names, cells)
    columns["epoch"] = [epoch for _, epoch, _ in rows]
    for log, column in _log_columns(records, names).items():
        columns[column] = [logs.get(log, math.nan) for _, _, logs in rows]
    return frame_of(columns).astype(dict.fromkeys(FIXED, "int64"))


def long(records: Rows) -> pd.DataFrame:
    """A row per logged value: the tidy form that seaborn, plotnine and ``pivot_table`` expect.

    Args:
        records: the trials' records.

    Returns:
        Columns ``trial``, the hyperparameters, ``seed``, ``epoch`` (from 0), ``metric`` (without
        ``val_``), ``data`` (``"training"`` or ``"validation"``) and ``value``. What was not logged
        has no row; a NaN that was logged has one.

    Example:
        >>> from fairlane.store import Record
        >>> from fairlane.trials import Trial, Variant
        >>> trial = Trial(0, Variant(0, {"units": 32}), seed=7)
        >>> long([Record(trial, epochs=[(0, {"loss": 0.5, "val_loss": 0.75})])])
           trial  units  seed  epoch metric        data  value
        0      0     32     7      0   loss    training   0.50
        1      0     32     7      0   loss  validation   0.75
    """
    records = list(records)
    names, cells = named_cells(records)
    order = ordered_logs(records)
    rows = [
        (record, epoch, log, logs[log])
        for record in records
        for epoch, logs in record.epochs
        for log in order
        if log in logs
    ]
    columns = _spec([record for record, *_ in rows], names, cells)
    columns["epoch"] = [epoch for _, epoch, _, _ in rows]
    columns["metric"] = [log.removeprefix(VALIDATION) for _, _, log, _ in rows]
    columns["data"] = ["validation" if log.startswith(VALIDATION) else "training" for _, _, log, _ in rows]
    columns["value"] = [value for *_, value in rows]
    return frame_of(columns).astype(dict.fromkeys(FIXED, "int64"))


def trials(records: Rows) -> pd.DataFrame:
    """A row per trial: its hyperparameters and seed, how it ended, and which engine ran it.

    Args:
        records: the trials' records.

    Returns:
        Columns ``trial``, the hyperparameters, ``seed``, ``state``, ``epochs`` (how many are done;
        the column is ``epochs_done`` where ``epochs`` is itself a hyperparameter), ``weights_epoch`` (the
        epoch that the trained weights belong to, counted from 0: the last, unless a callback restored an
        earlier one; missing where there are no trained weights, or where they belong to no single epoch, such
        as an average), each log's value in that epoch, else in the last one (a log that this epoch does not
        have, because of ``validation_freq``, has the value of the epoch before), ``test_<metric>`` where
        there are test data (an epoch's log of that name becomes ``logged_test_<metric>``), ``seconds``,
        ``engine``, ``worker`` (the process that trained it; empty for the caller's own), ``fleet`` (nullable
        integer), ``loop``, ``reason`` (why not on lanes, or not with others) and ``error``.

    Example:
        >>> from fairlane.store import Record
        >>> from fairlane.trials import Trial, TrialState, Variant
        >>> trial = Trial(0, Variant(0, {"units": 32}), seed=7)
        >>> done = Record(trial, TrialState.DONE, [(0, {"loss": 0.5})], seconds=2.0)
        >>> trials([done])[["trial", "units", "seed", "state", "epochs", "loss", "seconds"]]
           trial  units  seed state  epochs  loss  seconds
        0      0     32     7  done       1   0.5      2.0
    """
    records = list(records)
    names, cells = named_cells(records)
    columns = _spec(records, names, cells)
    columns["state"] = [str(record.state) for record in records]
    done = "epochs_done" if "epochs" in names else "epochs"
    columns[done] = [len(record.epochs) for record in records]
    columns["weights_epoch"] = [
        None if record.weights_epoch == OF_NO_EPOCH else record.weights_epoch for record in records
    ]
    last = [last_values(record) for record in records]
    tests = test_metrics(records)
    for log, column in _log_columns(records, [*names, *tests]).items():
        columns[column] = [values.get(log, math.nan) for values in last]
    for log in tests:
        column = COLUMN + log if log in names else log
        columns[column] = [record.test_logs.get(log, math.nan) for record in records]
    for name in ("seconds", "engine", "worker", "fleet", "loop", "reason", "error"):
        columns[name] = [getattr(record, name) for record in records]
    dtypes = {"trial": "int64", "seed": "int64", done: "int64", "seconds": "float64"}
    return frame_of(columns).astype({**dtypes, "fleet": "Int64", "weights_epoch": "Int64"})


def _spec(
    rows: Sequence[Record], names: Sequence[str], cells: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """The columns ``trial``, the hyperparameters, ``seed`` and, where there are folds, ``fold``."""
    columns: dict[str, Any] = {"trial": [record.trial.number for record in rows]}
    for name in names:
        columns[name] = cells_of([cells[record.trial.variant.number] for record in rows], name)
    columns["seed"] = [record.trial.seed for record in rows]
    if any(record.trial.fold is not None for record in rows):
        columns["fold"] = [record.trial.fold for record in rows]
    return columns


def _log_columns(records: Sequence[Record], hyperparameters: Sequence[str]) -> dict[str, str]:
    """Log → the name of its column, in order."""
    taken = taken_names(hyperparameters)
    return {log: encodable(COLUMN + log if log in taken else log) for log in ordered_logs(records)}


def taken_names(hyperparameters: Iterable[str]) -> frozenset[str]:
    """The column names that a log can't have.

    Args:
        hyperparameters: the names of the hyperparameters.
    """
    return RESERVED_COLUMNS | {"epochs", "fold", *hyperparameters}


def last_values(record: Record) -> dict[str, Any]:
    """Each log's value in the epoch of the trained weights, else in the last epoch.

    A log that this epoch does not have has its value of an earlier epoch.

    Args:
        record: the trial's.
    """
    of_weights = record.weights_epoch
    until = math.inf if of_weights is None or of_weights == OF_NO_EPOCH else of_weights
    values: dict[str, Any] = {}
    for epoch, logs in record.epochs:
        if epoch <= until:
            values |= logs
    return values
