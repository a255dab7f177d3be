"""What all figures share: a panel's look, the scales of its axes, and labels beside it.

In: Matplotlib's ``Axes`` with curves or points. Out: nothing; the axes are changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fairlane.results.plots.colours import GREY, NORMAL, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = SMALL * 1.3
"""Points from one line of small text to the next."""
_THREAD = {"arrowstyle": "-", "linewidth": 0.7, "alpha": 0.6, "shrinkB": 2, "relpos": (0, 0.5)}


def dress(axes: Axes, *, grid: Literal["both", "x", "y"] = "both") -> None:
    """Give a panel its ticks, grid and spines.

    Args:
        axes: the panel.
        grid: which of its grids to show.
    """
    axes.tick_params(labelsize=SMALL)
    axes.grid(True, axis=grid, color=GREY, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis, with several ticks per decade where there are few decades.

    Args:
        axes: the panel.
        which: its axis.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axis.get_view_interval()
    if high / low < 1e3:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if which == "y" else (1, 3)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


@dataclass(frozen=True)
class Label:
    """A text at the end of a line."""

    text: str
    x: float
    y: float
    colour: Any

    @property
    def height(self) -> float:
        """Of the words, in points."""
        return LINE * (self.text.count("\n") + 1)


def label_ends(figure: Figure, axes: Axes, labels: Sequence[Label]) -> None:
    """Write labels right of a panel, at the heights of their lines' ends, without overlap.

    Args:
        figure: which the panel is in.
        axes: the panel, with its scales and limits set.
        labels: what to write.
    """
    if not labels:
        return
    to_panel = (axes.transData - axes.transAxes).transform
    wanted = [_height(to_panel((label.x, label.y))[1]) for label in labels]
    drawn = [_write(axes, label, height) for label, height in zip(labels, wanted, strict=True)]
    figure.draw_without_rendering()  # the layout decides only now how high the panel is
    points = axes.get_window_extent().height * 72 / figure.dpi
    centres = spread([height * points for height in wanted], [label.height for label in labels], points)
    for note, centre in zip(drawn, centres, strict=True):
        note.set_position((1.04, centre / points))


def _height(end: float) -> float:
    """Within the panel; at its bottom for a line without an end."""
    return min(1.0, max(0.0, float(end))) if math.isfinite(end) else 0.0


def _write(axes: Axes, label: Label, height: float) -> Any:
    ended = math.isfinite(label.y)
    return axes.annotate(
        label.text,
        xy=(label.x, label.y) if ended else (1.0, 0.0),
        xycoords="data" if ended else "axes fraction",
        xytext=(1.04, height),
        textcoords="axes fraction",
        va="center",
        ha="left",
        fontsize=SMALL,
        color=label.colour,
        fontweight="bold",
        annotation_clip=False,
        arrowprops=_THREAD | {"color": label.colour} if ended else None,
    )


def spread(wanted: Sequence[float], heights: Sequence[float], room: float) -> list[float]:
    """Where to centre boxes so that no two overlap, each as near to its wanted place as possible.

    Args:
        wanted: the boxes' centres.
        heights: the boxes' heights.
        room: boxes are between 0 and this, as far as they fit.

    Example:
        >>> spread([50.0, 52.0, 90.0], [10.0, 10.0, 10.0], 100.0)
        [46.0, 56.0, 90.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups: list[tuple[list[int], float, float]] = []  # boxes, their bottom, their height
    for i in order:
        boxes, bottom, height = [i], wanted[i] - heights[i] / 2, heights[i]
        bottom = _within(bottom, height, room)
        while groups and groups[-1][1] + groups[-1][2] > bottom:
            boxes = groups.pop()[0] + boxes
            height = sum(heights[j] for j in boxes)
            bottom = _within(_best_bottom(boxes, wanted, heights), height, room)
        groups.append((boxes, bottom, height))
    centres = [0.0] * len(wanted)
    for boxes, bottom, _ in groups:
        for i in boxes:
            centres[i] = bottom + heights[i] / 2
            bottom += heights[i]
    return centres


def _best_bottom(boxes: Sequence[int], wanted: Sequence[float], heights: Sequence[float]) -> float:
    """The bottom of a stack of boxes that has, on average, the wanted height."""
    offsets, below = [], 0.0
    for i in boxes:
        offsets.append(wanted[i] - below - heights[i] / 2)
        below += heights[i]
    return sum(offsets) / len(offsets)


def _within(bottom: float, height: float, room: float) -> float:
    return max(0.0, min(bottom, room - height))


def heading(figure: Figure, title: str | None) -> None:
    """The title above all panels, if any.

    Args:
        figure: to be titled.
        title: the words, or None.
    """
    if title:
        figure.suptitle(title, fontsize=NORMAL + 2)
