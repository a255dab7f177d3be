"""Parzen estimators of TPE: a density over the variants of a space, made from some of them.

In: the axes of a space, and variants as rows of numbers. Out: candidates drawn from the density, and the
logarithm of the density at candidates.

A density is a mixture: a kernel around each variant, and a wide one for the whole space, which stands for
what is not known. A kernel is a product over the axes: a normal distribution cut to the range, or for a list
without an order a table of probabilities. All kernels and candidates are computed together.

Source: S. Watanabe, Tree-Structured Parzen Estimator, https://arxiv.org/abs/2304.11127; constants and widths
of kernels are those of Optuna 5's ``TPESampler``, and the tests compare with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

_NEWEST = 25
"""So many of the newest variants have the full weight; older ones weigh less, the oldest hardly anything."""
_NARROWEST = 100.0
"""A kernel is never narrower than this part of its range."""


@dataclass(frozen=True)
class Numbers:
    """An axis of numbers.

    Attributes:
        low: the smallest.
        high: the largest.
        log: whether it is even on a logarithmic scale.
        step: the distance of neighbours; 0 where there is none.
    """

    low: float
    high: float
    log: bool = False
    step: float = 0.0

    def scaled(self, values: np.ndarray | float) -> np.ndarray:
        """Numbers on the axis's own scale."""
        return np.log(values) if self.log else np.asarray(values, dtype=float)

    @property
    def ends(self) -> tuple[float, float]:
        """The range on its own scale; numbers with a step have half of it more at each end."""
        low, high = self.scaled(np.array([self.low - self.step / 2, self.high + self.step / 2]))
        return float(low), float(high)

    def allowed(self, values: np.ndarray) -> np.ndarray:
        """The nearest possible numbers, from some on the axis's own scale."""
        found = np.exp(values) if self.log else values
        if self.step:
            found = self.low + np.round((found - self.low) / self.step) * self.step
        inside: np.ndarray = np.clip(found, self.low, self.high)
        return inside


@dataclass(frozen=True)
class Categories:
    """An axis of values without an order, by their places.

    Attributes:
        size: how many.
    """

    size: int


Axis = Numbers | Categories


class Parzen:
    """A density.

    Args:
        axes: of the space.
        rows: the variants, in the order in which they began; a column per axis, of places or numbers.
    """

    def __init__(self, axes: Sequence[Axis], rows: np.ndarray) -> None:
        self._axes = axes
        weights = np.append(_weights(len(rows)), 1.0)
        self._weights = weights / weights.sum()
        self._kernels = [_kernels(axis, column) for axis, column in zip(axes, rows.T, strict=True)]

    def sample(self, rng: np.random.RandomState, count: int) -> np.ndarray:
        """Candidates, a row each.

        Args:
            rng: what draws.
            count: how many.
        """
        made = np.empty((count, len(self._axes)))
        drawn = rng.choice(len(self._weights), p=self._weights, size=count)
        for place, (axis, kernels) in enumerate(zip(self._axes, self._kernels, strict=True)):
            if isinstance(axis, Categories):
                sums = np.cumsum(kernels[drawn], axis=1)[:, :-1]
                made[:, place] = (sums < rng.rand(count)[:, None]).sum(axis=1)
        numbers = [place for place, axis in enumerate(self._axes) if isinstance(axis, Numbers)]
        parts = rng.uniform(size=(len(numbers), count))
        for place, part in zip(numbers, parts, strict=True):
            axis = self._axes[place]
            assert isinstance(axis, Numbers)
            middle, width = self._kernels[place][:, drawn]
            low, high = ((end - middle) / width for end in axis.ends)
            inside = ndtri(ndtr(low) + part * (ndtr(high) - ndtr(low)))
            made[:, place] = axis.allowed(np.clip(inside, low, high) * width + middle)
        return made

    def log_density(self, candidates: np.ndarray) -> np.ndarray:
        """The logarithm of the density at candidates, a number each.

        Args:
            candidates: rows, as `sample` gives them.
        """
        made = np.log(self._weights)[None]
        for axis, kernels, column in zip(self._axes, self._kernels, candidates.T, strict=True):
            if isinstance(axis, Categories):
                made = made + np.log(kernels.T[column.astype(int)])
            else:
                made = made + _log_of_numbers(axis, kernels, column)
        highest = made.max(axis=1, keepdims=True)  # finite: the wide kernel is nowhere zero
        sums: np.ndarray = np.log(np.exp(made - highest).sum(axis=1)) + highest[:, 0]
        return sums


def _weights(count: int) -> np.ndarray:
    old = max(0, count - _NEWEST)
    return np.concatenate([np.linspace(1 / max(1, count), 1, num=old), np.ones(count - old)])


def _kernels(axis: Axis, column: np.ndarray) -> np.ndarray:
    """Of numbers, the middles and the widths; of categories, a row of probabilities per kernel."""
    if isinstance(axis, Categories):
        if not len(column):
            return np.full((1, axis.size), 1 / axis.size)
        table = np.full((len(column) + 1, axis.size), 1 / (len(column) + 1))
        table[np.arange(len(column)), column.astype(int)] += 1
        table /= table.sum(axis=1, keepdims=True)
        return table
    low, high = axis.ends
    middles = axis.scaled(column)
    whole = (low + high) / 2, high - low
    return np.array([np.append(middles, whole[0]), np.append(_widths(middles, low, high), whole[1])])


def _widths(middles: np.ndarray, low: float, high: float) -> np.ndarray:
    """Of each kernel: the distance of its farther neighbour, within bounds."""
    order = np.argsort(middles)
    around = np.concatenate([[low], middles[order], [high]])
    gaps = np.diff(around)
    own = np.maximum(gaps[:-1], gaps[1:])
    if len(middles) > 1:  # the ends of the range are no neighbours
        own[0], own[-1] = gaps[1], gaps[-2]
    widths = np.empty_like(own)
    widths[order] = own
    narrowest = (high - low) / min(_NARROWEST, len(middles) + 2)
    bounded: np.ndarray = np.clip(widths, narrowest, high - low)
    return bounded


def _log_of_numbers(axis: Numbers, kernels: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The logarithm of each kernel's density, or with a step its probability: candidate × kernel."""
    middles, widths = kernels
    low, high = axis.ends
    inside = np.log(ndtr((high - middles) / widths) - ndtr((low - middles) / widths))
    if not axis.step:
        distances = (axis.scaled(column)[:, None] - middles) / widths
        found: np.ndarray = -(distances**2) / 2 - np.log(widths) - math.log(2 * math.pi) / 2 - inside
        return found
    values, places = np.unique(column, return_inverse=True)
    left, right = (axis.scaled(values + side)[:, None] for side in (-axis.step / 2, axis.step / 2))
    left, right = (left - middles) / widths, (right - middles) / widths
    above = left > 0  # the normal distribution's upper tail is exact in its mirror image only
    left, right = np.where(above, -right, left), np.where(above, -left, right)
    with np.errstate(divide="ignore"):  # far from a narrow kernel it is zero
        found = (np.log(ndtr(right) - ndtr(left)) - inside)[places]
    return found
