"""The driver: lets engines run jobs, and writes what they tell to the store.

In: jobs, and the store of their study. Out: rows and weights in the store; errors where they are asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

from fairlane.engines import reference
from fairlane.engines.contract import Declined, Feed, Job
from fairlane.engines.lanes import engine as lanes
from fairlane.errors import FairlaneWarning, LanesError, StudyError, TrialError
from fairlane.models.session import left_as_found
from fairlane.results.study import Study
from fairlane.running.evaluation import evaluate
from fairlane.running.jobs import on_jax
from fairlane.store import Record, Store
from fairlane.trials import EpochEnded, Event, Tested, Trial, TrialFailed, TrialState


class Driver:
    """Lets engines run jobs, and writes what they tell to the store."""

    def __init__(
        self,
        store: Store,
        engine: str,
        on_error: str,
        study: Study | None,
        tell: Callable[[Record], None],
        track: Callable[[Event, Record], None] | None = None,
    ) -> None:
        self._store, self._engine, self._on_error = store, engine, on_error
        self._study, self._tell, self._track = study, tell, track
        self._failure: TrialFailed | None = None
        self._feeds: list[Feed] = []

    def run(self, jobs: Sequence[Job], interruptible: bool) -> None:
        """Run the jobs to their end.

        Args:
            jobs: what to run.
            interruptible: whether Ctrl-C ends it with a warning instead of ``KeyboardInterrupt``.
        """
        source = self._events(jobs)
        try:
            with left_as_found():
                for event in source:
                    self._take(event)
        except TrialError as error:
            source.close()
            self._take_the_rest()
            self._store.interrupt(diverged=None if self._failure is not None else error.trial)
            raise
        except KeyboardInterrupt:
            source.close()
            self._take_the_rest()
            self._store.interrupt()
            if not interruptible:
                raise
            warnings.warn(
                "interrupted: the study holds the epochs that were finished; trials cut off are "
                "marked 'interrupted'",
                FairlaneWarning,
                stacklevel=3,
            )
        finally:
            source.close()

    def test(self, study: Study, trials: Sequence[Trial], test_data: Any, batch_size: int | None) -> None:
        """Evaluate every finished trial's model on the test data, one after another.

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
                for trial in done:
                    size = trial.variant.fit_arguments.get("batch_size", batch_size)
                    self._take(evaluate(trial, partial(study.model, trial), test_data, size))
        except KeyboardInterrupt:
            warnings.warn(
                "interrupted while evaluating on test_data: trials without a test value were not evaluated",
                FairlaneWarning,
                stacklevel=3,
            )

    def raise_first_failure(self) -> None:
        """Raise the first failure, where there was one."""
        if self._failure is not None:
            raise self._error(self._failure) from self._failure.exception

    def _take_the_rest(self) -> None:
        """Write what engines that were closed have left to tell."""
        for event in [event for feed in self._feeds for event in feed.left]:
            if not self._store[event.trial].state.ended:
                record = self._store.write(event)
                self._tell(record)
                if self._track is not None and isinstance(event, EpochEnded):
                    self._track(event, record)

    def _events(self, jobs: Sequence[Job]) -> Generator[Event]:
        left: list[Job] = []
        if self._engine == "reference":
            left += jobs
            for job in jobs:
                job.reason = ""  # it was asked for
        else:
            yield from self._on_lanes(jobs, left)
        yield from reference.run(self._feed(left), self._take)

    def _feed(self, jobs: Sequence[Job]) -> Feed:
        self._feeds.append(Feed(jobs))
        return self._feeds[-1]

    def _on_lanes(self, jobs: Sequence[Job], left: list[Job]) -> Generator[Event]:
        able: list[Job] = []
        for job in jobs:
            if job.reason or job.data is None:
                self._decline(job, job.reason, left)
            else:
                able.append(job)
        if not able:
            return
        source = _lanes()(self._feed(able))
        try:
            for event in source:
                if isinstance(event, Declined):
                    self._decline(event.job, event.reason, left)
                else:
                    yield event
        finally:
            source.close()

    def _decline(self, job: Job, reason: str, left: list[Job]) -> None:
        if job.data is not None and job.data.once:
            if len(self._store) > 1:
                raise StudyError(
                    f"{job.trial} can't run on lanes: {reason}. The data have a generator, which only lanes "
                    "can read together; give arrays, or a keras.utils.PyDataset"
                )
            job.arguments = {**job.arguments, **job.data.again()}
        if self._engine == "lanes":
            raise LanesError(
                f"{job.trial} can't run on lanes: {reason}. With engine='auto' it runs on the reference "
                "engine, which calls Model.fit"
            )
        job.reason = reason
        left.append(job)

    def _take(self, event: Event) -> None:
        record = self._store.write(event)
        self._tell(record)
        if self._track is not None:
            self._track(event, record)
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

    def _error(self, event: TrialFailed) -> TrialError:
        where = "before its first epoch" if event.epoch is None else f"in epoch {event.epoch}"
        return TrialError(f"{event.trial} failed {where}: {event.error}", event.trial, self._study)


def _lanes() -> Callable[[Feed], Generator[Event | Declined]]:
    """The lanes engine: in this process where Keras runs on JAX, else in a worker process of its own."""
    if on_jax():
        return lanes.run
    from fairlane.engines.workers import engine as workers

    return workers.run
