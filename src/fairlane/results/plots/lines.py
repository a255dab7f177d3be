"""A history → learning curves.

In: a history as `fairlane.results.frames.history` returns it. Out: a figure with a panel per metric.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.results import histories
from fairlane.results.directions import find_direction
from fairlane.results.logs import unknown_metric
from fairlane.results.plots.colours import (
    FEW,
    GREY,
    NORMAL,
    PALE,
    SMALL,
    Palette,
    colour_bar,
    labels,
    palette,
    plain,
    spans_decades,
)
from fairlane.results.plots.panels import Label, dress, heading, label_ends, logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pair = tuple[str | None, str | None]

FEWEST_FOR_A_BAND = 3
"""Seeds; the interval of fewer would cover everything else."""

_TRAINING, _VALIDATION = "dashed", "solid"
_LONE = {"linewidth": 1.6}
_OF_MANY = {"linewidth": 0.9, "alpha": 0.8}
_SEED = {"linewidth": 0.7, "alpha": 0.5}
_MEAN = {"linewidth": 2.0, "zorder": 3}
_BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
_POINT: dict[str, Any] = {"marker": "o", "markersize": 5}


def curves(
    history_frame: pd.DataFrame,
    hyperparameter_names: Iterable[str],
    *,
    metrics: Sequence[str] | None = None,
    best: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
    title: str | None = None,
    note: str = "",
    known: Mapping[str, Sequence[str]] | None = None,
    bands: bool | None = None,
) -> Figure:
    """The learning curves: a panel per metric, a colour per variant.

    Training is dashed, validation solid. Where a variant has several seeds, the line is their mean over the
    epochs that all of them have, and the band is the interval of the mean, Student's t. The interval of two
    seeds is too wide to be useful: each seed is a thin line instead. Epochs count from 1 here.

    Up to 7 variants have a colour each, which people with any colour vision can distinguish, and a label
    where their curve ends. With more variants there are no bands, and no training curves where there are
    validation curves; if only one numeric hyperparameter varies, colours are a scale over it, else all are
    grey but the best. Metrics to be minimised have a logarithmic axis where they are positive and span over
    1.5 decades.

    Args:
        history_frame: as `fairlane.results.frames.history` returns it, shape ``(trials x epochs, ...)``.
        hyperparameter_names: which of its columns are hyperparameters.
        metrics: the panels, such as ``["loss", "accuracy"]``; ``"val_loss"`` stands for a panel of
            validation alone. None stands for every metric.
        best: the hyperparameters of the variant that has a colour among many grey ones.
        confidence: of the bands.
        title: the text above all panels.
        note: the text below, such as how many trials failed.
        known: as for `fairlane.results.directions.direction`.
        bands: whether to draw bands; None draws them up to 7 variants.

    Returns:
        A figure that belongs to no window; notebooks show it, and ``savefig`` writes it.

    Raises:
        StudyError: there is nothing to draw yet, or no such metric.

    Example:
        >>> frame = pd.DataFrame({"trial": [0, 0, 1, 1], "lr": [0.1, 0.1, 0.2, 0.2],
        ...                       "seed": 0, "epoch": [0, 1, 0, 1], "loss": [2.0, 1.0, 3.0, 2.5]})
        >>> figure = curves(frame, ["lr"])
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['loss']
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['lr=0.1', 'lr=0.2']
    """
    from fairlane.results.plots.shown import ShownFigure

    names = list(hyperparameter_names)
    arguments.share("confidence", confidence)
    panels = _panels(history_frame, names, metrics)
    drawn, variants = _drawn(panels, history_frame, names, confidence, known)
    if bands is not None:
        drawn = replace(drawn, banded=arguments.flag("bands", bands))
    colours = palette(variants, _number_of(variants, best))
    columns = len(panels) if len(panels) <= 3 else 2 if len(panels) == 4 else 3
    rows = math.ceil(len(panels) / columns)
    texts = [labels(variants)[i] for i in colours.labelled]
    figure = ShownFigure(figsize=_size(columns, rows, texts), layout="constrained")
    for i, (metric, pair) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        _panel(axes, metric, pair, drawn, colours)
    if colours.scale:
        colour_bar(figure, colours.scale)
    style_legend(figure, _styles(panels, drawn), note)
    heading(figure, title)
    last = figure.axes[columns - 1]
    pair = list(panels.values())[columns - 1]
    label_ends(figure, last, _end_labels(pair, drawn, colours, texts))
    return figure


def panel(
    axes: Axes,
    metric: str,
    history_frame: pd.DataFrame,
    hyperparameter_names: Iterable[str],
    *,
    confidence: float = 0.95,
    known: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, dict[str, Any]]:
    """One panel of `curves`, in axes of another figure.

    Args:
        axes: where to draw.
        metric: the panel's, as for `curves`.
        history_frame: as for `curves`.
        hyperparameter_names: as for `curves`.
        confidence: as for `curves`.
        known: as for `curves`.

    Returns:
        The styles of the lines, for `style_legend`.

    Raises:
        StudyError: as `curves`.
    """
    names = list(hyperparameter_names)
    panels = _panels(history_frame, names, [metric])
    drawn, variants = _drawn(panels, history_frame, names, confidence, known)
    _panel(axes, metric, panels[metric], drawn, palette(variants))
    return _styles(panels, drawn)


# What to draw


@dataclass(frozen=True)
class _Drawn:
    """The curves: of all trials, and their means and intervals."""

    data: pd.DataFrame
    means: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame
    many: bool
    minimised: frozenset[str]
    """The metrics of which small values are better."""
    banded: bool
    """Whether means have bands."""

    @property
    def seeds(self) -> pd.Series:
        """The number of seeds of each variant."""
        return self.means.groupby("variant")["seeds"].first()


def _drawn(
    panels: Mapping[str, Pair],
    history_frame: pd.DataFrame,
    names: Sequence[str],
    confidence: float,
    known: Mapping[str, Sequence[str]] | None,
) -> tuple[_Drawn, list[dict[str, Any]]]:
    """The curves, and the hyperparameters of their variants."""
    numbers, variants = histories.variant_numbers(history_frame, names)
    minimised = frozenset(metric for metric in panels if find_direction(metric, known=known) == "min")
    columns = list(dict.fromkeys(column for pair in panels.values() for column in pair if column))
    data = history_frame.assign(variant=numbers)
    data[columns] = data[columns].where(np.isfinite(data[columns]))
    means, low, high = histories.over_seeds(data, names, columns, confidence)
    many = bool(numbers.max() >= FEW)
    return _Drawn(data, means, low, high, many, minimised, banded=not many), variants


def _number_of(variants: Sequence[Mapping[str, Any]], best: Mapping[str, Any] | None) -> int | None:
    return next((i for i, variant in enumerate(variants) if variant == best), None)


def _panels(
    history_frame: pd.DataFrame, names: Sequence[str], metrics: Sequence[str] | None
) -> dict[str, Pair]:
    """Panel's title → its column of training values and its column of validation values."""
    pairs = histories.metric_columns(history_frame, names)
    if history_frame.empty or not pairs:
        raise StudyError("no trial has finished an epoch yet, so there is no curve to draw")
    if metrics is None:
        return pairs
    if isinstance(metrics, str):
        metrics = [metrics]
    if not isinstance(metrics, Sequence) or not all(isinstance(metric, str) for metric in metrics):
        raise arguments.wrong(
            "metrics", metrics, "a list of names of metrics, such as ['loss'], or None for all"
        )
    if not metrics:
        raise StudyError("metrics=[] leaves nothing to draw; metrics=None draws all")
    known: dict[str, Pair] = dict(pairs)
    known |= {f"val_{metric}": (None, pair[1]) for metric, pair in pairs.items() if pair[1]}
    for metric in metrics:
        if metric not in known:
            raise unknown_metric(metric, known)
    return {metric: known[metric] for metric in metrics}


def _shown(pair: Pair, drawn: _Drawn) -> list[tuple[str, str]]:
    """The columns to draw, and their lines' style; for many variants only validation, where it was logged."""
    training, validation = pair
    both = [(training, _TRAINING), (validation, _VALIDATION)]
    if drawn.many and validation:
        both = both[1:]
    return [(column, style) for column, style in both if column]


# Drawing


def _panel(axes: Axes, metric: str, pair: Pair, drawn: _Drawn, colours: Palette) -> None:
    """Draw one metric of all trials."""
    from matplotlib.ticker import MaxNLocator

    for column, style in _shown(pair, drawn):
        for variant in _in_front(colours, drawn):
            _curve(axes, column, variant, drawn, color=colours.colours[variant], linestyle=style)
    values = np.concatenate([np.ravel(line.get_ydata()).astype(float) for line in axes.lines])
    if metric in drawn.minimised and spans_decades(values):
        logarithmic(axes, "y")
    axes.set_ylim(axes.get_ylim())  # from the lines alone, because bands of few seeds reach far beyond them
    if drawn.banded:
        _bands(axes, pair, drawn, colours)
    axes.set_title(plain(metric), loc="left", fontsize=NORMAL)
    axes.set_xlabel("epoch", fontsize=NORMAL - 1)
    axes.set_xlim(0.5, drawn.data["epoch"].max() + 1.5)  # there is no epoch 0 to have a tick
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    dress(axes)


def _in_front(colours: Palette, drawn: _Drawn) -> list[int]:
    """The variants in the order of drawing: colour over grey, and neither end of a scale over the other."""
    numbers = sorted(int(n) for n in drawn.seeds.index)
    if colours.scale:
        return [int(n) for n in np.random.default_rng(0).permutation(numbers)]
    return sorted(numbers, key=lambda n: colours.colours[n] != PALE)


def _curve(axes: Axes, column: str, variant: int, drawn: _Drawn, **look: Any) -> None:
    """One variant: the mean over its seeds, or its only seed; with two seeds, each of them as well."""
    seeds = drawn.seeds[variant]
    rows = drawn.means[drawn.means["variant"] == variant]
    if seeds > 1 and not drawn.many:
        if seeds < FEWEST_FOR_A_BAND:
            mine = drawn.data[drawn.data["variant"] == variant]
            for _, trial in mine.groupby("trial", sort=False):
                _line(axes, trial, column, **look, **_SEED)
        _line(axes, rows, column, **look, **_MEAN)
    else:
        _line(axes, rows, column, **look, **(_OF_MANY if drawn.many and look["color"] == PALE else _LONE))


def _line(axes: Axes, rows: pd.DataFrame, column: str, **look: Any) -> None:
    """One curve; it connects across epochs that have no value."""
    points = rows[["epoch", column]].dropna()
    if len(points) == 1:  # a line of one point can't be seen
        look |= _POINT | ({"markerfacecolor": "none"} if look["linestyle"] == _TRAINING else {})
    axes.plot(points["epoch"].to_numpy() + 1, points[column].to_numpy(dtype=float), **look)


def _bands(axes: Axes, pair: Pair, drawn: _Drawn, colours: Palette) -> None:
    bottom = axes.get_ylim()[0]
    for column, _ in _shown(pair, drawn):
        for variant, seeds in drawn.seeds.items():
            if seeds < FEWEST_FOR_A_BAND:
                continue
            mine = (drawn.means["variant"] == variant) & drawn.means[column].notna()
            epochs = drawn.means.loc[mine, "epoch"].to_numpy() + 1
            low, high = (end.loc[mine, column].to_numpy(dtype=float) for end in (drawn.low, drawn.high))
            # A logarithmic axis can't show an end below 0; the band leaves the panel at the bottom instead.
            low = np.maximum(low, bottom / 2) if axes.get_yscale() == "log" else low
            axes.fill_between(epochs, low, high, color=colours.colours[variant], **_BAND)


def _end_labels(pair: Pair, drawn: _Drawn, colours: Palette, texts: Sequence[str]) -> list[Label]:
    """Each labelled variant's words, and where its curve ends: validation's where there is one."""
    columns = [column for column, _ in reversed(_shown(pair, drawn))]
    found = []
    for variant, words in zip(colours.labelled, texts, strict=True):
        rows = drawn.means[drawn.means["variant"] == variant]
        mine = drawn.data[drawn.data["variant"] == variant]
        for frame, column in [(rows, column) for column in columns] + [(mine, column) for column in columns]:
            points = frame[["epoch", column]].dropna().sort_values("epoch")
            if len(points):
                end = points.iloc[-1]
                found.append(Label(words, end["epoch"] + 1, end[column], colours.colours[variant]))
                break
        else:  # without any finite value; the label says so
            found.append(Label(f"{words}: no value", math.nan, math.nan, GREY))
    return found


def _styles(panels: Mapping[str, Pair], drawn: _Drawn) -> dict[str, dict[str, Any]]:
    """The meaning of each line style → how such a line looks."""
    styles: dict[str, dict[str, Any]] = {}
    marker = _POINT if drawn.means["epoch"].nunique() == 1 else {}
    shown = {style for pair in panels.values() for _, style in _shown(pair, drawn)}
    if _TRAINING in shown:
        styles["training"] = {"linestyle": _TRAINING, "markerfacecolor": "none", **marker}
    if _VALIDATION in shown:
        styles["validation"] = {"linestyle": _VALIDATION, **marker}
    seeds = drawn.seeds
    if (seeds > 1).any() and drawn.many:
        styles["mean over seeds"] = {"linewidth": _LONE["linewidth"]}
        if drawn.banded and (seeds >= FEWEST_FOR_A_BAND).any():
            styles["interval of the mean"] = {"linewidth": 8, "alpha": 0.25}
    elif (seeds > 1).any():
        styles["mean over seeds"] = {"linewidth": _MEAN["linewidth"]}
        if (seeds == 2).any():
            styles["one seed"] = {"linewidth": _SEED["linewidth"]}
        if drawn.banded and (seeds >= FEWEST_FOR_A_BAND).any():
            styles["interval of the mean"] = {"linewidth": 8, "alpha": 0.25}
    return styles


def style_legend(figure: Figure, styles: Mapping[str, Mapping[str, Any]], note: str = "") -> None:
    """A legend below all panels.

    Args:
        figure: with its panels.
        styles: words → how such a line looks; grey where it has no ``color``.
        note: the text that comes last.
    """
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **{"color": GREY, **_LONE, **look}) for look in styles.values()]
    if note:
        handles.append(Line2D([], [], linestyle="none"))
    figure.legend(
        handles,
        [*styles, *([note] if note else [])],
        loc="outside lower center",
        ncols=len(handles),
        handlelength=3,
        frameon=False,
        fontsize=SMALL,
    )


def _size(columns: int, rows: int, texts: Sequence[str]) -> tuple[float, float]:
    """Inches that give each panel its room, and the labels theirs beside and above one another."""
    lines = [line for text in texts for line in text.splitlines()]
    beside = 0.3 + 0.075 * max(map(len, lines), default=0)
    return max(4.0 * columns, 4.6) + beside, max(3.1 * rows + 0.4, 0.15 * len(lines) + 1.4)
