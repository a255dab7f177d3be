"""At which epochs a search compares, and who goes on: rules as plain functions of numbers.

In: how many epochs a variant may get, how many variants there are, and their values. Out: brackets with their
rungs, and which variants are promoted or stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FACTOR = 3
"""One of so many variants is promoted at a rung."""
_GRACE = 9
"""Of so many parts of the epochs, in the first no trial is stopped for its value alone."""
_COMPARED = 4
"""From how many others on the median of their values stops a variant."""


@dataclass(frozen=True)
class Bracket:
    """Variants that are compared with each other, and how they become fewer.

    Attributes:
        sizes: how many train up to each rung.
        epochs: how many epochs they have then; the last is a variant's most.
    """

    sizes: tuple[int, ...]
    epochs: tuple[int, ...]

    @property
    def mean(self) -> float:
        """How many epochs a variant gets, on the average."""
        before = (0, *self.epochs[:-1])
        steps = zip(self.sizes, self.epochs, before, strict=True)
        return sum(n * (now - then) for n, now, then in steps) / self.sizes[0]

    def cut(self, size: int) -> Bracket:
        """The same bracket with fewer variants: each rung keeps its share."""
        if size >= self.sizes[0]:
            return self
        sizes = [max(1, math.ceil(n * size / self.sizes[0])) for n in self.sizes]
        return Bracket((size, *(min(size, n) for n in sizes[1:])), self.epochs)


def hyperband(epochs: int, factor: int = FACTOR) -> list[Bracket]:
    """The brackets of one iteration of Hyperband, the one that stops the most first.

    The sizes are those of KerasTuner: bracket s has s + 1 rungs; on rung i are
    ``ceil(ceil(1 + log(epochs) / log(factor)) / (s + 1) * factor ** (s - i))`` variants with
    ``ceil(epochs / factor ** (s - i))`` epochs.

    Source: L. Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, JMLR 18
    (2018), 1-52.

    Args:
        epochs: the most that a variant gets.
        factor: one of so many is promoted.

    Example:
        >>> brackets = hyperband(27, 3)
        >>> [bracket.sizes for bracket in brackets]
        [(27, 9, 3, 1), (12, 4, 2), (6, 2), (4,)]
        >>> brackets[0].epochs
        (1, 3, 9, 27)
    """
    highest, left = -1, float(epochs)
    while left >= 1:
        left /= factor
        highest += 1
    last = math.ceil(1 + math.log(epochs, factor))
    return [_bracket(last, s, epochs, factor) for s in range(highest, -1, -1)]


def _bracket(last: int, s: int, epochs: int, factor: int) -> Bracket:
    rungs = range(s + 1)
    sizes = [math.ceil(last / (s + 1) * factor ** (s - i)) for i in rungs]
    return Bracket(tuple(sizes), tuple(math.ceil(epochs / factor ** (s - i)) for i in rungs))


def halving(size: int, epochs: int, factor: int = FACTOR) -> Bracket:
    """One bracket of successive halving.

    Source: K. Jamieson and A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
    Optimization, AISTATS 2016.

    Args:
        size: how many variants begin.
        epochs: the most that one gets.
        factor: one of so many is promoted.

    Example:
        >>> halving(20, 27)
        Bracket(sizes=(20, 7, 3, 1), epochs=(1, 3, 9, 27))
    """
    highest = 0
    while factor ** (highest + 1) <= min(size, epochs):
        highest += 1
    rungs = range(highest + 1)
    sizes = [max(1, math.ceil(size / factor**i)) for i in rungs]
    return Bracket(tuple(sizes), tuple(math.ceil(epochs / factor ** (highest - i)) for i in rungs))


def promoted(values: Mapping[int, float], places: int) -> list[int]:
    """Which variants go on: those with the smallest values; of equals, the first.

    A variant without a finite value never goes on.

    Args:
        values: variant's number → value.
        places: how many may go on.

    Example:
        >>> promoted({0: 0.5, 1: 0.2, 2: float("inf"), 3: 0.4}, 3)
        [0, 1, 3]
    """
    finite = [number for number, value in values.items() if math.isfinite(value)]
    return sorted(sorted(finite, key=lambda number: (values[number], number))[:places])


def is_worse_than_median(best: float, others: Sequence[float], epoch: int, epochs: int) -> bool:
    """Whether a variant is stopped by the median rule after its newest epoch.

    Its best value until then is compared with the median of the others' best values until the same epoch; a
    variant that was stopped before counts with its best. So of variants that train together, not more than
    half are ever stopped. In the first ninth of the epochs nothing is stopped.

    Source: D. Golovin et al., Google Vizier: A Service for Black-Box Optimization, KDD 2017, section 3.2.

    Args:
        best: its own, small ones being better.
        others: the best values until the same epoch of all others that have trained as long, or were stopped;
            sorted.
        epoch: how many epochs it has.
        epochs: the most that a variant gets.

    Example:
        >>> is_worse_than_median(2.5, [0.5, 1.0, 2.0, 4.0], epoch=2, epochs=9)
        True
    """
    if epoch < max(1, math.ceil(epochs / _GRACE)) or epoch >= epochs or len(others) < _COMPARED:
        return False
    middle = len(others) // 2
    median = others[middle] if len(others) % 2 else (others[middle - 1] + others[middle]) / 2
    return best > median
