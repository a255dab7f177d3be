"""A variant's curve → a small drawing for a cell of a table.

In: values by epoch. Out: SVG without style or program, so that a notebook shows it wherever it is opened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fairlane.store import Record

_WIDTH, _HEIGHT, _EDGE = 90, 18, 2


def mean_curve(records: Sequence[Record], metric: str) -> list[float]:
    """The mean over trials, epoch by epoch; it ends where the first of them ends.

    Args:
        records: of one variant, those that count.
        metric: a log's name.
    """
    curves = [[_number(logs.get(metric)) for _, logs in record.epochs] for record in records]
    shortest = min((len(curve) for curve in curves), default=0)
    return [float(np.mean([curve[i] for curve in curves])) for i in range(shortest)]


def sparklines(curves: Mapping[int, Sequence[float]]) -> dict[int, str]:
    """A drawing of each curve, all on one scale; empty where fewer than two values are finite.

    Args:
        curves: variant's number → its values, in the order of epochs.

    Example:
        >>> sparklines({0: [2.0, 1.0], 1: [3.0]})[0].count("<polyline"), sparklines({1: [3.0]})[1]
        (1, '')
    """
    finite = [value for curve in curves.values() for value in curve if math.isfinite(value)]
    if not finite:
        return dict.fromkeys(curves, "")
    low, high = np.quantile(finite, [0.02, 0.98])  # one far value does not flatten all
    longest = max(map(len, curves.values()))
    return {number: _drawn(curve, float(low), float(high), longest) for number, curve in curves.items()}


def _drawn(curve: Sequence[float], low: float, high: float, longest: int) -> str:
    span = high - low or 1.0
    points = [
        f"{_EDGE + (_WIDTH - 2 * _EDGE) * i / max(1, longest - 1):.1f},"
        f"{_HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * min(1.0, max(0.0, (value - low) / span)):.1f}"
        for i, value in enumerate(curve)
        if math.isfinite(value)
    ]
    if len(points) < 2:
        return ""
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'<polyline fill="none" stroke="currentColor" stroke-width="1.3" points="{" ".join(points)}"/></svg>'
    )


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
