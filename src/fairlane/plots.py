"""Data frames → figures; draws, never computes.

In: a history as `fairlane.frames.history` returns it. Out: a ``matplotlib.figure.Figure`` made
without pyplot, so that no figure stays registered and neither backend nor settings change.
Matplotlib is imported when a function is called.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairlane import frames
from fairlane.errors import StudyError
from fairlane.trial import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

Pair = tuple[str | None, str | None]
Variant = Mapping[str, Any]

# Okabe and Ito's eight colours, told apart with any colour vision; yellow, faint on white, last.
_OKABE_ITO = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#F0E442"),
)
_TRAINING, _VALIDATION = "dashed", "solid"
_DECADES = 1.5
"""Where values span more decades than this, a linear scale hides the smaller ones."""
_LEGEND_ROWS = 20
_SMALL, _NORMAL = 8, 10
_GREY = "0.3"
_LONE = {"linewidth": 1.6}
_LONE_OF_MANY = {"linewidth": 1.0, "alpha": 0.9}
_SEED = {"linewidth": 0.7, "alpha": 0.5}
_MEAN = {"linewidth": 2.2, "alpha": 0.9, "zorder": 3}
_POINT: dict[str, Any] = {"marker": "o", "markersize": 5}


def curves(
    history_frame: pd.DataFrame,
    hyperparameter_names: Iterable[str],
    *,
    metrics: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """The learning curves: a panel per metric, a colour per variant.

    Training is dashed, validation solid. Where a variant has several seeds, each is a thin line and
    their mean a thick one, over the epochs that all of them have. Epochs count from 1 here.
    Up to 8 variants have colours that are told apart with any colour vision; more have a colour
    scale if one numeric hyperparameter is all that varies, and else 20 colours that repeat. Metrics
    to be minimised have a logarithmic axis where they are positive and span over 1.5 decades.

    Args:
        history_frame: as `fairlane.frames.history` returns it, shape ``(trials x epochs, ...)``.
        hyperparameter_names: which of its columns are hyperparameters.
        metrics: the panels, such as ``["loss", "accuracy"]``; ``"val_loss"`` stands for a panel of
            validation alone. None stands for every metric.
        title: stands above all panels.

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
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['lr=0.1', 'lr=0.2']
    """
    from matplotlib.figure import Figure

    names = list(hyperparameter_names)
    panels = _panels(history_frame, names, metrics)
    numbers, variants = frames.variant_numbers(history_frame, names)
    drawn = list(dict.fromkeys(column for pair in panels.values() for column in pair if column))
    data = history_frame.assign(variant=numbers)
    data[drawn] = data[drawn].where(np.isfinite(data[drawn]))
    means = frames.mean_over_seeds(data, names, drawn)
    palette = _palette(variants)
    labels = [] if palette.scale or len(variants) == 1 else _legend_labels(variants)
    styles = _styles(panels, several=bool(means["seeds"].max() > 1), points=means["epoch"].nunique() == 1)

    columns = len(panels) if len(panels) <= 3 else 2 if len(panels) == 4 else 3
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=_size(columns, rows, labels), layout="constrained")
    for i, (metric, pair) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        _panel(axes, metric, pair, data, means, palette.colours)
    if palette.scale:
        _colour_bar(figure, palette.scale)
    _variant_legend(figure, labels, palette.colours)
    _style_legend(figure, styles)
    if title:
        figure.suptitle(title, fontsize=_NORMAL + 2)
    return figure


# What to draw


def _panels(
    history_frame: pd.DataFrame, names: Sequence[str], metrics: Sequence[str] | None
) -> dict[str, Pair]:
    """Panel's title → its column of training values and its column of validation values."""
    pairs = frames.metric_columns(history_frame, names)
    if history_frame.empty or not pairs:
        raise StudyError("no trial has finished an epoch yet, so there is no curve to draw")
    if metrics is None:
        return pairs
    if isinstance(metrics, str):
        metrics = [metrics]
    if not metrics:
        raise StudyError("metrics=[] leaves nothing to draw; metrics=None draws all")
    known: dict[str, Pair] = dict(pairs)
    known |= {f"val_{metric}": (None, pair[1]) for metric, pair in pairs.items() if pair[1]}
    for metric in metrics:
        if metric not in known:
            raise frames.unknown_metric(metric, known)
    return {metric: known[metric] for metric in metrics}


def _legend_labels(variants: Sequence[Variant]) -> list[str]:
    """What tells each variant from the others, wrapped; shortened to what a legend can hold."""
    shown = _varying(variants) or list(dict.fromkeys(name for v in variants for name in v))
    labels = []
    for variant in variants[:_LEGEND_ROWS]:
        parts = [f"{name}={_text(variant[name])}" for name in shown if name in variant]
        text = ", ".join(parts) or "the defaults"
        labels.append(textwrap.fill(text, 38, subsequent_indent="  "))
    more = len(variants) - len(labels)
    if more:
        repeats = " (colours repeat)" if len(variants) > len(_many()) else ""
        labels.append(f"... and {more} more{repeats}")
    return labels


def _varying(variants: Sequence[Variant]) -> list[str]:
    """The hyperparameters in which the variants differ."""
    names = dict.fromkeys(name for variant in variants for name in variant)
    return [name for name in names if len({variant.get(name) for variant in variants}) > 1]


def _text(value: Any) -> str:
    return short(value.item() if isinstance(value, np.generic) else value)


# Colours


@dataclass(frozen=True)
class _Scale:
    """A colour scale over one numeric hyperparameter."""

    name: str
    mappable: ScalarMappable


@dataclass(frozen=True)
class _Palette:
    """A colour per variant, and the scale that they come from, if any."""

    colours: list[Any]
    scale: _Scale | None = None


def _palette(variants: Sequence[Variant]) -> _Palette:
    if len(variants) <= len(_OKABE_ITO):
        return _Palette(list(_OKABE_ITO[: len(variants)]))
    varying = _varying(variants)
    if len(varying) == 1:
        values = [variant.get(varying[0]) for variant in variants]
        if all(_is_number(value) for value in values):
            return _scaled(varying[0], np.array(values, dtype=float))
    return _Palette(list(itertools.islice(itertools.cycle(_many()), len(variants))))


def _many() -> list[Any]:
    """Twenty colours, the ten strong ones before their ten pale fellows."""
    from matplotlib import colormaps

    colours = [colormaps["tab20"](i) for i in range(20)]
    return [*colours[::2], *colours[1::2]]


def _scaled(name: str, values: NDArray[np.float64]) -> _Palette:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    # The last tenth of viridis is a yellow too faint for a thin line on white.
    colour_map = ListedColormap(colormaps["viridis"](np.linspace(0, 0.9, 256)))
    norm = (LogNorm if _spans_decades(values) else Normalize)(values.min(), values.max())
    mappable = ScalarMappable(norm, colour_map)
    return _Palette([mappable.to_rgba(value) for value in values], _Scale(name, mappable))


def _is_number(value: Any) -> bool:
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _spans_decades(values: NDArray[np.float64]) -> bool:
    """Whether a logarithmic scale is possible and shows more than a linear one."""
    values = values[np.isfinite(values)]
    if not values.size or values.min() <= 0:
        return False
    return bool(np.log10(values.max()) - np.log10(values.min()) > _DECADES)


# Drawing


def _panel(
    axes: Axes,
    metric: str,
    pair: Pair,
    data: pd.DataFrame,
    means: pd.DataFrame,
    colours: Sequence[Any],
) -> None:
    """Draw one metric of all trials."""
    from matplotlib.ticker import MaxNLocator

    seeds_of = means.groupby("variant")["seeds"].first()
    lone = _LONE if len(colours) <= len(_OKABE_ITO) else _LONE_OF_MANY
    for column, dashes in zip(pair, (_TRAINING, _VALIDATION), strict=True):
        if column is None:
            continue
        for (variant, _), rows in data.groupby(["variant", "trial"], sort=False):
            look = lone if seeds_of[variant] == 1 else _SEED
            _line(axes, rows, column, color=colours[variant], linestyle=dashes, **look)
        for variant, rows in means[means["seeds"] > 1].groupby("variant"):
            _line(axes, rows, column, color=colours[variant], linestyle=dashes, **_MEAN)
    drawn = data[[column for column in pair if column]].to_numpy(dtype=float)
    if frames.direction(metric) == "min" and _spans_decades(drawn.ravel()):
        _logarithmic(axes)
    axes.set_title(metric, loc="left", fontsize=_NORMAL)
    axes.set_xlabel("epoch", fontsize=_NORMAL - 1)
    axes.set_xlim(0.5, data["epoch"].max() + 1.5)  # there is no epoch 0 to have a tick
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=_SMALL)
    axes.grid(True, color=_GREY, alpha=0.15, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _line(axes: Axes, rows: pd.DataFrame, column: str, **look: Any) -> None:
    """One curve; over epochs that have no value, it goes on to the next that has."""
    points = rows[["epoch", column]].dropna()
    if len(points) == 1:  # a line of one point can't be seen
        look |= _POINT | ({"markerfacecolor": "none"} if look["linestyle"] == _TRAINING else {})
    axes.plot(points["epoch"].to_numpy() + 1, points[column].to_numpy(dtype=float), **look)


def _logarithmic(axes: Axes) -> None:
    """A logarithmic y axis, with more ticks than one per decade where there are few decades."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high / low < 1e3:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _colour_bar(figure: Figure, scale: _Scale) -> None:
    bar = figure.colorbar(scale.mappable, ax=list(figure.axes), pad=0.02, aspect=30)
    bar.set_label(scale.name, fontsize=_NORMAL - 1)
    bar.ax.tick_params(labelsize=_SMALL)
    bar.outline.set_visible(False)


def _styles(panels: Mapping[str, Pair], *, several: bool, points: bool) -> dict[str, dict[str, Any]]:
    """What the lines' styles mean → how such a line looks."""
    styles: dict[str, dict[str, Any]] = {}
    marker = _POINT if points else {}
    if any(training for training, _ in panels.values()):
        styles["training"] = {"linestyle": _TRAINING, "markerfacecolor": "none", **marker}
    if any(validation for _, validation in panels.values()):
        styles["validation"] = {"linestyle": _VALIDATION, **marker}
    if several:
        styles["one seed"] = {"linewidth": _SEED["linewidth"]}
        styles["mean of the seeds"] = {"linewidth": _MEAN["linewidth"]}
    return styles


def _style_legend(figure: Figure, styles: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    figure.legend(
        [Line2D([], [], color=_GREY, **{**_LONE, **look}) for look in styles.values()],
        list(styles),
        loc="outside lower center",
        ncols=len(styles),
        handlelength=3,
        frameon=False,
        fontsize=_SMALL,
    )


def _variant_legend(figure: Figure, labels: Sequence[str], colours: Sequence[Any]) -> None:
    from matplotlib.lines import Line2D

    if not labels:
        return
    handles = [Line2D([], [], color=colour, linewidth=2.5) for colour in colours[:_LEGEND_ROWS]]
    if len(labels) > len(handles):
        handles.append(Line2D([], [], linestyle="none"))
    figure.legend(
        handles, labels, loc="outside right upper", handlelength=1.2, frameon=False, fontsize=_SMALL
    )


def _size(columns: int, rows: int, labels: Sequence[str]) -> tuple[float, float]:
    """Inches that give each panel its room beside and above the legends."""
    lines = [line for label in labels for line in label.splitlines()]
    beside = 0.5 + 0.065 * max(map(len, lines), default=0)
    return max(4.2 * columns, 5.0) + beside, max(3.1 * rows + 0.4, 0.16 * len(lines) + 1.0)
