"""The lanes engine for sessions on another backend than JAX: the work is done in a worker process.

In: a feed of jobs. Out: their events, as `fairlane.engines.lanes.LanesEngine` yields them. Each model is
built here, on the session's own backend; its values go to the worker, which builds it again on JAX, trains it
in lanes and returns the trained values. What can't travel, or does not run on JAX, comes back as `Declined`.
"""

from __future__ import annotations

import os
import queue
import time
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fairlane.engines.contract import (
    OVER,
    Declined,
    EngineEvent,
    Feed,
    Fork,
    ForkRefused,
    GoOn,
    Idle,
    Job,
    Nothing,
    Orders,
    Stop,
)
from fairlane.engines.eligibility import Unsuitable
from fairlane.engines.lanes.roster import ENGINE, failed
from fairlane.engines.resources import Resources
from fairlane.engines.workers import messages, process
from fairlane.engines.workers.packing import Common as CommonObject
from fairlane.engines.workers.packing import Packing, Sent, unpickled
from fairlane.engines.workers.parcel import Parcel, Segments, Slots
from fairlane.engines.workers.process import Process, WorkerDied
from fairlane.engines.workers.settings import custom_objects, search_path, settings_here
from fairlane.errors import FairlaneWarning
from fairlane.kit.call_sites import caller, warn_at
from fairlane.models.variables import write_state
from fairlane.trials import EpochEnded, Event, State, Trial, TrialDone, TrialFailed, TrialStarted, Weights

_SECONDS_TO_STOP, _SECONDS_TO_KEEP = 5.0, 60.0
"""How long a run that is broken off may take to end its epochs before the worker is ended by force; and how
long where it is to hand back the caller's own models."""


class WorkersEngine:
    """Runs every job that lanes can run, in the worker process; others come back as `Declined`.

    Args:
        resources: what jobs name by a key.
    """

    name = ENGINE

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def run(self, feed: Feed, orders: Orders) -> Generator[EngineEvent]:
        """Run every job of the feed that lanes can run; see `fairlane.engines.contract.Engine`."""
        run = _Run(feed, orders, self._resources)
        try:
            yield from run.through()
        finally:
            run.close()

    def unreported(self) -> Sequence[Event]:
        """Nothing: what the worker had not reported is lost with it."""
        return ()


class _One:
    """A feed of one job."""

    def __init__(self, job: Job) -> None:
        self._job: Job | None = job

    def next(self) -> Job | Nothing:
        job, self._job = self._job, None
        return OVER if job is None else job


class _Run:
    """One run of the engine: a round with a worker, and more where it dies."""

    def __init__(self, feed: Feed, orders: Orders, resources: Resources) -> None:
        self._feed, self._orders = feed, orders
        self._alone: deque[Job] = deque()
        self._deaths: dict[Trial, int] = {}
        self._segments = Segments()
        self._packing = Packing(resources, self._segments)
        self._process: Process | None = None
        self._running = False
        self._replaced = False
        self._without = ""
        """Why there can be no worker; empty where there can."""
        self._over = False
        self._ready: Sent | None = None
        self._going: dict[int, Sent] = {}
        self._loaded: list[Parcel] = []
        self._known: set[int] = set()

    def close(self) -> None:
        """Leave the worker idle, or end it; unlink all shared memory."""
        try:
            if self._process is not None and self._running:
                with suppress(WorkerDied, queue.Empty):
                    self._break_off(self._process)
        finally:
            if self._process is not None:  # still in the midst of something
                self._process.kill()
                self._process = None
            self._segments.close()

    def through(self) -> Generator[EngineEvent]:
        """Take rounds until all is done."""
        while True:
            yield from self._prepare(self._feed)
            if self._ready is not None:
                yield from self._round(self._feed)
            elif self._alone:  # what was on a worker that died is tried once more at the end, one by one
                yield from self._round(_One(self._alone.popleft()))
            elif self._over:
                return
            else:
                yield Idle()

    def _round(self, feed: Feed) -> Generator[EngineEvent]:
        """One run of the lanes engine in the worker."""
        try:
            yield from self._prepare(feed)
            if self._ready is None:
                return
            self._process = process.borrow()
            self._known.clear()
            self._process.send(self._begin())
            self._running = True
            yield from self._listen(self._process, feed)
        except WorkerDied as death:
            yield from self._bury(death)
        else:
            self._running = False
            process.give_back(self._process)
            self._process = None

    def _listen(self, worker: Process, feed: Feed) -> Generator[EngineEvent]:
        while True:
            message = worker.receive()
            if isinstance(message, messages.OWN):
                _pass_on(message)
                continue
            while self._loaded:  # the run goes on only when it has copied what it was sent
                self._segments.release(self._loaded.pop())
            match message:
                case messages.Wanted():
                    yield from self._prepare(feed)
                    self._hand_over(worker, feed)
                case messages.Happened():
                    yield self._event(message)
                case messages.Refused():
                    yield self._refused(message)
                case messages.Asked():
                    yield from self._answer(worker, message)
                case messages.Waiting():
                    yield Idle(tuple(self._going[n].job.trial for n in message.numbers))
                    worker.send(messages.Awake())
                case messages.Over():
                    yield from self._left_over(message.error)
                    return
            yield from self._prepare(feed)  # while the worker is busy

    def _answer(self, worker: Process, asked: messages.Asked) -> Iterator[EngineEvent]:
        """Pass orders on to the worker."""
        trials = {self._going[n].job.trial: n for n in asked.numbers if n in self._going}
        given: list[tuple[int, bool]] = []
        for order in self._orders.take(trials):
            if isinstance(order, Fork):
                yield ForkRefused(order.job, "it trains in a worker process, which gives no copies")
            elif isinstance(order, GoOn | Stop):
                given.append((trials[order.trial], isinstance(order, Stop)))
        worker.send(messages.Ordered(tuple(given)))

    # --- sending ------------------------------------------------------------------------------------

    def _begin(self) -> messages.Begin:
        parcel, custom = self._pack(settings_here()), custom_objects(self._pack)
        return messages.Begin(self._orders.standing, os.getcwd(), search_path(), parcel, custom)

    def _pack(self, value: Any) -> Parcel:
        parcel = self._segments.pack(value)
        self._loaded.append(parcel)
        return parcel

    def _hand_over(self, worker: Process, feed: Feed) -> None:
        sent, self._ready = self._ready, None
        if sent is None:
            over = self._over or feed is not self._feed
            worker.send(messages.NoMore() if over else messages.NotYet())
            return
        self._going[sent.work.number] = sent
        for common in sent.common:
            if common.number not in self._known:
                self._known.add(common.number)
                worker.send(messages.Common(common.number, self._taken(common)))
        self._loaded.append(sent.work.parcel)
        worker.send(sent.work)

    def _taken(self, common: CommonObject) -> Parcel:
        """The parcel of an object; packed again for a second worker."""
        if common.parcel is None:
            return self._pack(common.value)
        parcel, common.parcel = common.parcel, None
        self._loaded.append(parcel)
        return parcel

    def _prepare(self, feed: Feed) -> Generator[EngineEvent]:
        """Make the next job that can travel ready, if none is."""
        while self._ready is None:
            job = feed.next()
            if not isinstance(job, Job):
                self._over |= job is OVER and feed is self._feed
                return
            if self._without or job.phases:
                yield Declined(job, self._without or "a worker process can't train in several phases")
                continue
            try:
                self._ready = self._packing.made_ready(job)
            except Unsuitable as reason:
                yield Declined(job, str(reason))
            except Exception as error:
                yield failed(job, None, error, 0.0)
            else:
                if self._ready.described is not None:
                    yield self._ready.described

    # --- receiving ----------------------------------------------------------------------------------

    def _event(self, happened: messages.Happened) -> Event:
        """The event as this session's driver is to see it."""
        sent = self._going[happened.number]
        trial = sent.job.trial
        match happened.event:
            case TrialStarted() as event:
                sent.begin_history()
                return replace(event, trial=trial)
            case EpochEnded() as event:
                sent.note_epoch(event)
                return replace(event, trial=trial)
            case TrialDone() as event:
                assert happened.slots is not None
                trained = self._weights(sent, happened.slots)
                if sent.model is not None:
                    write_state(sent.model, trained)
                sent.remind_callbacks(happened.callbacks)
                self._forget(sent)
                return replace(event, trial=trial, weights=trained if sent.model is None else None)
            case TrialFailed() as event:
                if sent.model is not None and happened.slots is not None:
                    write_state(sent.model, self._weights(sent, happened.slots))
                self._forget(sent)
                return replace(event, trial=trial, exception=unpickled(happened.exception))
            case event:
                raise TypeError(f"a worker does not report a {type(event).__name__}")

    def _weights(self, sent: Sent, slots: Slots) -> Weights:
        """The state in a trial's slots."""
        return Weights(State.of_flat(self._segments.read(slots), sent.work.groups), sent.layers)

    def _refused(self, refused: messages.Refused) -> Declined:
        sent = self._going[refused.number]
        self._forget(sent)
        reason = refused.reason
        if refused.error:
            foreign = refused.foreign or next(iter(sorted(sent.foreign)), "")
            if foreign:
                what = "model" if sent.model_travels else "builder"
                reason = f"the {what} uses {foreign}, and lanes run on JAX ({reason})"
            else:
                reason = f"on JAX, in the worker process, it fails before training ({reason})"
        return Declined(sent.job, reason)

    def _forget(self, sent: Sent) -> None:
        self._going.pop(sent.work.number, None)
        self._segments.release(sent.work.slots)
        self._segments.release(sent.work.parcel)

    # --- endings ------------------------------------------------------------------------------------

    def _left_over(self, error: str) -> Generator[EngineEvent]:
        """Jobs that the worker took and does not speak of any more, because its engine raised."""
        for sent in list(self._going.values()):
            self._forget(sent)
            yield Declined(sent.job, f"the worker process could not continue ({error})")

    def _bury(self, death: WorkerDied) -> Generator[EngineEvent]:
        """The worker has died: what it had is tried once more, each trial by itself."""
        had_worked = self._process is not None and self._process.ready
        if self._process is not None:
            self._process.kill()
        self._process, self._running = None, False
        lost = list(self._going.values())
        again: list[Job] = []
        for sent in lost:
            self._forget(sent)
            trial = sent.job.trial
            self._deaths[trial] = self._deaths.get(trial, 0) + 1
            if self._deaths[trial] > 1:
                text = f"the worker process died twice with this trial: {death}"
                yield TrialFailed(trial, None, text, f"{text}\n")
            else:
                again.append(sent.job)
        self._alone += again
        if again:
            warn_at(caller(), _obituary(death, again), FairlaneWarning)
        if not lost and had_worked and not self._replaced:
            self._replaced = True  # it may have been killed while it waited for work
        elif not lost:  # it died before it took a job, so another would too
            self._without = f"there is no worker process to train it on JAX: {death}"
            waiting = [*([] if self._ready is None else [self._ready.job]), *self._alone]
            self._ready = None
            self._alone.clear()
            for job in waiting:
                yield Declined(job, self._without)

    def _break_off(self, worker: Process) -> None:
        """Ask the worker to stop, and take what it has learned into the caller's own models."""
        in_place = any(sent.model is not None for sent in self._going.values())
        deadline = time.monotonic() + (_SECONDS_TO_KEEP if in_place else _SECONDS_TO_STOP)
        worker.send(messages.Stop())
        while not isinstance(message := worker.receive(max(0.0, deadline - time.monotonic())), messages.Over):
            if isinstance(message, messages.Happened):
                self._event(message)
            elif isinstance(message, messages.Kept):
                sent = self._going[message.number]
                write_state(sent.model, self._weights(sent, message.slots))
        process.give_back(worker)
        self._process = None


def _pass_on(message: Any) -> None:
    """What the trials' code prints and warns of."""
    if isinstance(message, messages.Printed):
        print(message.text, end="")
    elif isinstance(message, messages.Warned):
        warning = unpickled(message.warning)
        if warning is not None:
            warnings.warn_explicit(*warning)


def _obituary(death: WorkerDied, jobs: Sequence[Job]) -> str:
    listed = ", ".join(str(job.trial) for job in jobs[:5])
    more = f" and {len(jobs) - 5} more" if len(jobs) > 5 else ""
    return (
        f"the worker process that trains for this session died: {death}. {listed}{more} had begun, and will "
        "each begin again by itself, once"
    )
