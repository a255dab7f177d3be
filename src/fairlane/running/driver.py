"""The driver: lets an engine run jobs, writes what happens to the store, and holds the policy.

In: jobs, and the store of their study. Out: rows and weights in the store; orders for the engine; errors,
where these were requested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fairlane.engines.contract import NOT_YET, Declined, EngineEvent, Feed, ForkRefused, Idle, Job, Nothing
from fairlane.engines.resources import Resources
from fairlane.errors import FairlaneWarning, LanesError, StudyError, TrialError
from fairlane.kit.call_sites import caller, warn_at
from fairlane.models.session import left_as_found
from fairlane.results.study import Study
from fairlane.running.budget import Budget, BudgetSpent
from fairlane.running.choosing import engine_for
from fairlane.running.evaluation import evaluate, evaluate_together
from fairlane.running.interrupts import heeded
from fairlane.running.jobs import PlannedFeed
from fairlane.running.policy import EverybodyGoesOn, OrderBook, Policy
from fairlane.running.unwritten import explained
from fairlane.store import Record, Store, next_epoch
from fairlane.trials import (
    EpochEnded,
    Event,
    ModelDescribed,
    Tested,
    Trial,
    TrialDone,
    TrialFailed,
    TrialState,
)

if TYPE_CHECKING:
    from fairlane.engines.pool.crew import Crew
    from fairlane.running.sharing import Sharing


class _Limited:
    """A feed that gives no job any more once a budget is spent."""

    def __init__(self, feed: Feed, budget: Budget | None) -> None:
        self._feed, self._budget = feed, budget

    def next(self) -> Job | Nothing:
        """The next job."""
        spent = self._budget is not None and self._budget.spent
        return NOT_YET if spent else self._feed.next()


class Driver:
    """Lets an engine run jobs, and writes what happens to the store.

    Args:
        store: of the study.
        engine: ``"auto"``, ``"lanes"`` or ``"reference"``.
        on_error: ``"record"`` or ``"raise"``.
        study: goes with the errors; None where there is none.
        show: gets each trial's record when it has changed.
        track: gets each event with its record, for trackers.
        policy: decides who trains on; by default everybody does.
        budget: how long training may take; None where there is no limit.
        crew: the workers that train; None where this process does.
        sharing: gives the jobs that are this process's, where several train the study; else None.
    """

    def __init__(
        self,
        store: Store,
        engine: str,
        on_error: str,
        study: Study | None,
        show: Callable[[Record], None],
        track: Callable[[Event, Record], None] | None = None,
        policy: Policy | None = None,
        budget: Budget | None = None,
        crew: Crew | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self._crew, self._sharing = crew, sharing
        self._store, self._engine, self._on_error = store, engine, on_error
        self._study, self._show, self._track = study, show, track
        self._budget = budget
        self._policy: Policy = policy or EverybodyGoesOn()
        self._orders = OrderBook(self._policy.standing, lambda: budget is not None and budget.spent)
        self._failure: TrialFailed | None = None
        self._taken_when_idle = -1
        self._warned: set[str] = set()
        self._resources = Resources()

    def run(self, jobs: Sequence[Job], resources: Resources, interruptible: bool) -> None:
        """Run jobs to their end; as `run_feed`.

        Args:
            jobs: what to run.
            resources: what they name by a key.
            interruptible: whether Ctrl-C ends it with a warning instead of ``KeyboardInterrupt``.
        """
        self.check(jobs, resources)
        feed = PlannedFeed(jobs, self._store.checkpoint) if self._sharing is None else self._sharing
        self.run_feed(feed, resources, interruptible)

    def check(self, jobs: Sequence[Job], resources: Resources) -> None:
        """Refuse, before they begin, jobs that must run on lanes and can't, or can't go to workers.

        Raises:
            StudyError: what can't go where it must.
            LanesError: lanes were chosen.
        """
        self._resources = resources
        if self._crew is not None:
            from fairlane.engines.pool.goods import check_travels

            check_travels(jobs, resources)
        for job in jobs:
            if job.reason:
                self._check_declined(job, job.reason)

    def run_feed(self, feed: Feed, resources: Resources, interruptible: bool) -> None:
        """Run the jobs of a feed to their end.

        Args:
            feed: gives what to run.
            resources: what they name by a key.
            interruptible: whether Ctrl-C ends it with a warning instead of ``KeyboardInterrupt``.
        """
        self._resources = resources
        engine = engine_for(self._engine, resources, self._crew)
        source = engine.run(_Limited(feed, self._budget), self._orders)
        if self._sharing is not None:
            source = self._sharing.through(source)
        try:
            with left_as_found(), heeded(terminate=self._sharing is not None) as check_interrupted:
                for event in source:
                    self._take(event)
                    check_interrupted()
                self._orders.check_none_is_left()
        except TrialError as error:
            source.close()
            self._take_unreported(engine.unreported())
            self._store.interrupt(diverged=None if self._failure is not None else error.trial)
            raise
        except (BudgetSpent, KeyboardInterrupt) as why:
            source.close()
            self._take_unreported(engine.unreported())
            self._store.interrupt()
            if isinstance(why, KeyboardInterrupt) and not interruptible:
                raise
            warn_at(
                caller(),
                str(why)
                if isinstance(why, BudgetSpent)
                else "interrupted: the study has all finished epochs; trials that did not finish are "
                "marked 'interrupted'",
                FairlaneWarning,
            )
        finally:
            source.close()

    def test(self, study: Study, trials: Sequence[Trial], test_data: Any, batch_size: int | None) -> None:
        """Evaluate every finished trial's model on the test data: together, else one after another.

        After Ctrl-C, before it or during it, the rest is left untested.

        Args:
            study: whose trials have ended.
            trials: which of them to evaluate.
            test_data: as `compare` takes it.
            batch_size: of the trials, where their hyperparameters do not say.
        """
        records = [self._store[trial] for trial in trials]
        if any(record.state is TrialState.INTERRUPTED for record in records):
            return
        done = [r.trial for r in records if r.state is TrialState.DONE]
        try:
            with left_as_found():
                sizes = [trial.variant.fit_arguments.get("batch_size", batch_size) for trial in done]
                alone = self._engine == "reference"
                together = {} if alone else evaluate_together(study, done, test_data, sizes)
                for trial, size in zip(done, sizes, strict=True):
                    known = together.get(trial)
                    self._write(known or evaluate(trial, partial(study.model, trial), test_data, size))
        except KeyboardInterrupt:
            warn_at(
                caller(),
                "interrupted while evaluating on test_data: trials without a test value were not evaluated",
                FairlaneWarning,
            )

    def raise_first_failure(self) -> None:
        """Raise the first failure, where there was one."""
        if self._failure is not None:
            raise self._error(self._failure) from self._failure.exception

    def _take_unreported(self, events: Sequence[Event]) -> None:
        """Write what an engine that was closed did not report, as far as it is not written."""
        for event in events:
            record = self._store[event.trial]
            written = isinstance(event, EpochEnded) and event.epoch < next_epoch(record)
            if not (written or record.state.ended):
                record = self._store.write(event)
                self._show(record)
                if self._track is not None and isinstance(event, EpochEnded):
                    self._track(event, record)

    def _check_declined(self, job: Job, reason: str) -> None:
        """Refuse what must run on lanes, and can't.

        Raises:
            StudyError: it has a generator, which other trials read too.
            LanesError: lanes were chosen.
        """
        parts = self._resources.data_of(job).parts
        if parts is not None and parts.once and len(self._store) > 1:
            raise StudyError(
                f"{job.trial} can't run on lanes: {reason}. The data have a generator, which only lanes "
                "can read together; give arrays, or a keras.utils.PyDataset"
            )
        if self._engine == "lanes":
            raise LanesError(
                f"{job.trial} can't run on lanes: {reason}. With engine='auto' it runs on the reference "
                "engine, which calls Model.fit"
            )

    def _take(self, event: EngineEvent) -> None:
        """Do what an event asks for, and let the policy decide what follows from it."""
        match event:
            case Declined():
                self._check_declined(event.job, event.reason)
            case ForkRefused():
                raise StudyError(f"{event.job.trial} can't begin: it can't be forked: {event.reason}")
            case ModelDescribed():
                self._store.describe(event.trial, event.description)
            case Idle():
                pass
            case _:
                self._write(event)
        if self._budget is not None:
            self._budget.note(event)
            if isinstance(event, Idle) and self._budget.spent:
                raise BudgetSpent(
                    f"the budget of {self._budget.words} is spent: trials that are not trained to their end "
                    "are marked 'interrupted', and compared after equal epochs. In a store, the same call "
                    "continues them"
                )
        others_train = isinstance(event, Idle) and self._sharing is not None and self._sharing.wait()
        ordered = self._orders.give(self._policy.after(event))
        if others_train:
            return
        if isinstance(event, TrialDone | TrialFailed):  # a policy may have begun others with the same data
            self._resources.release(event.trial)
        stuck, self._taken_when_idle = self._orders.taken == self._taken_when_idle, -1
        if isinstance(event, Idle):
            self._taken_when_idle = self._orders.taken
        if isinstance(event, Idle) and (stuck or not ordered):
            waiting = ", ".join(map(str, event.waiting)) or "none"
            raise StudyError(
                "nothing can be trained any more: no job is left to begin, and the trials that wait for an "
                f"order got none ({waiting})"
            )

    def _write(self, event: Event) -> None:
        event = explained(event) if isinstance(event, TrialFailed) else event
        record = self._store.write(event)
        self._show(record)
        if self._track is not None:
            self._track(event, record)
        if isinstance(event, EpochEnded) and record.error and len(record.epochs) == 1:
            self._warn_of_missing(event.trial)
        if isinstance(event, TrialFailed) and self._failure is None:
            self._failure = event
        if self._on_error != "raise":
            return
        if isinstance(event, Tested) and event.error:
            raise TrialError(f"{event.trial}: {record.error}", event.trial, self._study)
        if isinstance(event, TrialFailed):
            raise self._error(event) from event.exception
        if isinstance(event, EpochEnded) and record.error:
            raise TrialError(f"{event.trial} diverged: {record.error}", event.trial, self._study)

    def _warn_of_missing(self, trial: Trial) -> None:
        """Warn, once, of data with missing values on which the loss is not finite from the beginning."""
        missing = self._resources.missing(trial)
        if missing and missing not in self._warned:
            self._warned.add(missing)
            warn_at(
                caller(),
                f"the loss of {trial} is not finite from its first epoch on, as in Keras alone: {missing}. "
                "Drop or fill these values, or give a loss that leaves them out; else no trial learns from "
                "these data",
                FairlaneWarning,
            )

    def _error(self, event: TrialFailed) -> TrialError:
        where = "before its first epoch" if event.epoch is None else f"in epoch {event.epoch + 1}"
        return TrialError(f"{event.trial} failed {where}: {event.error}", event.trial, self._study)
