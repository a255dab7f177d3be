"""The tuners: what is tried, by KerasTuner's names.

In: KerasTuner's arguments. Out: the arguments of `fairlane.search` that say how many trials there are, who
proposes them, and which are stopped.
"""

from __future__ import annotations

from typing import Any

from fairlane.errors import StudyError
from fairlane.kerastuner.tuner import Tuner
from fairlane.searching.rungs import FACTOR, Bracket, hyperband
from fairlane.searching.space import Space
from fairlane.searching.stopping import Hyperband as Rule


class RandomSearch(Tuner):
    """Tries random variants.

    Args:
        hypermodel: as for `Tuner`.
        objective: as for `Tuner`.
        max_trials: how many variants.
        **options: as for `Tuner`.
    """

    def __init__(
        self, hypermodel: Any = None, objective: Any = None, max_trials: int = 10, **options: Any
    ) -> None:
        self.max_trials = max_trials
        super().__init__(hypermodel, objective, **options)

    def _course(self) -> dict[str, Any]:
        return {"trials": self.max_trials, "sampler": "random", "stop": None}


class GridSearch(Tuner):
    """Tries all combinations. Of a range without a step, it takes the default and ten other values.

    Args:
        hypermodel: as for `Tuner`.
        objective: as for `Tuner`.
        max_trials: the most variants; by default all.
        **options: as for `Tuner`.
    """

    _grid = True

    def __init__(
        self, hypermodel: Any = None, objective: Any = None, max_trials: int | None = None, **options: Any
    ) -> None:
        self.max_trials = max_trials
        super().__init__(hypermodel, objective, **options)

    def _course(self) -> dict[str, Any]:
        size = Space(self._translation.space(grid=True)).size or 1
        trials = size if self.max_trials is None else min(size, self.max_trials)
        return {"trials": trials, "sampler": "grid", "stop": None}


class BayesianOptimization(Tuner):
    """Proposes variants by a Gaussian process, that of Optuna.

    Args:
        hypermodel: as for `Tuner`.
        objective: as for `Tuner`.
        max_trials: how many variants.
        num_initial_points: refused: the first proposals are one wave of a Sobol sequence.
        alpha: refused: the process learns its noise.
        beta: refused: another acquisition function is used.
        **options: as for `Tuner`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        **options: Any,
    ) -> None:
        if num_initial_points is not None or alpha != 1e-4 or beta != 2.6:
            raise StudyError(
                "num_initial_points, alpha and beta belong to KerasTuner's Gaussian process; here it is "
                "Optuna's, which chooses them itself. Leave them out"
            )
        self.max_trials = max_trials
        super().__init__(hypermodel, objective, **options)

    def _course(self) -> dict[str, Any]:
        return {"trials": self.max_trials, "sampler": "gp", "stop": None}


class Hyperband(Tuner):
    """Trains many variants for few epochs, and the best of them for more, in KerasTuner's brackets.

    Args:
        hypermodel: as for `Tuner`.
        objective: as for `Tuner`.
        max_epochs: the most epochs of a variant; those of ``search`` do not count.
        factor: one of so many is promoted.
        hyperband_iterations: how often all brackets are gone through.
        **options: as for `Tuner`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = FACTOR,
        hyperband_iterations: int = 1,
        **options: Any,
    ) -> None:
        for name, value, least in (("factor", factor, 2), ("hyperband_iterations", hyperband_iterations, 1)):
            if not isinstance(value, int) or value < least:
                raise StudyError(f"{name} must be a whole number of at least {least}, not {value!r}")
        self.max_epochs, self.factor, self.hyperband_iterations = max_epochs, factor, hyperband_iterations
        super().__init__(hypermodel, objective, **options)

    @property
    def brackets(self) -> list[Bracket]:
        """The brackets of one iteration."""
        return hyperband(self.max_epochs, self.factor)

    def _course(self) -> dict[str, Any]:
        trials = self.hyperband_iterations * sum(bracket.sizes[0] for bracket in self.brackets)
        stop = "hyperband" if self.factor == FACTOR else Rule(self.factor)
        return {"trials": trials, "epochs": self.max_epochs, "sampler": "random", "stop": stop}
