"""What a search has seen → figures.

In: frames as `fairlane.results.variants.variants` and ``Study.importance`` return them. Out: a figure each.
Small values of the first colours are the better ones, whichever direction that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.results.plots.colours import GREY, NORMAL, SMALL, is_geometric, is_number, plain, spans_decades
from fairlane.results.plots.colours import text as short_text
from fairlane.results.plots.panels import dress, heading, logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _PALE = "#1f5fae", "#b9bec6"
_MAP = "viridis"
_WIDEST = 4
"""Panels in a row."""
_LETTERS, _SHORTEST = 28, 6
"""Letters of the words along an axis, all together, and the least of each."""
_MARGIN = 1.3
"""How far a logarithmic axis goes on beyond its values."""
_MANY = 30
"""Curves that would cover each other if they were not thin."""


def optimization(frame: pd.DataFrame, better: str, *, title: str | None = None) -> Figure:
    """Each variant's value in the order of the search, and the best so far.

    Args:
        frame: the variants.
        better: ``"min"`` or ``"max"``.
        title: the text above.
    """
    figure, axes = _one(title)
    _marks(axes, frame, frame["variant"].to_numpy(), frame["value"].to_numpy(dtype=float))
    done = frame[frame["state"] == "done"]
    if len(done):
        best = done["value"].cummin() if better == "min" else done["value"].cummax()
        axes.step(done["variant"], best, where="post", color=_BLUE, linewidth=1.6, label="best so far")
    _value_axis(axes, frame, "y", better)
    axes.set_xlabel("variant", fontsize=NORMAL - 1)
    _whole_numbers(axes)
    _legend(axes)
    return figure


def rungs(frame: pd.DataFrame, better: str, *, title: str | None = None) -> Figure:
    """Each variant's curve, to the epoch in which it was stopped.

    Args:
        frame: the variants.
        better: ``"min"`` or ``"max"``.
        title: the text above.
    """
    figure, axes = _one(title)
    thin, any_stopped = len(frame) > _MANY, False
    for row in frame.to_dict("records"):
        curve, stopped = row["curve"], row["state"] == "stopped"
        epochs = np.arange(1, len(curve) + 1)
        any_stopped |= stopped
        look: dict[str, Any] = {"color": _PALE, "zorder": 1} if stopped else {"color": _BLUE, "zorder": 2}
        axes.plot(epochs, curve, linewidth=0.6 if thin else 1.0 if stopped else 1.5, **look)
        if stopped and len(curve):
            axes.plot(epochs[-1], curve[-1], marker="x", markersize=5, color=GREY, zorder=3)
    _value_axis(axes, frame, "y", better)
    axes.set_xlabel("epochs", fontsize=NORMAL - 1)
    axes.plot([], [], color=_BLUE, label="trained to the end")
    if any_stopped:
        axes.plot([], [], color=_PALE, marker="x", markeredgecolor=GREY, label="stopped")
    _whole_numbers(axes)
    _legend(axes)
    return figure


def slices(frame: pd.DataFrame, names: Sequence[str], better: str, *, title: str | None = None) -> Figure:
    """The value against each hyperparameter, a panel each.

    Args:
        frame: the variants.
        names: of the hyperparameters that vary.
        better: ``"min"`` or ``"max"``.
        title: the text above.
    """
    from fairlane.results.plots.shown import ShownFigure

    columns = min(_WIDEST, len(names))
    rows = -(-len(names) // columns)
    figure = ShownFigure(figsize=(1.2 + 2.6 * columns, 0.6 + 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for i, axes in enumerate(grid.flat):
        if i >= len(names):
            axes.set_visible(False)
            continue
        places = _places(axes, frame, names[i], "x")
        _marks(axes, frame, places, frame["value"].to_numpy(dtype=float))
        axes.set_xlabel(plain(names[i]), fontsize=NORMAL - 1)
        _value_axis(axes, frame, "y", better, named=i % columns == 0)
    heading(figure, title)
    return figure


def contour(frame: pd.DataFrame, x: str, y: str, better: str, *, title: str | None = None) -> Figure:
    """The value over two hyperparameters: a coloured point per variant, and areas between them.

    Args:
        frame: the variants.
        x: the hyperparameter of the horizontal axis.
        y: the hyperparameter of the vertical axis.
        better: ``"min"`` or ``"max"``.
        title: the text above.
    """
    figure, axes = _one(title)
    known = frame[np.isfinite(frame["value"].to_numpy(dtype=float))]
    across, up = _places(axes, known, x, "x"), _places(axes, known, y, "y")
    values, norm = known["value"].to_numpy(dtype=float), _norm(known["value"], better)
    colours = _MAP if better == "max" else f"{_MAP}_r"
    numeric = known[x].map(is_number).all() and known[y].map(is_number).all()
    filled = numeric and known[x].nunique() > 3 and known[y].nunique() > 3
    if filled:
        axes.tricontourf(across, up, values, levels=12, cmap=colours, norm=norm, alpha=0.6)
    edge = "white" if filled else GREY  # the lightest colour is hardly seen on white
    points = axes.scatter(across, up, c=values, cmap=colours, norm=norm, s=28, edgecolors=edge, zorder=3)
    axes.set_xlabel(plain(x), fontsize=NORMAL - 1)
    axes.set_ylabel(plain(y), fontsize=NORMAL - 1)
    _bar(figure, points, frame)
    return figure


def parallel(frame: pd.DataFrame, names: Sequence[str], better: str, *, title: str | None = None) -> Figure:
    """A line per variant through its hyperparameters, coloured by its value; the best is on top.

    Args:
        frame: the variants.
        names: of the hyperparameters that vary.
        better: ``"min"`` or ``"max"``.
        title: the text above.
    """
    from matplotlib.cm import ScalarMappable

    from fairlane.results.plots.shown import ShownFigure

    figure = ShownFigure(figsize=(1.6 + 1.6 * (len(names) + 1), 4.2), layout="constrained")
    axes = figure.add_subplot()
    known = frame[np.isfinite(frame["value"].to_numpy(dtype=float))]
    known = known.sort_values("value", ascending=better == "max")
    colours = ScalarMappable(_norm(known["value"], better), _MAP if better == "max" else f"{_MAP}_r")
    heights = np.column_stack([_heights(axes, known, name, i) for i, name in enumerate(names)])
    heights = np.column_stack([heights, _heights(axes, known, "value", len(names))])
    for line, value in zip(heights, known["value"], strict=True):
        axes.plot(range(len(names) + 1), line, color=colours.to_rgba(value), linewidth=1.3, alpha=0.8)
    for i in range(len(names) + 1):
        axes.axvline(i, color=GREY, linewidth=0.8, zorder=0)
    axes.set_xticks(
        range(len(names) + 1), [*map(plain, names), plain(frame.attrs["metric"])], fontsize=NORMAL - 1
    )
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.margins(x=0.12)
    _bar(figure, colours, frame)
    heading(figure, title)
    return figure


def importances(frame: pd.DataFrame, *, title: str | None = None) -> Figure:
    """A bar per hyperparameter, with the range over single seeds.

    Args:
        frame: as ``Study.importance`` returns it.
        title: the text above.
    """
    figure, axes = _one(title)
    rows = frame.iloc[::-1]
    axes.barh([plain(name) for name in rows["hyperparameter"]], rows["importance"], color=_BLUE, height=0.6)
    known = rows["low"].notna().to_numpy()
    if known.any():
        places = np.arange(len(rows))[known]
        axes.hlines(
            places, rows["low"][known], rows["high"][known], color=GREY, linewidth=2, label="single seeds"
        )
        _legend(axes)
    axes.set_xlabel("importance", fontsize=NORMAL - 1)
    dress(axes, grid="x")
    return figure


def pareto(frame: pd.DataFrame, x: str, y: str, *, title: str | None = None) -> Figure:
    """A point per variant over two objectives; of two, a line along the front.

    Args:
        frame: as ``Study.pareto`` returns it.
        x: the objective of the horizontal axis.
        y: the objective of the vertical axis.
        title: the text above.
    """
    figure, axes = _one(title)
    on, better = frame["front"].to_numpy(dtype=bool), frame.attrs["objectives"]
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5, "markeredgewidth": 0}
    axes.plot(frame[x][~on], frame[y][~on], color=_PALE, label="others", **look)
    front = frame[on].sort_values([x, y], kind="stable")
    if len(better) == 2:
        # Between two points of the front, what is sure to be reached is the worse value of y.
        where: Any = "post" if better[x] == "min" else "pre"
        axes.step(front[x], front[y], where=where, color=_BLUE, linewidth=1.3, alpha=0.6)
    axes.plot(front[x], front[y], color=_BLUE, label="on the front", **look)
    axis: Literal["x", "y"]
    for name, axis in ((x, "x"), (y, "y")):
        values = frame[name].to_numpy(dtype=float)
        if better[name] == "min" and spans_decades(values):
            logarithmic(axes, axis)
    axes.set_xlabel(_with_direction(x, better), fontsize=NORMAL - 1)
    axes.set_ylabel(_with_direction(y, better), fontsize=NORMAL - 1)
    dress(axes)
    _legend(axes)
    return figure


# --- parts ----------------------------------------------------------------------------------------------


def _one(title: str | None) -> tuple[Figure, Axes]:
    from fairlane.results.plots.shown import ShownFigure

    figure = ShownFigure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    heading(figure, title)
    return figure, axes


def _marks(axes: Axes, frame: pd.DataFrame, x: Any, y: Any) -> None:
    stopped = (frame["state"] == "stopped").to_numpy()
    look: dict[str, Any] = {"linestyle": "none", "markeredgewidth": 0, "markersize": 5}
    if stopped.any():
        axes.plot(x[stopped], y[stopped], marker="o", color=_PALE, label="stopped", **look)
    axes.plot(
        x[~stopped], y[~stopped], marker="o", color=_BLUE, alpha=0.8, label="trained to the end", **look
    )


def _value_axis(axes: Axes, frame: pd.DataFrame, which: Any, better: str, named: bool = True) -> None:
    values = frame["value"].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if better == "min" and values.size and spans_decades(values):
        logarithmic(axes, which)
    if named:
        axes.set_ylabel(plain(frame.attrs["metric"]), fontsize=NORMAL - 1)
    dress(axes)


def _places(axes: Axes, frame: pd.DataFrame, name: str, which: Any) -> np.ndarray:
    """Where the values of a hyperparameter stand on an axis; those that are not numbers get a place each."""
    if frame[name].map(is_number).all():
        values: np.ndarray = np.asarray(frame[name], dtype=float)
        if is_geometric(values):
            limits = (values.min() / _MARGIN, values.max() * _MARGIN)
            (axes.set_xlim if which == "x" else axes.set_ylim)(*limits)
            logarithmic(axes, which)  # whose ticks depend on the limits
        return values
    words = list(dict.fromkeys(short_text(value) for value in frame[name]))
    set_ticks = axes.set_xticks if which == "x" else axes.set_yticks
    room = max(_SHORTEST, _LETTERS // max(1, len(words))) if which == "x" else _LETTERS
    set_ticks(range(len(words)), [_cut(word, room) for word in words], fontsize=SMALL)
    return np.array([words.index(short_text(value)) for value in frame[name]], dtype=float)


def _cut(text: str, letters: int) -> str:
    """A text that leaves its neighbours room."""
    return plain(text if len(text) <= letters else f"{text[: letters - 1]}…")


def _heights(axes: Axes, frame: pd.DataFrame, name: str, place: int) -> np.ndarray:
    """The heights from 0 to 1 on one of the parallel axes, with a few values written beside it."""
    if frame[name].map(is_number).all():
        values = frame[name].to_numpy(dtype=float)
        scaled = np.log(values) if is_geometric(values) else values
        low, high = float(scaled.min()), float(scaled.max())
        shown = [(low, values.min()), (high, values.max())]
    else:
        words = list(dict.fromkeys(short_text(value) for value in frame.sort_index()[name]))
        scaled = np.array([words.index(short_text(value)) for value in frame[name]], dtype=float)
        low, high = 0.0, float(max(1, len(words) - 1))
        shown = [(float(i), word) for i, word in enumerate(words)]
    room = (high - low) or 1.0
    for at, value in shown:
        text = plain(f"{value:.3g}") if is_number(value) else _cut(str(value), _SHORTEST + 8)
        axes.annotate(
            text,
            (place, (at - low) / room),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
        )
    return np.asarray((scaled - low) / room)


def _norm(values: pd.Series, better: str) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    found = values.to_numpy(dtype=float)
    if better == "min" and spans_decades(found):
        return LogNorm(found.min(), found.max())
    return Normalize(found.min(), found.max())


def _bar(figure: Figure, mappable: Any, frame: pd.DataFrame) -> None:
    bar = figure.colorbar(mappable, ax=figure.axes[0], pad=0.02)
    bar.set_label(plain(frame.attrs["metric"]), fontsize=NORMAL - 1)
    bar.ax.tick_params(labelsize=SMALL)


def _with_direction(name: str, better: dict[str, str]) -> str:
    return plain(f"{name} ({'small' if better[name] == 'min' else 'large'} is better)")


def _whole_numbers(axes: Axes) -> None:
    """Ticks of the horizontal axis at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=SMALL)


def varied(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The hyperparameters that vary among some variants.

    Args:
        frame: the variants.
        names: of all hyperparameters.

    Raises:
        StudyError: none does.
    """
    found = [name for name in names if len({short_text(value) for value in frame[name]}) > 1]
    if not found:
        raise StudyError("no hyperparameter varies, so there is nothing to draw")
    return found
