"""The reference engine: one ``Model.fit`` at a time, in a session of its own.

In: a feed of jobs. Out: their events. What it does for a trial is the contract itself:
``set_random_seed``, build, ``fit``. Every other engine is tested against it.
"""

from __future__ import annotations

import gc
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence

from fairlane.engines import phases
from fairlane.engines.contract import (
    OVER,
    EngineEvent,
    Feed,
    Fork,
    ForkRefused,
    GoOn,
    Idle,
    Job,
    Order,
    Orders,
    Stop,
    forked,
)
from fairlane.engines.reference.fit import Fit
from fairlane.engines.resources import Resources
from fairlane.errors import FairlaneWarning
from fairlane.models.callback_memory.trial_memory import CannotGoOn
from fairlane.trials import Event, Trial, TrialStarted


class ReferenceEngine:
    """Calls ``Model.fit`` for one job after another.

    A trial that is paused keeps its model and stays inside ``fit``, while others are trained.

    Args:
        resources: what jobs name by a key.
    """

    name = "reference"

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._waiting: dict[Trial, Fit] = {}
        self._going: deque[Fit] = deque()
        self._forked: deque[Job] = deque()
        self._current: Fit | None = None
        self._ended = False
        self._latest: Trial | None = None
        self._unreported: list[Event] = []

    def run(self, feed: Feed, orders: Orders) -> Generator[EngineEvent]:
        """Run every job of the feed, one after another; see `fairlane.engines.contract.Engine`."""
        try:
            while True:
                for order in orders.take(self._waiting):
                    yield from self._obey(order)
                if self._going:
                    yield from self._train(self._going.popleft())
                else:
                    job = self._forked.popleft() if self._forked else feed.next()
                    if isinstance(job, Job):
                        yield from self._begin(job)
                    elif job is OVER and not self._waiting:
                        return
                    else:
                        yield Idle(tuple(self._waiting))
                    del job
                if self._ended:
                    self._ended = False
                    gc.collect()  # models are full of cycles; what hundreds of them leave must not pile up
        finally:
            self._leave()

    def unreported(self) -> Sequence[Event]:
        """What a run that was closed before its end did not report."""
        return self._unreported

    def _begin(self, job: Job) -> Iterator[EngineEvent]:
        fit = Fit(job, self._resources)
        started = TrialStarted(job.trial, self.name, job.reason, epoch=fit.first_epoch)
        try:
            if job.forked:  # whether it can take over the state is known when training has begun
                yield from self._train(fit, started)
            else:
                yield started
                yield from self._train(fit)
        except CannotGoOn as why:
            if job.forked:
                yield ForkRefused(job, str(why))
                return
            warnings.warn(
                f"{job.trial} starts again from its first epoch: {why}", FairlaneWarning, stacklevel=2
            )
            yield TrialStarted(job.trial, self.name, job.reason)
            yield from self._train(Fit(phases.first_job(job), self._resources))

    def _train(self, fit: Fit, started: TrialStarted | None = None) -> Iterator[EngineEvent]:
        """Train until the end of an epoch, or of the trial."""
        self._current = fit
        events = fit.go_on()
        yield from events if started is None else [started, *events]
        self._current, self._latest = None, fit.trial
        if fit.ended:
            self._ended = True
        else:
            self._waiting[fit.trial] = fit

    def _obey(self, order: Order) -> Iterator[EngineEvent]:
        fit = self._waiting[order.trial]
        match order:
            case GoOn() | Stop():
                del self._waiting[order.trial]
                fit.stopped = isinstance(order, Stop)
                if fit.trial is self._latest:  # so that one trial is trained to its end, then the next
                    self._going.appendleft(fit)
                else:
                    self._going.append(fit)
            case Fork():
                copy = fit.checkpoint()
                if isinstance(copy, str):
                    yield ForkRefused(order.job, copy)
                else:
                    self._forked.append(forked(order.job, copy))

    def _leave(self) -> None:
        """End every ``fit`` that is under way."""
        left = [self._current, *self._going, *self._waiting.values()]
        for fit in left:
            if fit is not None:
                self._unreported += fit.abandon()
        self._current = None
        self._going.clear()
        self._waiting.clear()
