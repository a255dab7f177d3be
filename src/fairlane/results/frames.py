"""Records → tidy data frames.

In: the records of a study's trials, in the order of the trials. Out: pandas DataFrames, with a row
per epoch, per value or per trial, and the best record.

Every frame names the hyperparameters in the order in which the variants give them. Numbers,
strings and booleans stand as they are; lists, functions and other objects as a short text, which
differs wherever the values do, so that ``groupby`` works. None stays None. A hyperparameter that a
variant lacks is NaN.

A log whose name is taken, by a hyperparameter or by a column of Fairlane's own, gets the column
``logged_<name>``: Keras's learning rate callbacks log ``learning_rate``, which is often varied too.
"""

from __future__ import annotations

import difflib
import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.results import statistics
from fairlane.results.directions import direction
from fairlane.store import Record
from fairlane.trials import LONGEST_INTEGER, OF_NO_EPOCH, RESERVED_COLUMNS, TrialState, short

__all__ = ["direction"]

At = Literal["last", "best"]
Rows = Iterable[Record]

_HISTORY = ("trial", "seed", "epoch")
_LOGGED = "logged_"
_VALIDATION = "val_"


def history(records: Rows) -> pd.DataFrame:
    """A row per trial and epoch, as Keras's ``History`` of each, stacked.

    Args:
        records: the trials' records.

    Returns:
        Columns ``trial``, the hyperparameters, ``seed``, ``epoch`` (from 0, as in Keras), then the
        logs: ``loss``, the other training metrics, and their ``val_`` counterparts in the same
        order. A log that an epoch lacks, as it does ``val_loss`` where ``validation_freq`` says so,
        is NaN. Without records, only the fixed columns.

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
    return frame_of(columns).astype(dict.fromkeys(_HISTORY, "int64"))


def long(records: Rows) -> pd.DataFrame:
    """A row per logged value: the tidy form that seaborn, plotnine and ``pivot_table`` ask for.

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
    columns["metric"] = [log.removeprefix(_VALIDATION) for _, _, log, _ in rows]
    columns["data"] = ["validation" if log.startswith(_VALIDATION) else "training" for _, _, log, _ in rows]
    columns["value"] = [value for *_, value in rows]
    return frame_of(columns).astype(dict.fromkeys(_HISTORY, "int64"))


def trials(records: Rows) -> pd.DataFrame:
    """A row per trial: what it was, how it ended and what ran it.

    Args:
        records: the trials' records.

    Returns:
        Columns ``trial``, the hyperparameters, ``seed``, ``state``, ``epochs`` (how many are done;
        the column is ``epochs_done`` where ``epochs`` is itself a hyperparameter), ``weights_epoch`` (the
        epoch that the trained weights are of, counted from 0: the last, unless a callback went back to an
        earlier one; missing where there are none, or no epoch's, as of an average), each log's value in that
        epoch, else in the last (with ``validation_freq`` perhaps of one before), ``test_<metric>`` where
        there were test data (an epoch's log of that name becomes ``logged_test_<metric>``), ``seconds``,
        ``engine``, ``fleet`` (nullable integer), ``loop``, ``reason`` (why not on lanes) and ``error``.

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
    last = [_last_values(record) for record in records]
    tests = test_metrics(records)
    for log, column in _log_columns(records, [*names, *tests]).items():
        columns[column] = [values.get(log, math.nan) for values in last]
    for log in tests:
        column = _LOGGED + log if log in names else log
        columns[column] = [record.test_logs.get(log, math.nan) for record in records]
    for name in ("seconds", "engine", "fleet", "loop", "reason", "error"):
        columns[name] = [getattr(record, name) for record in records]
    dtypes = {"trial": "int64", "seed": "int64", done: "int64", "seconds": "float64"}
    return frame_of(columns).astype({**dtypes, "fleet": "Int64", "weights_epoch": "Int64"})


def metric_columns(
    history_frame: pd.DataFrame, hyperparameters: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Which columns of a history hold each metric's training and validation values.

    Args:
        history_frame: as `history` returns it.
        hyperparameters: the names of its hyperparameters.

    Returns:
        Metric → (column of training values, column of validation values), None where there is none.
        Columns that do not hold single numbers are left out.

    Example:
        >>> frame = pd.DataFrame({"trial": [0], "lr": [0.1], "seed": [0], "epoch": [0],
        ...                       "loss": [1.0], "val_loss": [2.0], "f1": [0.5]})
        >>> metric_columns(frame, ["lr"])
        {'loss': ('loss', 'val_loss'), 'f1': ('f1', None)}
    """
    taken = _taken(hyperparameters)
    pairs: dict[str, tuple[str | None, str | None]] = {}
    for column in history_frame.columns:
        own = column in _HISTORY or column in hyperparameters
        if own or not pd.api.types.is_numeric_dtype(history_frame[column]):
            continue
        bare = column.removeprefix(_LOGGED)
        log = bare if bare in taken else column
        metric = log.removeprefix(_VALIDATION)
        training, validation = pairs.get(metric, (None, None))
        pairs[metric] = (training, column) if log != metric else (column, validation)
    return pairs


def variant_numbers(
    history_frame: pd.DataFrame, hyperparameters: Sequence[str]
) -> tuple[pd.Series, list[dict[str, Any]]]:
    """Number the rows' combinations of hyperparameters, in the order in which they first occur.

    Args:
        history_frame: as `history` returns it, shape ``(rows, ...)``.
        hyperparameters: the names of its hyperparameters.

    Returns:
        The number of each row, an int64 Series of shape ``(rows,)``; and for each number its
        hyperparameters, without those that it lacks.

    Example:
        >>> frame = pd.DataFrame({"lr": [0.1, 0.1, 0.01], "units": [8, None, 8]})
        >>> numbers, variants = variant_numbers(frame, ["lr", "units"])
        >>> numbers.tolist(), variants[1]
        ([0, 1, 2], {'lr': 0.1})
    """
    rows = zip(*(history_frame[name] for name in hyperparameters), strict=True)
    keys = [tuple(_LACKING if _missing(value) else value for value in row) for row in rows]
    keys = keys or [()] * len(history_frame)
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    variants = [
        {name: v for name, v in zip(hyperparameters, key, strict=False) if v is not _LACKING}
        for key in number
    ]
    numbers = [number[key] for key in keys]
    return pd.Series(numbers, index=history_frame.index, dtype="int64"), variants


def over_seeds(
    history_frame: pd.DataFrame,
    hyperparameters: Sequence[str],
    columns: Sequence[str],
    confidence: float = 0.95,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The mean over seeds and its interval, per variant and epoch, where all its seeds have a value.

    A mean over whichever seeds are left would jump where one of them stops, as if the others had
    changed; here it ends there, and resumes where all have a value again.

    Args:
        history_frame: as `history` returns it.
        hyperparameters: the names of its hyperparameters.
        columns: the columns to average.
        confidence: of the intervals, Student's t.

    Returns:
        Three frames of the same rows: the means, and the lower and the upper ends of their intervals. Columns
        ``variant`` (as `variant_numbers` counts), ``epoch``, ``seeds`` (how many trials
        the variant has), and the given columns, NaN where a seed lacks the value.

    Example:
        >>> frame = pd.DataFrame({"trial": [0, 0, 1], "seed": [0, 0, 1], "epoch": [0, 1, 0],
        ...                       "loss": [1.0, 0.5, 3.0]})
        >>> means, low, high = over_seeds(frame, [], ["loss"])
        >>> means
           variant  epoch  seeds  loss
        0        0      0      2   2.0
        1        0      1      2   NaN
        >>> low["loss"].round(1).tolist()  # t is 12.7 for 2 seeds
        [-10.7, nan]
    """
    columns = list(columns)
    numbers, _ = variant_numbers(history_frame, hyperparameters)
    work = history_frame[["trial", "epoch", *columns]].assign(variant=numbers)
    seeds_of = work.groupby("variant")["trial"].nunique()
    groups = work.groupby(["variant", "epoch"])[columns]
    means = groups.mean().reset_index()
    means.insert(2, "seeds", means["variant"].map(seeds_of))
    complete = groups.count().reset_index()[columns].eq(means["seeds"], axis=0)
    means[columns] = means[columns].where(complete)
    seeds = np.broadcast_to(means["seeds"].to_numpy()[:, None], (len(means), len(columns)))
    deviations = groups.std().to_numpy(dtype=float)
    ends = statistics.student(means[columns].to_numpy(dtype=float), deviations, seeds, confidence)
    low, high = (means.assign(**dict(zip(columns, end.T, strict=True))) for end in ends)
    return means, low, high


def unknown_metric(metric: str, names: Iterable[str]) -> StudyError:
    """The error for a metric that no trial has logged: which there are, and what may be meant.

    Example:
        >>> print(unknown_metric("val_los", ["loss", "val_loss"]))
        no trial has logged a metric 'val_los'. Did you mean 'val_loss'? There are: loss, val_loss
    """
    names = list(names)
    near = difflib.get_close_matches(metric, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return StudyError(f"no trial has logged a metric {metric!r}.{hint} There are: {', '.join(names)}")


# Hyperparameters


def _spec(
    rows: Sequence[Record], names: Sequence[str], cells: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """The columns ``trial``, the hyperparameters and ``seed``."""
    columns: dict[str, Any] = {"trial": [record.trial.number for record in rows]}
    for name in names:
        columns[name] = cells_of([cells[record.trial.variant.number] for record in rows], name)
    columns["seed"] = [record.trial.seed for record in rows]
    return columns


def hyperparameters(records: Rows) -> list[str]:
    """The names of all hyperparameters, in order.

    Args:
        records: the trials' records.
    """
    return named_cells(list(records))[0]


def named_cells(records: Sequence[Record]) -> tuple[list[str], dict[int, dict[str, Any]]]:
    """The hyperparameters' names, in order; and for each variant's number, its values as a column has them.

    Args:
        records: the trials' records.
    """
    variants = {r.trial.variant.number: r.trial.hyperparameters for r in records}
    names = list(dict.fromkeys(name for values in variants.values() for name in values))
    cells: dict[int, dict[str, Any]] = {number: {} for number in variants}
    for name in names:
        have = [number for number, values in variants.items() if name in values]
        for number, cell in zip(have, _cells([variants[n][name] for n in have]), strict=True):
            cells[number][encodable(name)] = cell
    return list(map(encodable, names)), cells


def cells_of(variants: Sequence[Mapping[str, Any]], name: str) -> Any:
    """A hyperparameter's column: None stays None, and NaN stands where a variant does not have it.

    Args:
        variants: of each row, the values as columns have them, as `named_cells` gives them.
        name: the hyperparameter's.
    """
    column = [values.get(name, math.nan) for values in variants]
    return pd.Series(column, dtype=object) if any(value is None for value in column) else column


def frame_of(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A data frame of columns; half a surrogate pair, which pandas has no place for, becomes ``\\udc80``.

    Args:
        columns: name → values.
    """
    try:
        return pd.DataFrame(columns)
    except UnicodeEncodeError:
        encoded = {
            encodable(name): pd.Series(map(encodable, of), dtype=getattr(of, "dtype", None))
            for name, of in columns.items()
        }
        return pd.DataFrame(encoded)


def encodable(value: Any) -> Any:
    """A text that UTF-8 has bytes for; any other value as it is."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def _cells(values: Sequence[Any]) -> list[Any]:
    """Scalars as they are, all else as text: equal for equal values, and different for others."""
    known: dict[str, list[Any]] = {value: [value] for value in values if isinstance(value, str)}
    cells = []
    for value in values:
        scalar = value is None or isinstance(value, str | int | float | complex | np.generic)
        long = isinstance(value, int) and value.bit_length() > LONGEST_INTEGER
        if scalar and not long and not isinstance(value, enum.Enum):  # of an IntEnum, pandas has the number
            cells.append(encodable(value))
            continue
        text = short(value)
        alike = known.setdefault(text, [])  # two lambdas, or lists that are cut at one place
        i = next((i for i, other in enumerate(alike) if same(value, other)), len(alike))
        if i == len(alike):
            alike.append(value)
        cells.append(text if i == 0 else f"{text} ({i + 1})")
    return cells


def same(a: Any, b: Any) -> bool:
    """Whether two hyperparameters' values are one.

    Args:
        a: any value.
        b: any value.
    """
    if a is b:
        return True
    try:
        return type(a) is type(b) and bool(np.all(a == b))
    except (TypeError, ValueError):  # values that can't be compared
        return False


def _missing(value: Any) -> bool:
    return value is pd.NA or (isinstance(value, float) and math.isnan(value))


_LACKING = object()


# Logs


def default_metric(records: Iterable[Record]) -> str:
    """What studies are judged by where nobody says: ``"val_loss"`` where it was logged, else ``"loss"``."""
    validated = any("val_loss" in logs for record in records for _, logs in record.epochs)
    return "val_loss" if validated else "loss"


def test_metrics(records: Iterable[Record]) -> list[str]:
    """The names of what was measured on test data, such as ``test_loss``.

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
    training = [log for log in logs if not log.startswith(_VALIDATION)]
    training.sort(key=lambda log: log != "loss")  # stable: only loss moves
    place = {_VALIDATION + log: i for i, log in enumerate(training)}
    validation = [log for log in logs if log.startswith(_VALIDATION)]
    validation.sort(key=lambda log: place.get(log, len(place)))
    return training + validation


def _log_columns(records: Sequence[Record], hyperparameters: Sequence[str]) -> dict[str, str]:
    """Log → column, in order."""
    taken = _taken(hyperparameters)
    return {log: encodable(_LOGGED + log if log in taken else log) for log in ordered_logs(records)}


def _taken(hyperparameters: Iterable[str]) -> frozenset[str]:
    return RESERVED_COLUMNS | {"epochs", *hyperparameters}


def _last_values(record: Record) -> dict[str, Any]:
    """Each log's value in the epoch of the trained weights, or the last: one that it lacks is of one
    before."""
    kept = record.weights_epoch
    until = math.inf if kept is None or kept == OF_NO_EPOCH else kept
    values: dict[str, Any] = {}
    for epoch, logs in record.epochs:
        if epoch <= until:
            values |= logs
    return values


# The best


def logged_name(records: Sequence[Record], logs: Sequence[str], metric: str) -> str:
    """A log's name, given by itself or by its column's.

    Args:
        records: the trials' records.
        logs: the logs that there are.
        metric: what was given.

    Raises:
        StudyError: there is no such log, or none at all.
    """
    if metric in logs:
        return metric
    bare = metric.removeprefix(_LOGGED)  # a column's name in the frames will do, too
    if bare in logs:
        return bare
    raise unknown_metric(metric, logs) if logs else nothing_counts(records, metric)


def known_directions(records: Iterable[Record]) -> dict[str, list[str]]:
    """What Keras knows of the compiled metrics: metric → ``"min"``, ``"max"``, or both where variants differ.

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
        record: whose it is.
        metric: the log's name.
        value: as logged.

    Raises:
        StudyError: it is an array.
    """
    if np.ndim(value):
        raise StudyError(
            f"{record.trial} logs {metric!r} as an array, and only single numbers have a best; "
            "let the metric average over classes, or log each class by itself"
        )
    return float(value)


def nothing_counts(records: Sequence[Record], metric: str) -> StudyError:
    """The error where no trial has a value to rank by.

    Args:
        records: the trials' records.
        metric: the log's name.
    """
    done = sum(record.state is TrialState.DONE for record in records)
    if done:
        return StudyError(
            f"none of the {done} finished trials has a finite {metric!r}; look at study.history"
        )
    ended = [record for record in records if record.state.ended]
    if not ended:
        return StudyError(f"no trial has finished yet, so there is no {metric!r} to rank them by")
    first = next((record for record in ended if record.error), None)
    why = f"; the first: {first.trial}: {first.error}" if first else ""
    return StudyError(
        f"no trial has finished: {len(ended)} of {len(records)} failed, diverged or were "
        f"interrupted, so there is no {metric!r} to rank them by{why}"
    )
