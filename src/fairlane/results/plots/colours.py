"""Variants → a colour each, and a short label each.

In: the variants' hyperparameters. Out: colours that people with any colour vision can distinguish, also in
print: seven of them, or a scale over the one number that varies, or grey with the best in colour.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlane.trials import short

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

Variant = Mapping[str, Any]

# Okabe and Ito's eight colours; yellow, faint on white, last.
OKABE_ITO = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#F0E442"),
)
FEW = len(OKABE_ITO) - 1
"""Up to so many variants have a colour and a label each."""
PALE, GREY, BEST = "0.72", "0.3", OKABE_ITO[1]
SMALL, NORMAL = 8, 10
_DECADES = 1.5
"""Where values span more decades than this, a linear scale hides the smaller ones."""
_WIDTH = 26


@dataclass(frozen=True)
class Scale:
    """A colour scale over one numeric hyperparameter."""

    name: str
    mappable: ScalarMappable


@dataclass(frozen=True)
class Palette:
    """A colour per variant.

    Attributes:
        colours: of each variant, in order.
        scale: what they come from, if any.
        labelled: the numbers of the variants that have a label of their own.
    """

    colours: list[Any]
    scale: Scale | None = None
    labelled: list[int] = field(default_factory=list)


def palette(variants: Sequence[Variant], best: int | None = None) -> Palette:
    """A colour per variant.

    Args:
        variants: the hyperparameters of each.
        best: the number of the best, which has a colour where all others are grey.
    """
    if len(variants) <= FEW:
        labelled = list(range(len(variants))) if len(variants) > 1 else []
        return Palette(list(OKABE_ITO[: len(variants)]), labelled=labelled)
    varied = varying(variants)
    if len(varied) == 1:
        values = [variant.get(varied[0]) for variant in variants]
        if all(is_number(value) for value in values):
            return _scaled(varied[0], np.array(values, dtype=float))
    colours = [BEST if i == best else PALE for i in range(len(variants))]
    return Palette(colours, labelled=[] if best is None else [best])


def varying(variants: Sequence[Variant]) -> list[str]:
    """The hyperparameters in which the variants differ.

    Args:
        variants: the hyperparameters of each.
    """
    names = dict.fromkeys(name for variant in variants for name in variant)
    return [name for name in names if len({variant.get(name) for variant in variants}) > 1]


def labels(variants: Sequence[Variant], width: int = _WIDTH) -> list[str]:
    """The hyperparameters that distinguish each variant from the others, in wrapped text.

    Args:
        variants: the hyperparameters of each.
        width: the most characters of a line.
    """
    shown = varying(variants) or list(dict.fromkeys(name for v in variants for name in v))
    texts = []
    for variant in variants:
        parts = [f"{name}={text(variant[name])}" for name in shown if name in variant]
        wrapped = textwrap.wrap(", ".join(parts) or "the defaults", width, subsequent_indent="  ")
        kept = wrapped[:3] if len(wrapped) <= 3 else [*wrapped[:2], wrapped[2][: width - 3] + "..."]
        texts.append(plain("\n".join(kept)))
    return texts


def plain(words: str) -> str:
    """Text that Matplotlib shows as it is: two dollar signs would make a formula.

    Args:
        words: any.
    """
    return words.replace("$", r"\$")


def text(value: Any) -> str:
    """A hyperparameter's value, short.

    Args:
        value: as a column has it.
    """
    return short(value.item() if isinstance(value, np.generic) else value)


def is_number(value: Any) -> bool:
    """Whether a value can stand on an axis.

    Args:
        value: any.
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and math.isfinite(value)


def spans_decades(values: NDArray[np.float64]) -> bool:
    """Whether a logarithmic scale is possible, and better than a linear one.

    Args:
        values: of any shape; those that are not finite do not count.
    """
    values = values[np.isfinite(values)]
    if not values.size or values.min() <= 0:
        return False
    return bool(np.log10(values.max()) - np.log10(values.min()) > _DECADES)


def is_geometric(values: NDArray[np.float64]) -> bool:
    """Whether a hyperparameter's values are more evenly spaced on a logarithmic scale than on a linear one.

    Two values are where one is at least 10 times the other.

    Args:
        values: of any shape; those that are not finite do not count.

    Example:
        >>> is_geometric(np.array([1e-4, 1e-3, 1e-2])), is_geometric(np.array([0.01, 0.1, 0.3, 0.5]))
        (True, False)
    """
    values = np.unique(values[np.isfinite(values)])
    if len(values) < 2 or values[0] <= 0:
        return False
    if len(values) == 2:
        return bool(values[1] >= 10 * values[0] * (1 - 1e-9))
    return _unevenness(np.log(values)) < _unevenness(values)


def _unevenness(values: NDArray[np.float64]) -> float:
    gaps = np.diff(values)
    return float(gaps.std() / gaps.mean())


def colour_bar(figure: Figure, scale: Scale) -> None:
    """Draw the scale beside the panels.

    Args:
        figure: with all its panels.
        scale: to be drawn.
    """
    bar = figure.colorbar(scale.mappable, ax=list(figure.axes), pad=0.02, aspect=30)
    bar.set_label(plain(scale.name), fontsize=NORMAL - 1)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)


def _scaled(name: str, values: NDArray[np.float64]) -> Palette:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    # The last tenth of viridis is a yellow too faint for a thin line on white.
    colour_map = ListedColormap(colormaps["viridis"](np.linspace(0, 0.9, 256)))
    norm = (LogNorm if is_geometric(values) else Normalize)(values.min(), values.max())
    mappable = ScalarMappable(norm, colour_map)
    return Palette([mappable.to_rgba(value) for value in values], Scale(name, mappable))
