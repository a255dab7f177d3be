"""Optuna's TPE, as a search uses it: with memory, and never the same variant twice.

In: what a search knows of its variants, in a space without conditions; and a `TPESampler` of Optuna's. Out:
the best of the sampler's candidates that no variant has.

In a space of lists TPE's best candidate is often a variant that exists already. A search refuses it; asked
again and again, it would give up, and draw at random. Optuna also reads, sorts and copies trials at each ask;
here each is read once, and no study of Optuna's is needed.

The models are Optuna's, made by the sampler's own parts. Where a later Optuna has other names for them,
`usable` is false: then Optuna's own way is taken, and the search refuses repetitions.

Source: the sampler is that of Optuna 5, https://optuna.readthedocs.io.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fairlane.searching.samplers import Seen

_PARTS = (
    "_parzen_estimator_cls",
    "_parzen_estimator_parameters",
    "_n_ei_candidates",
    "_gamma",
    "_compute_acquisition_func",
    "_compare",
    "_rng",
)


def usable(sampler: Any) -> bool:
    """Whether a sampler has the parts that `Memory` uses.

    Args:
        sampler: an ``optuna.samplers.TPESampler`` for one objective.
    """
    return all(hasattr(sampler, part) for part in _PARTS)


class Memory:
    """All variants, as TPE's numbers.

    Args:
        kinds: name → distribution, in the order of names, without those that have one value only.
        sampler: an ``optuna.samplers.TPESampler`` for one objective, which is `usable`.
    """

    def __init__(self, kinds: Mapping[str, Any], sampler: Any) -> None:
        self._kinds, self._sampler = dict(kinds), sampler
        self._known: list[Seen] = []
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

    def follow(self, seen: Sequence[Seen], encode: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> bool:
        """Learn what is new.

        Args:
            seen: all variants until now.
            encode: hyperparameters → name → what Optuna has for the value.

        Returns:
            Whether what was known before is the beginning of it; else it learns nothing.
        """
        known = self._known
        if len(seen) < len(known) or not all(map(_same, known, seen)):
            return False
        for one in seen[len(known) :]:
            self.begins(encode(one.hyperparameters))
            known.append(Seen(one.hyperparameters, "running"))
        for place, one in enumerate(seen):
            if one is not known[place]:
                if one.state != "running":
                    self.ends(place, one)
                known[place] = one
        return True

    def propose(self, seed: int) -> dict[str, Any]:
        """What Optuna's ``_sample`` proposes: name → value; running variants count as bad ones.

        Args:
            seed: of the candidates.
        """
        sampler = self._sampler
        sampler._rng.rng.seed(seed)
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


def _same(known: Seen, seen: Seen) -> bool:
    """Whether both are of one variant, which has not ended differently."""
    if known is seen:  # so it is nearly always, in a search that goes on
        return True
    a, b = known.hyperparameters, seen.hyperparameters
    return (a is b or a == b) and known.state == "running"


def _gamma(ended: int) -> int:
    """How many of those that have ended are good ones: Optuna's own default."""
    return min(math.ceil(0.1 * ended), 25)
