"""What members and their ensembles give on held-out data → figures.

In: values of members and of means, and the bins of reliability diagrams. Out: a figure each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairlane.results.plots.colours import BEST, GREY, NORMAL, PALE, SMALL, plain
from fairlane.results.plots.panels import dress, heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def ensemble(
    alone: Sequence[float],
    means: Sequence[float],
    greedy: Sequence[float],
    metric: str,
    *,
    title: str | None = None,
) -> Figure:
    """The value of an ensemble against its size, and each member alone.

    Args:
        alone: each member's value, in the order in which they are taken.
        means: the value of the mean of the first, of the first two, and so on.
        greedy: the value after each greedy pick.
        metric: what the values are of.
        title: the text above.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _one(title)
    sizes = np.arange(1, len(alone) + 1)
    axes.plot(sizes, alone, "o", color=PALE, markeredgecolor=GREY, markersize=5, label="member alone")
    axes.plot(sizes, means, "o-", color=BEST, linewidth=1.8, markersize=3, label="mean of the best")
    if len(greedy):
        label = "greedy, chosen on these data"
        axes.plot(
            np.arange(1, len(greedy) + 1), greedy, "s--", color=GREY, linewidth=1.4, markersize=3, label=label
        )
    axes.set_xlabel("members", fontsize=NORMAL - 1)
    axes.set_ylabel(plain(metric), fontsize=NORMAL - 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=SMALL, frameon=False)
    return figure


def calibration(
    members: Sequence[pd.DataFrame],
    together: pd.DataFrame,
    errors: Sequence[float],
    error: float,
    *,
    title: str | None = None,
) -> Figure:
    """A reliability diagram: accuracy against confidence, a pale line per member, a dark one for their mean.

    Args:
        members: the bins of each member, as `fairlane.results.calibration.reliability` gives them.
        together: those of the mean.
        errors: the expected calibration error of each member.
        error: that of the mean.
        title: the text above.
    """
    figure, axes = _one(title)
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1, label="perfect")
    label = f"members, ECE {np.mean(errors):.3f} on average"
    for i, frame in enumerate(members):
        look: dict[str, Any] = {"color": PALE, "linewidth": 1, "label": label if i == 0 else None}
        axes.plot(frame["confidence"], frame["accuracy"], **look)
    line: dict[str, Any] = {"color": BEST, "linewidth": 1.8, "marker": "o", "markersize": 3.5}
    axes.plot(together["confidence"], together["accuracy"], label=f"their mean, ECE {error:.3f}", **line)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("confidence", fontsize=NORMAL - 1)
    axes.set_ylabel("accuracy", fontsize=NORMAL - 1)
    axes.legend(fontsize=SMALL, frameon=False, loc="best")
    return figure


def _one(title: str | None) -> tuple[Figure, Axes]:
    from fairlane.results.plots.shown import ShownFigure

    figure = ShownFigure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.subplots()
    dress(axes)
    heading(figure, title)
    return figure, axes
