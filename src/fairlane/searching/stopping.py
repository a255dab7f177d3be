"""The argument ``stop`` of a search → the brackets that variants begin in, and which are stopped early.

In: ``"hyperband"``, ``"halving"``, ``"median"``, one of Optuna's pruners, or None. Out: a `Stopping`.
"""

from __future__ import annotations

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
    """One of Optuna's pruners, which sees each variant's values until now, small ones being better.

    Args:
        pruner: an ``optuna.pruners.BasePruner``.
    """

    by_epoch = True

    def __init__(self, pruner: Any) -> None:
        self._pruner = pruner

    def ends(self, number: int, curves: Curves, epochs: int) -> bool:
        """What the pruner decides."""
        import optuna

        own = curves.own(number)
        if len(own) >= epochs:
            return False
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, direction="minimize", study_name="fairlane")
        states = optuna.trial.TrialState
        for curve in curves.others(number):
            ended = len(curve) >= epochs
            study.add_trial(
                optuna.trial.create_trial(
                    state=states.COMPLETE if ended else states.PRUNED,
                    value=curve[-1],
                    intermediate_values=dict(enumerate(curve)),
                )
            )
        trial = optuna.trial.create_trial(state=states.RUNNING, intermediate_values=dict(enumerate(own)))
        study.add_trial(trial)
        return bool(self._pruner.prune(study, study.get_trials(deepcopy=False)[-1]))


def stopping_of(stop: Any) -> Stopping:
    """What ``fairlane.search``'s argument ``stop`` stands for.

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
    if callable(getattr(stop, "prune", None)):
        return PrunerOfOptuna(stop)
    raise StudyError(
        f"stop must be one of {', '.join(map(repr, NAMES))}, one of Optuna's pruners, or None to train every "
        f"trial to its last epoch; not {stop!r}"
    )
