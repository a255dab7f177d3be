"""Values → what JSON and people can read.

In: numbers, texts and times. Out: plain data for JSON, and short texts. A value that is NaN or infinite is
one of the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fairlane.trials import short

MOST = 12
"""Items of a list that are shown."""

_DIGITS = 6
_LONGEST = 20_000
"""Characters of a text that are shown."""
_LARGEST = 2**53
"""Larger integers are not exact in JavaScript."""


def plain(value: Any) -> Any:
    """A hyperparameter or logged value as JSON has it.

    Args:
        value: a number, a text, None, or anything else, which becomes a short text.

    Example:
        >>> plain(0.123456789), plain(float("nan")), plain(None), plain(2**60)
        (0.123457, 'NaN', None, '1152921504606846976')
    """
    value = value.item() if isinstance(value, np.generic) or getattr(value, "ndim", None) == 0 else value
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(f"{value:.{_DIGITS}g}")
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return short(value)


def listed(texts: Sequence[str], most: int, between: str = ", ") -> str:
    """Some texts in a row, and how many more there are.

    Args:
        texts: all of them.
        most: how many to show.
        between: what stands between two.

    Example:
        >>> listed(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def ranges(numbers: Sequence[int]) -> str:
    """Ascending integers in words: ``0 to 4, 7``.

    Args:
        numbers: the integers.
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [", ".join(map(str, run)) if len(run) < 3 else f"{run[0]} to {run[-1]}" for run in runs]
    return listed(texts, MOST)


def shortened(text: str) -> str:
    """A text, cut off where it is very long.

    Args:
        text: any.
    """
    more = len(text) - _LONGEST
    return f"{text[:_LONGEST]}\n... and {more} more characters" if more > 0 else text


def time_of(seconds: float) -> str:
    """A time in UTC.

    Args:
        seconds: since 1970.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
