"""The argument ``stop`` of a search → the brackets that variants begin in, and which are stopped early.

In: ``"hyperband"``, ``"halving"``, ``"median"``, one of Optuna's pruners, or None. Out: a `Stopping`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fairlane.errors import StudyError
from fairlane.searching.curves import Curves
from fairlane.searching.rungs import FACTOR, Bracket, halving, hyperband, is_worse_than_median

NAMES = ("hyperband", "halving", "median")


class Stopping:
    """Which variants end before their last epoch. Without a rule of its own, none does.

    Attributes:
        by_epoch: whether it looks at each variant after each epoch.
    """

    by_epoch = False

    def bracket(self, place: int, left: int, epochs: int, learns: bool) -> Bracket:
        """The bracket that the next variants begin in.

        Args:
            place: how many brackets came before.
            left: how many variants are still to begin.
            epochs: the most that a variant gets.
            learns: whether proposals depend on results, so that small brackets teach more.
        """
        return Bracket((left,), (epochs,))

    def ends(self, number: int, curves: Curves, epochs: int) -> bool:
        """Whether a variant is stopped after its newest epoch.

        Args:
            number: the variant's.
            curves: of all variants.
            epochs: the most that a variant gets.
        """
        return False


class Everything(Stopping):
    """Every variant is trained to its last epoch."""


class Hyperband(Stopping):
    """All brackets of Hyperband, again and again, until there are no more variants.

    Args:
        factor: one of so many variants is promoted at a rung.
    """

    def __init__(self, factor: int = FACTOR) -> None:
        self._factor = factor

    def __str__(self) -> str:
        return f"hyperband, factor {self._factor}"

    def bracket(self, place: int, left: int, epochs: int, learns: bool) -> Bracket:
        """The next of Hyperband's brackets; the last one is cut to the variants that are left."""
        table = hyperband(epochs, self._factor)
        return table[place % len(table)].cut(left)


class Halving(Stopping):
    """Successive halving; for a sampler that learns, in brackets that are as small as the rungs allow."""

    def bracket(self, place: int, left: int, epochs: int, learns: bool) -> Bracket:
        """One bracket of all, or the next small one."""
        if not learns:
            return halving(left, epochs)
        size = FACTOR
        while size * FACTOR <= epochs:
            size *= FACTOR
        return halving(min(left, size), epochs)


class Median(Stopping):
    """A variant ends where its best value is worse than the median of the others'."""

    by_epoch = True

    def ends(self, number: int, curves: Curves, epochs: int) -> bool:
        """Whether it is worse than the median."""
        epoch = len(curves.own(number))
        return is_worse_than_median(curves.best(number), curves.bests_of_others(number), epoch, epochs)


class PrunerOfOptuna(Stopping):
    """One of Optuna's pruners, which sees each variant's values until now.

    Args:
        pruner: an ``optuna.pruners.BasePruner``.
        is_large_better: says whether large values are better: then it sees them as they were logged, as a
            bound of its own is about these.

    Raises:
        StudyError: it is one that can't be asked without its earlier answers.
    """

    by_epoch = True

    def __init__(self, pruner: Any, is_large_better: Callable[[], bool] = lambda: False) -> None:
        self._pruner, self._is_large_better = pruner, is_large_better
        kinds = {kind.__name__ for one in _wrapped(pruner) for kind in type(one).__mro__}
        if rungs := kinds & set(_WITH_RUNGS):
            name = min(rungs)
            raise StudyError(
                f"stop={type(pruner).__name__} decides by what it has stored of each variant at its rungs, "
                f"and here it would stop none. Give stop={_WITH_RUNGS[name]!r}, which decides a rung when "
                "all of its variants are there, and continues the best of them exactly"
            )
        self.needs_ended = bool(kinds & _WITH_ENDED)

    def __str__(self) -> str:
        return settings_of(self._pruner)

    def ends(self, number: int, curves: Curves, epochs: int) -> bool:
        """What the pruner decides."""
        import optuna

        from fairlane.searching.optuna_samplers import quietly

        own = curves.own(number)
        if len(own) >= epochs:
            return False
        with quietly(optuna):
            return self._prunes(optuna, own, curves.others(number), epochs)

    def _prunes(
        self, optuna: Any, own: Sequence[float], others: Sequence[Sequence[float]], epochs: int
    ) -> bool:
        large = self._is_large_better()
        storage = optuna.storages.InMemoryStorage()
        direction = "maximize" if large else "minimize"
        study = optuna.create_study(storage=storage, direction=direction, study_name="fairlane")
        states = optuna.trial.TrialState

        def logged(curve: Sequence[float]) -> dict[int, float]:
            return {epoch: -value if large else value for epoch, value in enumerate(curve)}

        for curve in others:
            values, ended = logged(curve), len(curve) >= epochs
            study.add_trial(
                optuna.trial.create_trial(
                    state=states.COMPLETE if ended else states.PRUNED,
                    value=values[len(curve) - 1],
                    intermediate_values=values,
                )
            )
        study.add_trial(optuna.trial.create_trial(state=states.RUNNING, intermediate_values=logged(own)))
        return bool(self._pruner.prune(study, study.get_trials(deepcopy=False)[-1]))


_WITH_RUNGS = {"HyperbandPruner": "hyperband", "SuccessiveHalvingPruner": "halving"}
"""Pruners that store their decisions in Optuna's trials, and what is given in place of them."""
_WITH_ENDED = frozenset({"MedianPruner", "PercentilePruner", "WilcoxonPruner"})
"""Pruners that compare with what was trained to its end."""


def _wrapped(pruner: Any) -> list[Any]:
    """A pruner, and those in it."""
    inner = getattr(pruner, "_wrapped_pruner", None)
    return [pruner, *([] if inner is None else _wrapped(inner))]


def settings_of(one: Any) -> str:
    """A sampler or pruner of Optuna's with its settings; random generators and seeds are not among them.

    Args:
        one: of Optuna's, or a subclass.
    """
    given = sorted(vars(one).items()) if hasattr(one, "__dict__") else []
    settings = [
        f"{name.lstrip('_')}={settings_of(value) if _is_pruner(value) else repr(value)}"
        for name, value in given
        if "seed" not in name and (_is_pruner(value) or isinstance(value, bool | int | float | str | None))
    ]
    return f"{type(one).__name__}({', '.join(settings)})"


def _is_pruner(value: Any) -> bool:
    return callable(getattr(value, "prune", None))


def stopping_of(stop: Any, is_large_better: Callable[[], bool] = lambda: False) -> Stopping:
    """What ``fairlane.search``'s argument ``stop`` stands for.

    Args:
        stop: it.
        is_large_better: says whether large values of the objective are better.

    Raises:
        StudyError: it is none of the possible values.
    """
    if stop is None:
        return Everything()
    if stop == "hyperband":
        return Hyperband()
    if stop == "halving":
        return Halving()
    if stop == "median":
        return Median()
    if isinstance(stop, Stopping):
        return stop
    if _is_pruner(stop) and not isinstance(stop, type):
        return PrunerOfOptuna(stop, is_large_better)
    raise StudyError(
        f"stop must be one of {', '.join(map(repr, NAMES))}, one of Optuna's pruners, or None to train every "
        f"trial to its last epoch; not {stop!r}"
    )
