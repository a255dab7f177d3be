"""Hyperparameters → cells of a data frame.

In: hyperparameters of any type. Out: columns in which equal values are equal cells, and different values
different ones, so that ``groupby`` works. Numbers, strings and booleans stay as they are; lists, functions
and other objects become a short text. None stays None. A hyperparameter that a variant does not have is NaN.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairlane.store import Record
from fairlane.trials import LONGEST_INTEGER, short


def hyperparameters(records: Iterable[Record]) -> list[str]:
    """The names of all hyperparameters, in order.

    Args:
        records: the trials' records.
    """
    return named_cells(list(records))[0]


def named_cells(records: Sequence[Record]) -> tuple[list[str], dict[int, dict[str, Any]]]:
    """The hyperparameters' names, in order; and for each variant's number, its cells by name.

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
        variants: for each row, its cells by name, as `named_cells` gives them.
        name: the hyperparameter's.
    """
    # pandas would make NaN of None in a column of numbers; a column of objects keeps both.
    column = [values.get(name, math.nan) for values in variants]
    return pd.Series(column, dtype=object) if any(value is None for value in column) else column


def frame_of(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A data frame of columns; half a surrogate pair, which pandas can't hold, becomes ``\\udc80``.

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
    """A text that UTF-8 can encode; any other value as it is.

    Args:
        value: any.
    """
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def _cells(values: Sequence[Any]) -> list[Any]:
    """Scalars as they are, all else as text: equal text for equal values, different text for others."""
    known: dict[str, list[Any]] = {value: [value] for value in values if isinstance(value, str)}
    cells = []
    for value in values:
        scalar = value is None or isinstance(value, str | int | float | complex | np.generic)
        long = isinstance(value, int) and value.bit_length() > LONGEST_INTEGER
        # An IntEnum is an int too, but its name says more than the number that pandas would show.
        if scalar and not long and not isinstance(value, enum.Enum):
            cells.append(encodable(value))
            continue
        text = short(value)
        alike = known.setdefault(text, [])  # two lambdas, or long lists with the same beginning
        i = next((i for i, other in enumerate(alike) if same(value, other)), len(alike))
        if i == len(alike):
            alike.append(value)
        cells.append(text if i == 0 else f"{text} ({i + 1})")
    return cells


def same(a: Any, b: Any) -> bool:
    """Whether two values of a hyperparameter are equal.

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
