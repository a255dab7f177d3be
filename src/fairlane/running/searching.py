"""A search while it runs: the feed and the policy of its trials.

In: a `fairlane.searching.course.Course`, which decides, and the events of the engine. Out: jobs as variants
begin, and orders at the ends of epochs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fairlane.engines import phases
from fairlane.engines.contract import (
    NOT_YET,
    OVER,
    EngineEvent,
    GoOn,
    Job,
    Nothing,
    Order,
    Stop,
)
from fairlane.results.pareto import COUNTED
from fairlane.running.objectives import Objectives
from fairlane.searching.course import Course
from fairlane.searching.steps import Begin, Confirm, End, TrainTo
from fairlane.store import Decision, Record, Store, next_epoch
from fairlane.trials import (
    EpochEnded,
    Trial,
    TrialDone,
    TrialFailed,
    TrialStarted,
    TrialState,
    Variant,
)

Replicate = tuple[int, int | None]
"""A seed, and the number of a fold; None where there are no folds."""

Enlist = Callable[[Sequence[Trial], Sequence[float], int], tuple[list[Trial], list[Job]]]
"""Planned trials, how many epochs each will probably get, and how many more are expected → the trials as
their store numbers them, and a job for each that is not trained yet."""


class StoredLog:
    """The decisions of a search, in its study's store.

    Args:
        store: of the study.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made = {one.about: one.content for one in store.decisions()}

    def find(self, *about: Any) -> Mapping[str, Any] | None:
        """The decision about something; None where there is none."""
        return self._made.get(about)

    def add(self, *about: Any, **content: Any) -> None:
        """Record a decision."""
        self._made[about] = content
        self._store.decide(Decision(about, content))


class Search:
    """The feed and the policy of a search.

    Args:
        course: decides.
        store: of the study.
        objectives: what is looked for.
        replicates: the seed and the fold of each variant's trials.
        fresh: the same of those that are trained again.
        epochs: the most that a trial gets.
        fit_names: the hyperparameters that are arguments of ``Model.fit``.
        enlist: makes trials and jobs of variants that begin.
        standing: whether no trial ever waits for a decision.
        log: of the decisions.
        count: how many parameters of a trial's model are trained; None where its builder raises.

    Attributes:
        trials: all that have begun, in order.
    """

    def __init__(
        self,
        course: Course,
        store: Store,
        objectives: Objectives,
        replicates: Sequence[Replicate],
        fresh: Sequence[Replicate],
        epochs: int,
        fit_names: Iterable[str],
        enlist: Enlist,
        standing: bool,
        log: StoredLog,
        count: Callable[[Trial], int | None],
    ) -> None:
        self._course, self._store, self._objectives = course, store, objectives
        self._replicates, self._fresh, self._epochs = replicates, fresh, epochs
        self._fit_names, self._enlist = frozenset(fit_names), enlist
        self.standing = standing
        self._log, self._count = log, count
        self.trials: list[Trial] = []
        self._variants: dict[int, list[Record]] = {}
        self._given: dict[int, Mapping[str, Any]] = {}
        self._allowed: dict[int, float] = {}
        self._jobs: deque[Job] = deque()
        self._held: dict[int, list[Job]] = {}
        self._waiting: dict[int, Trial] = {}
        self._number_of: dict[int, int] = {}
        self._parameters: dict[int, float] = {}
        self._confirming: set[int] = set()
        self._ended: set[int] = set()

    def begin(self) -> None:
        """Let the first variants begin, and replay what the store has of an earlier run."""
        self._advance()

    def _advance(self) -> None:
        while steps := self._course.advance(self):
            self._take(steps)

    # --- the feed ---

    def next(self) -> Job | Nothing:
        """The next job."""
        if not self._jobs:
            return OVER if self._course.over else NOT_YET
        job = self._jobs.popleft()
        return job if job.pace is None else phases.resumed(job, self._store.checkpoint(job.trial))

    # --- the policy ---

    def after(self, event: EngineEvent) -> Iterable[Order]:
        """The orders that follow from an event."""
        if isinstance(event, TrialStarted):  # perhaps again, on another engine or worker
            self._waiting.pop(id(event.trial), None)
        if not isinstance(event, EpochEnded | TrialDone | TrialFailed):
            return ()
        trial = event.trial
        if isinstance(event, EpochEnded):
            self._objectives.check(self._store[trial])
            self._waiting[id(trial)] = trial
        else:
            self._waiting.pop(id(trial), None)
        before = self._course.ticks
        self._advance()
        if self.standing:
            return []
        # Between two ticks of its clock, the course decides nothing about others.
        concerned = [trial] if self._course.ticks == before else list(self._waiting.values())
        return list(self._orders(one for one in concerned if id(one) in self._waiting))

    def _orders(self, waiting: Iterable[Trial]) -> Iterable[Order]:
        for trial in waiting:
            number = self._number_of[id(trial)]
            if self._is_ended(trial):
                order: Order = Stop(trial)
            elif next_epoch(self._store[trial]) < self._allowed_of(trial, number):
                order = GoOn(trial)
            else:
                continue
            del self._waiting[id(trial)]
            yield order

    def _allowed_of(self, trial: Trial, number: int) -> float:
        if id(trial) in self._confirming:
            return math.inf
        allowed = self._allowed[number]
        # After the last epoch, an order lets it end.
        return min(allowed if allowed < self._epochs else math.inf, self._reach(number))

    def _reach(self, number: int) -> float:
        """How many epochs a variant's trials may have by now, for the sake of those beside them."""
        return self._course.reach(number)

    # --- what the course asks for ---

    def _take(self, steps: Sequence[Begin | TrainTo | End | Confirm]) -> None:
        begun = [step for step in steps if isinstance(step, Begin)]
        if begun:
            self._begin(begun)
        for step in steps:
            match step:
                case TrainTo():
                    self._allowed[step.variant] = step.epochs
                    self._release(step.variant)
                case End():
                    self._end(step.variant)
                case Confirm():
                    self._confirm(step.variants)

    def _begin(self, steps: Sequence[Begin]) -> None:
        planned, expected = [], []
        for step in steps:
            expected += [self._course.expected(step.variant)] * len(self._replicates)
            self._given[step.variant] = step.hyperparameters
            variant = self._variant(step.variant)
            planned += [Trial(0, variant, *one) for one in self._replicates]
        trials = self._enlisted(planned, expected, self._course.left() * len(self._replicates))
        for i, step in enumerate(steps):
            own = trials[i * len(self._replicates) : (i + 1) * len(self._replicates)]
            records = self._variants[step.variant] = [self._store[trial] for trial in own]
            for record in records:
                if record.epochs:  # of an earlier run
                    self._objectives.check(record)
            self._number_of |= {id(trial): step.variant for trial in own}
            if self._objectives.counts:
                self._count_parameters(step.variant)

    def _variant(self, number: int) -> Variant:
        given = self._given[number]
        return Variant(number, given, {k: v for k, v in given.items() if k in self._fit_names})

    def _enlisted(self, planned: list[Trial], expected: Sequence[float], later: int) -> list[Trial]:
        first = len(self.trials)
        planned = [replace(one, number=first + i) for i, one in enumerate(planned)]
        trials, jobs = self._enlist(planned, expected, later)
        self.trials += trials
        for job in jobs:
            self._held.setdefault(id(job.trial), []).append(job)
        return trials

    def _release(self, variant: int) -> None:
        """Let the jobs of a variant come that have something to train."""
        for record in self._variants[variant]:
            if next_epoch(record) < self._allowed[variant] or self._allowed[variant] >= self._epochs:
                self._jobs.extend(self._held.pop(id(record.trial), ()))

    def _end(self, variant: int) -> None:
        """End a variant's trials; those whose process ended while they waited have no epoch to train."""
        self._ended.add(variant)
        for record in self._variants[variant]:
            if self._held.pop(id(record.trial), None):
                self._write_end(record)

    def _write_end(self, record: Record) -> None:
        """End a trial that no lane has, with the weights that were saved, if they are its last."""
        trial, epoch = record.trial, next_epoch(record)
        checkpoint = self._store.checkpoint(trial)
        weights = checkpoint.weights if checkpoint and checkpoint.epoch == epoch else None
        self._store.write(TrialStarted(trial, record.engine, epoch=epoch))
        self._store.write(TrialDone(trial, record.seconds, weights, stopped=True))

    def _is_ended(self, trial: Trial) -> bool:
        """Whether a rule has ended the trial."""
        return self._number_of[id(trial)] in self._ended and id(trial) not in self._confirming

    def _confirm(self, variants: Sequence[int]) -> None:
        planned = []
        for number in variants:
            numbered = self._variants[number][0].trial.variant
            planned += [Trial(0, numbered, *one) for one in self._fresh]
        trials = self._enlisted(planned, [self._epochs] * len(planned), 0)
        for trial in trials:
            self._confirming.add(id(trial))
            self._number_of[id(trial)] = trial.variant.number
            self._jobs.extend(self._held.pop(id(trial), ()))

    # --- what the course knows ---

    def epochs(self, variant: int) -> int:
        """How many epochs all of a variant's trials have, of those that have not ended."""
        if variant not in self._variants:
            return 0
        records = self._variants[variant]
        running = [record for record in records if not _has_ended(record)]
        found = [next_epoch(record) for record in running or records]
        return min(found) if running else max(found)

    def ended(self, variant: int) -> bool:
        """Whether all of a variant's trials have ended by themselves."""
        return variant in self._variants and all(map(_has_ended, self._variants[variant]))

    def can_go_on(self, variant: int) -> bool:
        """Whether no rule has ended one of its trials, in an earlier run."""
        return all(record.state is not TrialState.STOPPED for record in self._variants[variant])

    def values(self, variant: int, epochs: int) -> tuple[float, ...]:
        """The objectives after so many epochs."""
        return self._objectives.values(self._variants[variant], epochs, lambda n: self._parameters[n])

    def _count_parameters(self, number: int) -> None:
        """Count the parameters of a variant's model as it begins: a rule may end it before it has weights."""
        past = self._log.find(COUNTED, number)
        if past is None:
            found = self._count(self._variants[number][0].trial)
            self._log.add(COUNTED, number, count=found)
        else:
            found = past["count"]
        self._parameters[number] = math.nan if found is None else float(found)


def _has_ended(record: Record) -> bool:
    """A trial that a rule has stopped would have gone on, so it has not."""
    return record.state in (TrialState.DONE, TrialState.DIVERGED, TrialState.FAILED)
