"""Optuna's TPE, as a search uses it: with memory, and never the same variant twice.

In: a `TPESampler` of Optuna's that is about to be asked, and the distributions of a space without conditions.
Out: the same sampler, which then proposes the best of its candidates that no trial has yet.

In a space of lists TPE's best candidate is often a variant that exists already. A search refuses it; asked
again and again, it would give up, and draw at random. This is most of what TPE loses in wide waves.

Optuna is not changed: two of the object's own methods are replaced by ours. Where a later Optuna has no such
methods, it is merely slower, and the search refuses repetitions as before.

Source: the sampler is that of Optuna 5, https://optuna.readthedocs.io.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class Memory:
    """The parameters of all trials of a study, as TPE's numbers; a trial is looked at once.

    Args:
        kinds: name → distribution, in the order of names, without those that have one value only.
    """

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        self._kinds = dict(kinds)
        self._rows: dict[int, tuple[float, ...]] = {}
        self._taken: set[tuple[float, ...]] = set()

    def given_to(self, sampler: Any) -> Any:
        """Let a sampler use it.

        Args:
            sampler: an ``optuna.samplers.TPESampler``.

        Returns:
            The same sampler.
        """
        acquisition = sampler._compute_acquisition_func

        def untaken(samples: dict[str, np.ndarray], *models: Any) -> Any:
            return self.without_taken(samples, acquisition(samples, *models))

        # All variants have all hyperparameters; Optuna would compare all of its trials to see it.
        sampler.infer_relative_search_space = lambda study, trial: self._kinds
        sampler._get_internal_repr = self._columns
        sampler._compute_acquisition_func = untaken
        return sampler

    def _columns(self, trials: Sequence[Any], space: Mapping[str, Any], study: Any) -> dict[str, np.ndarray]:
        """Optuna's ``_get_internal_repr``: name → the trials' numbers."""
        for trial in trials:
            if trial.number not in self._rows:
                row = tuple(float(kind.to_internal_repr(trial.params[n])) for n, kind in self._kinds.items())
                self._rows[trial.number] = row
                self._taken.add(row)
        table = np.array([self._rows[trial.number] for trial in trials]).reshape(
            len(trials), len(self._kinds)
        )
        places = {name: place for place, name in enumerate(self._kinds)}
        return {name: table[:, places[name]] for name in space}

    def without_taken(self, samples: Mapping[str, np.ndarray], merits: np.ndarray) -> np.ndarray:
        """The candidates' merits; lowest for those that a trial has, unless all are such.

        Args:
            samples: name → a number for each candidate.
            merits: of the candidates, large ones being better.
        """
        rows = zip(*(samples[name].tolist() for name in self._kinds), strict=True)
        taken = np.array([row in self._taken for row in rows])
        return merits if taken.all() else np.where(taken, -np.inf, merits)
