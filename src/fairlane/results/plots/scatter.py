"""Values and their summary → a metric against a numeric hyperparameter.

In: frames as `fairlane.results.comparison` returns them. Out: a figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit.text import plural
from fairlane.results import histories
from fairlane.results.plots.colours import (
    GREY,
    NORMAL,
    PALE,
    SMALL,
    Palette,
    colour_bar,
    is_geometric,
    is_number,
    labels,
    palette,
    plain,
    spans_decades,
)
from fairlane.results.plots.panels import Label, dress, heading, label_ends, logarithmic
from fairlane.results.plots.points import what

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKED = 20
"""Up to so many means of one line have a mark each."""


def sweep(
    values_frame: pd.DataFrame,
    summary_frame: pd.DataFrame,
    hyperparameter_names: Iterable[str],
    x: str,
    *,
    title: str | None = None,
) -> Figure:
    """A metric against a numeric hyperparameter: a point per trial, a line through the means over seeds.

    Each combination of the other hyperparameters has its own line, with the colours of the learning curves.
    The horizontal axis is logarithmic where the values of the hyperparameter are more evenly spaced so, as
    learning rates are and rates of dropout are not. The vertical one is where small values are better, are
    positive and span over 1.5 decades. A line below says what has no point: trials that failed, and variants
    without one.

    Args:
        values_frame: as `fairlane.results.comparison.values` returns it.
        summary_frame: as `fairlane.results.comparison.summary` returns it.
        hyperparameter_names: which of their columns are hyperparameters.
        x: the hyperparameter of the horizontal axis.
        title: the text above.

    Returns:
        A figure that belongs to no window.

    Raises:
        StudyError: there is no such hyperparameter, or its values are not numbers.
    """
    from fairlane.results.plots.shown import ShownFigure

    names = list(hyperparameter_names)
    _check(summary_frame, names, x)
    means = summary_frame[summary_frame[x].map(is_number) & summary_frame["mean"].notna()]
    if means.empty:
        raise StudyError(f"no variant has both a number for {x!r} and a value to draw")
    others = [name for name in names if name != x]
    groups, variants = histories.variant_numbers(means, others)
    means = means.assign(group=groups, **{x: means[x].astype(float)})
    colours = palette(variants, best=0)  # the frame begins with the best variant
    texts = [labels(variants)[i] for i in colours.labelled]
    figure = ShownFigure(figsize=(5.6 + 0.075 * _longest(texts), 4.2), layout="constrained")
    axes = figure.add_subplot()
    _points(axes, values_frame.merge(means[["variant", "group"]], on="variant"), x, colours)
    limits = axes.get_ylim()
    _means(axes, means, x, colours)
    axes.set_ylim(_limits(means, limits))
    _scales(axes, means[x].to_numpy(), values_frame["value"].to_numpy(), summary_frame.attrs["direction"])
    axes.set_xlabel(plain(x), fontsize=NORMAL - 1)
    axes.set_ylabel(what(summary_frame), fontsize=NORMAL - 1)
    dress(axes)
    if colours.scale:
        colour_bar(figure, colours.scale)
    note = _left_out(summary_frame, means, x)
    if means["low"].notna().any():
        _legend(figure, summary_frame.attrs["confidence"], note)
    elif note:
        figure.supxlabel(note, fontsize=SMALL, color=GREY)
    heading(figure, title)
    label_ends(figure, axes, _end_labels(means, x, colours, texts))
    return figure


def _left_out(summary_frame: pd.DataFrame, means: pd.DataFrame, x: str) -> str:
    """What has no point, in words; empty where everything has one."""
    failed = int(summary_frame["failed"].sum())
    words = [f"{plural(failed, 'trial')} without a finite value"] if failed else []
    numbers = summary_frame[x].map(is_number)
    lacking = summary_frame[numbers & summary_frame["mean"].isna()]
    words += [f"{plural(len(lacking), 'variant')} without a mean"] if len(lacking) else []
    others = int((~numbers).sum())
    words += [plain(f"{plural(others, 'variant')} without a number for {x}")] if others else []
    return f"Not drawn: {', '.join(words)}" if words else ""


def _check(summary_frame: pd.DataFrame, names: Sequence[str], x: str) -> None:
    numeric = [name for name in names if summary_frame[name].map(is_number).any()]
    if x not in names:
        raise StudyError(
            f"x={x!r} is not a hyperparameter of this study. Hyperparameters with numbers: "
            f"{', '.join(numeric) or 'none'}"
        )
    if x not in numeric:
        raise StudyError(
            f"the values of {x!r} are not numbers, so they can't be an axis; plot('final') compares them. "
            f"Hyperparameters with numbers: {', '.join(numeric) or 'none'}"
        )


def _points(axes: Axes, values: pd.DataFrame, x: str, colours: Palette) -> None:
    for group, rows in values.groupby("group"):
        axes.plot(
            rows[x].astype(float).to_numpy(),
            rows["value"].to_numpy(),
            marker="o",
            markersize=4,
            markeredgewidth=0,
            linestyle="none",
            alpha=0.45,
            color=colours.colours[group],
            zorder=1 if colours.colours[group] == PALE else 2,
        )


def _means(axes: Axes, means: pd.DataFrame, x: str, colours: Palette) -> None:
    for group, rows in means.sort_values(x).groupby("group"):
        colour = colours.colours[group]
        grey = colour == PALE
        look: dict[str, Any] = {"color": colour, "zorder": 3 if grey else 4}
        marker = {"marker": "D", "markersize": 5, "markeredgecolor": "white"} if len(rows) <= _MARKED else {}
        look |= {"linewidth": 1.0} if grey else {"linewidth": 1.8, **marker}
        axes.plot(rows[x].to_numpy(), rows["mean"].to_numpy(), **look)
        if not grey:
            at, low, high = (rows[name].to_numpy(dtype=float) for name in (x, "low", "high"))
            known = np.isfinite(low)
            axes.vlines(at[known], low[known], high[known], linewidth=1.2, color=colour, zorder=3)


def _limits(means: pd.DataFrame, limits: tuple[float, float]) -> tuple[float, float]:
    """Intervals may reach beyond the points, but only so far that the points stay visible."""
    low, high = limits
    room = high - low
    ends = means[["low", "high"]].to_numpy(dtype=float)
    ends = ends[np.isfinite(ends)]
    if not ends.size:
        return limits
    return max(low - room / 2, min(low, ends.min())), min(high + room / 2, max(high, ends.max()))


def _scales(axes: Axes, x: Any, y: Any, better: str) -> None:
    if is_geometric(x):
        logarithmic(axes, "x")
    if better == "min" and spans_decades(y):
        axes.set_ylim(y.min() / 1.5, y.max() * 1.5)
        logarithmic(axes, "y")


def _end_labels(means: pd.DataFrame, x: str, colours: Palette, texts: Sequence[str]) -> list[Label]:
    ends = means.sort_values(x).groupby("group").last()
    return [
        Label(words, ends.loc[group, x], ends.loc[group, "mean"], colours.colours[group])
        for group, words in zip(colours.labelled, texts, strict=True)
    ]


def _legend(figure: Figure, confidence: float, note: str) -> None:
    """A legend below the panel, under the note: two texts there would be on top of each other."""
    from matplotlib.lines import Line2D

    dot = Line2D([], [], color=GREY, marker="o", markersize=4, linestyle="none", alpha=0.6)
    line = Line2D([], [], color=GREY, linewidth=1.8, marker="D", markersize=5, markeredgecolor="white")
    bar = Line2D([], [], color=GREY, marker="|", markersize=12, linestyle="none")
    share = f"{confidence:.0%}".replace("%", " %")
    figure.legend(
        [dot, line, bar],
        ["one seed", "mean over seeds", f"{share} interval"],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=SMALL,
        title=note or None,
        title_fontproperties={"size": SMALL},
    )


def _longest(texts: Sequence[str]) -> int:
    return max((len(line) for text in texts for line in text.splitlines()), default=0)
