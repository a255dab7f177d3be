"""A study for those who search: by several objectives, as one of Optuna's, and which hyperparameters matter.

In: the records of a study. Out: `Searched`, the part of a `Study` for searches.
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.results import optuna_study
from fairlane.results.directions import Modes
from fairlane.results.pareto import counts, named, pareto
from fairlane.results.searched import objectives as of_search
from fairlane.results.study.base import Base


class Searched(Base):
    """A study by several objectives; and in Optuna's words, which needs the extra ``fairlane[optuna]``."""

    @arguments.checked
    def pareto(self, objectives: Any = None) -> pd.DataFrame:
        """The variants by several objectives, and which of them no other is better than in everything.

        These are on the Pareto front: whoever is better in one objective is worse in another. The variants
        are those of `summary`, so one that a rule has stopped has no row where others were trained to their
        end. A variant with a failed or diverged trial is not on the front. While trials are unfinished, all
        are compared in the last epoch that all of them have, with a warning.

        Args:
            objectives: as ``objective`` of `fairlane.search`: a list of names, each alone or in a pair with
                ``"min"`` or ``"max"``. By default those of the search. ``"parameters"`` is how many
                parameters are trained.

        Returns:
            A data frame with columns ``variant``, the hyperparameters, each objective (the mean over a
            variant's seeds, NaN where there is none) and ``front`` (whether the variant is on the front).
            First those on the front, the best by the first objective on top. ``attrs["objectives"]`` says for
            each whether small values (``"min"``) or large ones (``"max"``) are better.

        Raises:
            StudyError: there are fewer than two objectives, no metric of such a name, or it is not known
                which values of it are better.

        Example:
            >>> found = study.pareto(["loss", "parameters"])
            >>> found[["learning_rate", "parameters", "front"]].values.tolist()
            [[0.1, 3.0, True], [0.01, 3.0, False]]
        """
        frame = self._pareto(objectives)
        self._warn(frame.attrs["notes"])
        return frame

    def _pareto(self, objectives: Any) -> pd.DataFrame:
        searched = {name: (name, None if mode == "auto" else mode) for name, mode in of_search(self._store)}
        given = list(searched.values())
        if objectives is not None:
            pairs = [named(one) for one in (objectives if isinstance(objectives, list) else [objectives])]
            given = [
                searched.get(name, (name, None)) if mode is None else (name, mode) for name, mode in pairs
            ]
        names = [name for name, _ in given]
        if len(set(names)) < max(2, len(names)):
            there = f"only {names[0]!r}" if len(names) == 1 else "two that are the same" if names else "none"
            raise StudyError(
                f"pareto needs two different objectives or more, and there is {there}; give them, such as "
                "study.pareto(['val_loss', 'parameters'])"
            )
        return pareto(self._counting(), given, counts(self._store))

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
