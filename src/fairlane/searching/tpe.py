"""TPE as a search uses it: with memory, and never the same variant twice.

In: what a search knows of its variants, in a space without conditions. Out: the best of the candidates that
no variant has.

It is the multivariate TPE with a constant liar of Optuna 5, and proposes what that proposes. Two things
differ. In a space of lists TPE's best candidate is often a variant that exists already; a search refuses it,
and asked again and again, TPE would give up, and draw at random: so such candidates come last. And Optuna
reads, sorts and copies all trials at each proposal; here each is read once, and Optuna need not be installed.

Source: J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, NIPS 2011.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlane.searching.domains import Choice, Domain, Float, Int
from fairlane.searching.parzen import Axis, Categories, Numbers, Parzen
from fairlane.searching.samplers import Seen
from fairlane.searching.space import Space

_CANDIDATES = 24


def axis_of(domain: Domain) -> Axis | None:
    """A domain as an axis; None where it has one value only."""
    if domain.size == 1:
        return None
    if isinstance(domain, Choice):
        size = len(domain.values())
        return Numbers(0.0, size - 1.0, step=1.0) if domain.ordered else Categories(size)
    assert isinstance(domain, Float | Int)
    step = float(domain.step or 0) if isinstance(domain, Float) else float(domain.step or 1)
    count = domain.size
    high = float(domain.high) if count is None else domain.low + (count - 1) * step
    return Numbers(float(domain.low), high, domain.log, step)


class Memory:
    """All variants of a search, as TPE's numbers.

    Args:
        space: without conditions.
    """

    def __init__(self, space: Space) -> None:
        axes = {name: axis_of(space.domains[name]) for name in sorted(space.domains)}
        self._axes = {name: axis for name, axis in axes.items() if axis is not None}
        self._space = space
        self._known: list[Seen] = []
        self._table = np.empty((64, len(self._axes)))
        self._taken: set[tuple[float, ...]] = set()
        self._ended: list[tuple[tuple[float, ...], int]] = []

    def follow(self, seen: Sequence[Seen]) -> bool:
        """Learn what is new.

        Args:
            seen: all variants until now.

        Returns:
            Whether what was known before is the beginning of it; else it learns nothing.
        """
        known = self._known
        if len(seen) < len(known) or not all(map(_same, known, seen)):
            return False
        for one in seen[len(known) :]:
            self._begin(one)
        for place, one in enumerate(seen):
            if one is not known[place]:
                if one.state != "running":
                    self._end(place, one)
                known[place] = one
        return True

    def _begin(self, one: Seen) -> None:
        encoded, count = self._space.encode(one.hyperparameters), len(self._known)
        row = tuple(float(encoded[name]) for name in self._axes)
        if count == len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
        self._table[count] = row
        self._taken.add(row)
        self._known.append(Seen(one.hyperparameters, "running"))

    def _end(self, place: int, one: Seen) -> None:
        """Those that were stopped are behind all others, the latest first."""
        stopped = one.state == "stopped"
        order = (1.0, -one.epochs, one.values[0]) if stopped else (0.0, one.values[0])
        insort(self._ended, (order, place))

    def propose(self, seed: int) -> dict[str, Any]:
        """The candidate that is likeliest among good variants, compared with the others.

        Variants that run count as bad ones, so that candidates beside them come later.

        Args:
            seed: of the candidates.
        """
        rng, axes = np.random.RandomState(seed), list(self._axes.values())
        rows = self._table[: len(self._known)]
        below = np.zeros(len(rows), dtype=bool)
        below[[place for _, place in self._ended[: _good(len(self._ended))]]] = True
        good, bad = Parzen(axes, rows[below]), Parzen(axes, rows[~below])
        candidates = good.sample(rng, _CANDIDATES)
        merits = good.log_density(candidates) - bad.log_density(candidates)
        best = candidates[np.argmax(self.without_taken(candidates, merits))]
        only = {name: domain.value(0.0) for name, domain in self._space.domains.items()}
        found = dict(zip(self._axes, best.tolist(), strict=True))
        return self._space.assigned(only | {n: _value(self._space.domains[n], v) for n, v in found.items()})

    def without_taken(self, candidates: np.ndarray, merits: np.ndarray) -> np.ndarray:
        """The candidates' merits; lowest for those that a variant has, unless all are such.

        Args:
            candidates: a row each.
            merits: of the candidates, large ones being better.
        """
        taken = np.array([tuple(row) in self._taken for row in candidates.tolist()])
        return merits if taken.all() else np.where(taken, -np.inf, merits)


def _value(domain: Domain, number: float) -> Any:
    """A number of an axis as a value of the domain."""
    if not isinstance(domain, Float):
        return domain.decode(round(number))
    return number if domain.step is None else domain.value(domain.unit(number))  # which rounds sums of steps


def _same(known: Seen, seen: Seen) -> bool:
    """Whether both are of one variant, which has not ended differently."""
    if known is seen:  # so it is nearly always, in a search that goes on
        return True
    a, b = known.hyperparameters, seen.hyperparameters
    return (a is b or a == b) and known.state == "running"


def _good(ended: int) -> int:
    """How many of those that have ended are good ones."""
    return min(math.ceil(0.1 * ended), 25)
