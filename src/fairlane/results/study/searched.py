"""A study for those who search: as one of Optuna's, and which hyperparameters matter.

In: the records of a study. Out: `Searched`, the part of a `Study` for searches.
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from fairlane.kit import arguments
from fairlane.results import optuna_study
from fairlane.results.directions import Modes
from fairlane.results.study.base import Base


class Searched(Base):
    """A study in Optuna's words. Both need the extra ``fairlane[optuna]``."""

    @arguments.checked
    def to_optuna(self, storage: Any = None, metric: str | None = None, *, mode: Modes = "auto") -> Any:
        """The study as one of Optuna's, for ``optuna.visualization`` and optuna-dashboard.

        It has a trial per variant: its hyperparameters, the mean over its seeds as its value, the mean curve
        as intermediate values (steps are epochs, counted from 0), and the attributes ``variant``, ``trials``
        and ``seeds``. A variant that a rule has stopped is pruned there, and one with a trial that failed or
        diverged has failed. For a search that was confirmed, the trials of the search count.

        Args:
            storage: a URL such as ``"sqlite:///optuna.db"``, or a storage of Optuna's; by default it stays in
                memory.
            metric: the log whose values the trials have; by default as for `summary`.
            mode: as for `summary`.

        Returns:
            An ``optuna.Study``, of this study's name.

        Raises:
            StudyError: there is no such metric, or the storage has a study of this name.
            StoreError: Optuna is not installed.

        Example:
            >>> found = study.to_optuna(metric="loss")
            >>> len(found.trials), sorted(found.best_params)
            (2, ['learning_rate'])
        """
        name = self._metric(metric)
        return optuna_study.to_optuna(self._searched(), self.name, storage, name, self._mode(mode, name))

    @arguments.checked
    def importance(
        self,
        metric: str | None = None,
        *,
        mode: Modes = "auto",
        method: Literal["fanova", "pedanova"] = "fanova",
        rng: int = 0,
    ) -> pd.DataFrame:
        """How much each hyperparameter matters, as Optuna computes it of the variants trained to their end.

        Source: F. Hutter et al., An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014
        (fANOVA); S. Watanabe et al., PED-ANOVA, IJCAI 2023.

        Args:
            metric: as for `summary`.
            mode: as for `summary`.
            method: which of both; ``"pedanova"`` is about what makes a variant one of the best.
            rng: the seed of fANOVA's forests.

        Returns:
            A data frame with columns ``hyperparameter``, ``importance`` (all of them sum to 1), ``low`` and
            ``high``: the smallest and largest importance that single seeds give, NaN with one seed.

        Raises:
            StudyError: too few variants were trained to their end, or no hyperparameter varies.
            StoreError: Optuna is not installed.

        Example:
            >>> rates = {"learning_rate": [0.1, 0.05, 0.02, 0.01]}
            >>> found = fl.compare(build, rates, x, y, epochs=3, verbose=0)
            >>> found.importance("loss")["hyperparameter"].tolist()
            ['learning_rate']
        """
        name = self._metric(metric)
        return optuna_study.importance(self._searched(), name, self._mode(mode, name), method, rng)
