"""Values and their summary → a row per variant: each seed a point, their mean with its interval.

In: frames as `fairlane.results.comparison` returns them. Out: a figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.results.plots.colours import (
    BEST,
    GREY,
    NORMAL,
    OKABE_ITO,
    SMALL,
    Scale,
    colour_bar,
    labels,
    palette,
    plain,
    spans_decades,
)
from fairlane.results.plots.panels import dress, heading, logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMED = 40
"""Up to so many rows have a name each; with more rows, ranks stand instead."""
_WIDTH = 40

_FAR, _ENOUGH = 6.0, 8
"""The axis leaves out points so many interquartile ranges from most, if there are so many points."""
_CUT = "_cut"
"""The label of a triangle at the edge; Matplotlib's own legends leave it out."""


@dataclass(frozen=True)
class _Row:
    """One variant: its points, estimate and name, and the note beside it."""

    name: str
    points: list[float]
    mean: float
    low: float
    high: float
    note: str
    colour: Any


def final(
    values_frame: pd.DataFrame,
    summary_frame: pd.DataFrame,
    hyperparameter_names: Iterable[str],
    *,
    title: str | None = None,
) -> Figure:
    """The variants compared: a point per trial, the mean over seeds and its interval, the best on top.

    Up to 40 variants have a row with their name each. With more variants, rows have ranks, and a colour scale
    if only one numeric hyperparameter varies. An interval that reaches far beyond all points is cut off.

    Args:
        values_frame: as `fairlane.results.comparison.values` returns it.
        summary_frame: as `fairlane.results.comparison.summary` returns it.
        hyperparameter_names: which of their columns are hyperparameters.
        title: the text above.

    Returns:
        A figure that belongs to no window.

    Example:
        >>> values = pd.DataFrame({"variant": [0, 1], "lr": [0.1, 0.2], "seed": 0, "value": [0.3, 0.4]})
        >>> summary = pd.DataFrame({"variant": [0, 1], "lr": [0.1, 0.2], "seeds": 1, "failed": 0,
        ...                         "mean": [0.3, 0.4], "low": float("nan"), "high": float("nan")})
        >>> summary.attrs |= {"metric": "loss", "direction": "min", "when": "in the last epoch"}
        >>> summary.attrs["confidence"] = 0.95
        >>> figure = final(values, summary, ["lr"])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['lr=0.1', 'lr=0.2']
    """
    rows, scale = _rows(values_frame, "value", summary_frame, ("mean", "low", "high"), hyperparameter_names)
    figure, axes = _figure(rows)
    _draw(axes, rows)
    points = np.array([point for row in rows for point in row.points])
    if spans_decades(points) and summary_frame.attrs["direction"] == "min":
        logarithmic(axes, "x")
    axes.set_xlabel(what(summary_frame), fontsize=NORMAL - 1)
    _finish(figure, rows, scale, summary_frame, title)
    return figure


def paired(
    differences_frame: pd.DataFrame,
    summary_frame: pd.DataFrame,
    hyperparameter_names: Iterable[str],
    *,
    title: str | None = None,
) -> Figure:
    """The differences to one variant: a point per seed, their mean and its interval, the best on top.

    Corrected p-values stand beside the rows, where there are enough seeds.

    Args:
        differences_frame: as `fairlane.results.comparison.differences` returns it.
        summary_frame: as `fairlane.results.comparison.summary` returns it.
        hyperparameter_names: which of their columns are hyperparameters.
        title: the text above.

    Returns:
        A figure that belongs to no window.

    Raises:
        StudyError: there is only one variant.
    """
    reference = summary_frame.attrs["baseline"]
    others = summary_frame[summary_frame["variant"] != reference]
    if others.empty:
        raise StudyError("there is only one variant, and nothing to compare it with")
    estimates = ("difference", "difference_low", "difference_high")
    names = list(hyperparameter_names)
    rows, scale = _rows(differences_frame, "difference", summary_frame, estimates, names, without=reference)
    figure, axes = _figure(rows)
    axes.axvline(0, color="black", linewidth=0.9, zorder=1)
    _draw(axes, rows)
    place = summary_frame["variant"].tolist().index(reference)
    name = labels(_variants(summary_frame, names), _WIDTH)[place]
    side = "left" if summary_frame.attrs["direction"] == "min" else "right"
    axes.set_xlabel(f"difference in {what(summary_frame)}\nto {name}; {side} is better", fontsize=NORMAL - 1)
    _finish(figure, rows, scale, summary_frame, title)
    return figure


def what(summary_frame: pd.DataFrame) -> str:
    """The name of an axis with a metric's values.

    Args:
        summary_frame: as `fairlane.results.comparison.summary` returns it.
    """
    attrs = summary_frame.attrs
    metric = plain(attrs["metric"])
    return f"{metric} (test data)" if attrs.get("test") else f"{metric} {plain(attrs['when'])}"


# Rows


def _variants(frame: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each row's hyperparameters, without those that the variant does not have."""
    return [
        {name: value for name, value in row.items() if not pd.isna(value)}
        for row in frame[list(names)].to_dict("records")
    ]


def _rows(
    points: pd.DataFrame,
    column: str,
    summary_frame: pd.DataFrame,
    estimates: Sequence[str],
    hyperparameter_names: Iterable[str],
    without: int | None = None,
) -> tuple[list[_Row], Scale | None]:
    variants = _variants(summary_frame, list(hyperparameter_names))
    names = labels(variants, _WIDTH)
    few = len(variants) <= _NAMED
    colours = palette(variants, best=0)
    by_variant = points.groupby("variant")[column].apply(list).to_dict()
    rows = []
    for i, row in enumerate(summary_frame.to_dict("records")):
        if row["variant"] == without:
            continue
        colour = (BEST if i == 0 else OKABE_ITO[0]) if few or not colours.scale else colours.colours[i]
        ends = [float(row[name]) for name in estimates]
        note = _note(row, paired=without is not None)
        rows.append(
            _Row(names[i], by_variant.get(row["variant"], []), ends[0], ends[1], ends[2], note, colour)
        )
    return rows, None if few else colours.scale


def _note(row: dict[str, Any], *, paired: bool) -> str:
    parts = []
    if paired and not math.isnan(row["p_value"]):
        parts.append(f"p = {row['p_value']:.2g}")
    if row["failed"]:
        parts.append(f"{row['failed']} of {row['seeds'] + row['failed']} failed")
    return ", ".join(parts)


# Drawing


def _figure(rows: Sequence[_Row]) -> tuple[Figure, Axes]:
    from fairlane.results.plots.shown import ShownFigure

    if len(rows) > _NAMED:
        size = (6.5, 7.5)
    else:
        lines = max(row.name.count("\n") + 1 for row in rows)
        size = (7.5, max(2.4, len(rows) * (0.14 * lines + 0.16) + 1.5))
    figure = ShownFigure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _draw(axes: Axes, rows: Sequence[_Row]) -> None:
    named = len(rows) <= _NAMED
    for y, row in enumerate(rows):
        offsets = (
            np.linspace(-0.22, 0.22, len(row.points)) if len(row.points) > 1 else np.zeros(len(row.points))
        )
        axes.plot(
            row.points,
            y + offsets,
            marker="o",
            linestyle="none",
            color=row.colour,
            markersize=4 if named else 2,
            markeredgewidth=0,
            alpha=0.45 if len(row.points) > 1 else 1,
        )
    low, high = _range(rows, axes.get_xlim())
    for y, row in enumerate(rows):
        if len(row.points) < 2:
            continue
        axes.plot([row.low, row.high], [y, y], color=row.colour, linewidth=1.8 if named else 0.8, zorder=3)
        if named:
            axes.plot(
                [row.mean],
                [y],
                marker="D",
                color=row.colour,
                markersize=5.5,
                markeredgecolor="white",
                zorder=4,
            )
    _limit(axes, rows, low, high)
    axes.set_ylim(len(rows) - 0.4, -0.6 if named else -0.05 * len(rows))
    if named:
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
    else:
        axes.set_ylabel("rank of the variant", fontsize=NORMAL - 1)
        axes.set_yticks([0, *range(24, len(rows), 25)], ["1", *map(str, range(25, len(rows) + 1, 25))])
    dress(axes, grid="x")
    _beside(axes, rows)


def _limit(axes: Axes, rows: Sequence[_Row], low: float, high: float) -> None:
    """Intervals may reach beyond the points, but only so far that the points stay visible."""
    ends = np.array([end for row in rows for end in (row.low, row.high) if len(row.points) > 1])
    ends = ends[np.isfinite(ends)]
    if ends.size:
        room = high - low
        low, high = max(low - room, min(low, ends.min())), min(high + room, max(high, ends.max()))
    axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    _mark_what_is_cut(axes, rows)


def _range(rows: Sequence[_Row], all_of_them: tuple[float, float]) -> tuple[float, float]:
    """The range of the points, without the few that are so far from most that nothing else would be seen."""
    points = np.concatenate([np.asarray(row.points, dtype=float) for row in rows])
    if len(points) < _ENOUGH:
        return all_of_them
    first, third = np.quantile(points, [0.25, 0.75])
    reach = _FAR * (third - first)
    near = points[(points >= first - reach) & (points <= third + reach)]
    if reach == 0 or len(near) == len(points):
        return all_of_them
    edge = 0.05 * (near.max() - near.min())
    return float(near.min() - edge), float(near.max() + edge)


def _mark_what_is_cut(axes: Axes, rows: Sequence[_Row]) -> None:
    """A triangle at the edge, where a point or an interval goes on beyond it."""
    left, right = axes.get_xlim()
    for y, row in enumerate(rows):
        ends = (row.low, row.high) if len(row.points) > 1 else ()
        values = np.array([*row.points, *ends], dtype=float)
        values = values[np.isfinite(values)]
        look: dict[str, Any] = {"color": row.colour, "markersize": 6, "clip_on": False, "zorder": 5}
        if (values < left).any():
            axes.plot([left], [y], marker="<", label=_CUT, **look)
        if (values > right).any():
            axes.plot([right], [y], marker=">", label=_CUT, **look)
    axes.set_xlim(left, right)


def _beside(axes: Axes, rows: Sequence[_Row]) -> None:
    """Notes at the right; with many rows, only the best one's name."""
    if len(rows) > _NAMED:
        middle = sum(axes.get_xlim()) / 2
        best = rows[0]
        axes.annotate(
            best.name,
            xy=(best.mean, 0),
            xytext=(0, 6),
            textcoords="offset points",
            ha="left" if best.mean < middle else "right",
            fontsize=SMALL,
            fontweight="bold",
            color=GREY,
        )
        return
    for y, row in enumerate(rows):
        axes.annotate(
            row.note,
            xy=(1.01, y),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=SMALL,
            color=GREY,
            annotation_clip=False,
        )


def _finish(
    figure: Figure, rows: Sequence[_Row], scale: Scale | None, summary_frame: pd.DataFrame, title: str | None
) -> None:
    from matplotlib.lines import Line2D

    if scale:
        colour_bar(figure, scale)
    if any(len(row.points) > 1 for row in rows):
        dot = Line2D([], [], color=GREY, marker="o", markersize=4, linestyle="none", alpha=0.6)
        mark = "D" if len(rows) <= _NAMED else ""
        bar = Line2D([], [], color=GREY, linewidth=1.8, marker=mark, markersize=5)
        cut = Line2D([], [], color=GREY, marker=">", markersize=6, linestyle="none")
        is_cut = any(line.get_label() == _CUT for line in figure.axes[0].lines)
        share = f"{summary_frame.attrs['confidence']:.0%}".replace("%", " %")
        figure.legend(
            [dot, bar, *([cut] if is_cut else [])],
            [
                "one seed",
                f"mean and {share} interval" if len(rows) <= _NAMED else f"{share} interval",
                *(["goes on beyond the axis"] if is_cut else []),
            ],
            loc="outside lower center",
            ncols=3,
            frameon=False,
            fontsize=SMALL,
        )
    heading(figure, title)
