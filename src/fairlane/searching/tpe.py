"""Optuna's TPE, as a search uses it: with memory, and never the same variant twice.

In: what a search knows of its variants, in a space without conditions; and a `TPESampler` of Optuna's that is
about to be asked. Out: the same sampler, which then proposes the best of its candidates that no variant has.

In a space of lists TPE's best candidate is often a variant that exists already. A search refuses it; asked
again and again, it would give up, and draw at random. Optuna also reads and sorts all trials at each ask;
here each is read once.

Optuna is not changed: a method of the one object is replaced by ours, with the same two models. Where a later
Optuna has other names for its parts, its own method is used, and the search refuses repetitions.

Source: the sampler is that of Optuna 5, https://optuna.readthedocs.io.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlane.searching.samplers import Seen

_PARTS = (
    "_sample",
    "_parzen_estimator_cls",
    "_parzen_estimator_parameters",
    "_n_ei_candidates",
    "_gamma",
    "_compute_acquisition_func",
    "_compare",
    "_rng",
)


class Memory:
    """All variants, as TPE's numbers.

    Args:
        kinds: name → distribution, in the order of names, without those that have one value only.
    """

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        self._kinds = dict(kinds)
        self._table = np.empty((64, len(self._kinds)))
        self._count = 0
        self._taken: set[tuple[float, ...]] = set()
        self._ended: list[tuple[tuple[float, ...], int]] = []

    def begins(self, encoded: Mapping[str, Any]) -> None:
        """A variant begins.

        Args:
            encoded: name → what Optuna has for its value.
        """
        row = tuple(float(kind.to_internal_repr(encoded[name])) for name, kind in self._kinds.items())
        if self._count == len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
        self._table[self._count] = row
        self._count += 1
        self._taken.add(row)

    def ends(self, place: int, one: Seen) -> None:
        """A variant ended. Those that were stopped are behind all others, the latest first, as in Optuna.

        Args:
            place: of the variant, in the order in which they began.
            one: what is known of it, with one value.
        """
        stopped = one.state == "stopped"
        order = (1.0, -one.epochs, one.values[0]) if stopped else (0.0, one.values[0])
        insort(self._ended, (order, place))

    def given_to(self, sampler: Any) -> Any:
        """Let a sampler use it.

        Args:
            sampler: an ``optuna.samplers.TPESampler`` for one objective.

        Returns:
            The same sampler.
        """
        if all(hasattr(sampler, part) for part in _PARTS):
            sampler._sample = lambda study, trial, space: self._sample(sampler)
        return sampler

    def _sample(self, sampler: Any) -> dict[str, Any]:
        """Optuna's ``_sample``: name → value; running variants count as bad ones."""
        below = np.zeros(self._count, dtype=bool)
        gamma = sampler._gamma or _gamma
        below[[place for _, place in self._ended[: gamma(len(self._ended))]]] = True
        good, bad = (self._model(sampler, of) for of in (below, ~below))
        samples = good.sample(sampler._rng.rng, sampler._n_ei_candidates)
        merits = self.without_taken(samples, sampler._compute_acquisition_func(samples, good, bad))
        best = sampler._compare(samples, merits)
        return {name: kind.to_external_repr(best[name]) for name, kind in self._kinds.items()}

    def _model(self, sampler: Any, of: np.ndarray) -> Any:
        rows = self._table[: self._count][of]
        columns = {name: rows[:, place] for place, name in enumerate(self._kinds)}
        return sampler._parzen_estimator_cls(columns, self._kinds, sampler._parzen_estimator_parameters)

    def without_taken(self, samples: Mapping[str, np.ndarray], merits: np.ndarray) -> np.ndarray:
        """The candidates' merits; lowest for those that a variant has, unless all are such.

        Args:
            samples: name → a number for each candidate.
            merits: of the candidates, large ones being better.
        """
        rows = zip(*(samples[name].tolist() for name in self._kinds), strict=True)
        taken = np.array([row in self._taken for row in rows])
        return merits if taken.all() else np.where(taken, -np.inf, merits)


def _gamma(ended: int) -> int:
    """How many of those that have ended are good ones: Optuna's own default."""
    return min(math.ceil(0.1 * ended), 25)
