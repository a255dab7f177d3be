"""A history → its metrics, its variants, and the mean curves of these over their seeds.

In: a history as `fairlane.results.frames.history` returns it. Out: which columns belong together, a number
for each row's variant, and means with their intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairlane.results import statistics
from fairlane.results.frames import FIXED, taken_names
from fairlane.results.logs import COLUMN, VALIDATION


def metric_columns(
    history_frame: pd.DataFrame, hyperparameters: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Which columns of a history hold each metric's training and validation values.

    Args:
        history_frame: as `history` returns it.
        hyperparameters: the names of its hyperparameters.

    Returns:
        Metric → (column of training values, column of validation values), None where there is no such
        column. Columns that do not hold single numbers are left out.

    Example:
        >>> frame = pd.DataFrame({"trial": [0], "lr": [0.1], "seed": [0], "epoch": [0],
        ...                       "loss": [1.0], "val_loss": [2.0], "f1": [0.5]})
        >>> metric_columns(frame, ["lr"])
        {'loss': ('loss', 'val_loss'), 'f1': ('f1', None)}
    """
    taken = taken_names(hyperparameters)
    pairs: dict[str, tuple[str | None, str | None]] = {}
    for column in history_frame.columns:
        own = column in FIXED or column in hyperparameters
        if own or not pd.api.types.is_numeric_dtype(history_frame[column]):
            continue
        bare = column.removeprefix(COLUMN)
        log = bare if bare in taken else column
        metric = log.removeprefix(VALIDATION)
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
        hyperparameters, without those that the variant does not have.

    Example:
        >>> frame = pd.DataFrame({"lr": [0.1, 0.1, 0.01], "units": [8, None, 8]})
        >>> numbers, variants = variant_numbers(frame, ["lr", "units"])
        >>> numbers.tolist(), variants[1]
        ([0, 1, 2], {'lr': 0.1})
    """
    rows = zip(*(history_frame[name] for name in hyperparameters), strict=True)
    keys = [tuple(_LACKING if _missing(value) else value for value in row) for row in rows]
    keys = keys or [()] * len(history_frame)  # without hyperparameters, zip gives no rows
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    variants = [
        {name: v for name, v in zip(hyperparameters, key, strict=False) if v is not _LACKING}
        for key in number
    ]
    numbers = [number[key] for key in keys]
    return pd.Series(numbers, index=history_frame.index, dtype="int64"), variants


def _missing(value: Any) -> bool:
    return value is pd.NA or (isinstance(value, float) and math.isnan(value))


_LACKING = object()


SHARE = "validation samples per training sample"
"""An attribute of a history with folds; without it, they cut the samples once."""


def over_seeds(
    history_frame: pd.DataFrame,
    hyperparameters: Sequence[str],
    columns: Sequence[str],
    confidence: float = 0.95,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The mean over seeds and its interval, per variant and epoch, where all seeds have a value.

    A mean over the remaining seeds would jump where one seed stops, although the others did not change. So
    the mean ends there, and continues where all seeds have a value again.

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
    if "fold" in history_frame and "fold" not in hyperparameters:
        seeds, deviations = _of_folds(history_frame.assign(variant=numbers), columns)
    ends = statistics.student(means[columns].to_numpy(dtype=float), deviations, seeds, confidence)
    low, high = (means.assign(**dict(zip(columns, end.T, strict=True))) for end in ends)
    return means, low, high


def _of_folds(history_frame: pd.DataFrame, columns: Sequence[str]) -> tuple[Any, Any]:
    """How many folds a variant has in each epoch, and the deviation that makes Student's interval theirs.

    That of the corrected resampled t test (`fairlane.results.folds.over_folds`).
    """
    by_fold = history_frame.groupby(["variant", "epoch", "fold"])[list(columns)].mean()
    groups = by_fold.groupby(["variant", "epoch"])
    folds = groups.count().to_numpy(dtype=float)
    share = history_frame.attrs.get(SHARE)
    shares = 1 / np.maximum(1, folds - 1) if share is None else share
    return folds, groups.std().to_numpy(dtype=float) * np.sqrt(1 + folds * shares)
