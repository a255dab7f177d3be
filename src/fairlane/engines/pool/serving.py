"""What a worker does: runs of the engines, for the driver at the other end of its line.

In: a line. Out: what happens, as messages. A worker takes jobs as its engines want them, in parts as large as
the lanes are wide, and tells when it has nothing to do.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
import traceback
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import cloudpickle
import keras

from fairlane.engines import contract
from fairlane.engines.contract import (
    NOT_YET,
    OVER,
    Declined,
    Engine,
    EngineEvent,
    ForkRefused,
    Idle,
    Job,
    Nothing,
)
from fairlane.engines.pool import messages
from fairlane.engines.pool.goods import made_here
from fairlane.engines.pool.messages import Begin, Happened, Kind, Sent, plain
from fairlane.engines.pool.packed import close_unused
from fairlane.engines.reference import ReferenceEngine
from fairlane.engines.resources import CallbackMaker, Resources
from fairlane.engines.workers.settings import settle
from fairlane.kit.error_text import one_line
from fairlane.trials import Trial, TrialDone, TrialFailed, Variant

_AT_ONCE_ELSEWHERE = 16
"""How many jobs a worker takes at once that has its lanes in a further process."""


class Line(Protocol):
    """A worker's end of the line to its driver."""

    def send(self, message: Any) -> None:
        """Send a message."""

    def next(self, wait: bool) -> Any:
        """The next message; None where there is none and it is not to be waited for."""


def serve(line: Line) -> None:
    """Serve one driver, for as many runs as it begins."""
    line.send(messages.Ready())
    while True:
        message = line.next(wait=True)
        if isinstance(message, Begin):  # others are what the last run did not wait for
            _Run(line, message).run()
            gc.collect()  # models are full of cycles


class _Feed:
    """Jobs for one engine, as the driver gives them."""

    def __init__(self, run: _Run, kind: Kind, at_once: int) -> None:
        self._run, self._kind, self._at_once = run, kind, at_once
        self._jobs: deque[Job] = deque()
        self._asked = self._answered = False

    def give(self, jobs: Sequence[Job]) -> None:
        """Take in the driver's answer."""
        self._answered = True
        self._jobs.extend(jobs)
        if jobs:
            self._asked = False

    def next(self) -> Job | Nothing:
        """The next job; asks the driver for more where there is none, and waits for its first answer."""
        self._run.take_in_all()
        if not self._jobs and not self._asked and not self._run.finished:
            self._asked, self._answered = True, False
            self._run.line.send(messages.Wants(self._kind, self._at_once))
            while not (self._answered or self._run.finished):
                self._run.take_in(self._run.line.next(wait=True))
        if self._run.finished:
            return OVER
        return self._jobs.popleft() if self._jobs else NOT_YET


class _Orders:
    """Orders, as the driver gives them."""

    def __init__(self, run: _Run, standing: bool) -> None:
        self._run, self.standing = run, standing
        self.closed = False
        self.given: list[contract.Order] = []

    def take(self, waiting: Collection[Trial]) -> Sequence[contract.Order]:
        """The orders for some trials."""
        self._run.take_in_all()
        if self._run.finished or self.closed:
            return ()
        if self.standing:
            return [contract.GoOn(trial) for trial in waiting]
        here = set(waiting)
        taken = [order for order in self.given if order.trial in here]
        self.given = [order for order in self.given if order.trial not in here]
        return taken


class _Run:
    """One run of the engines."""

    def __init__(self, line: Line, begin: Begin) -> None:
        self.line, self._begin = line, begin
        self.finished = False
        self._read = 0
        self._jobs: dict[int, Job] = {}
        self._tickets: dict[Trial, int] = {}
        self._variants: dict[int, Variant] = {}
        self._resources = Resources()
        self._orders = _Orders(self, begin.standing)
        self._feeds: dict[Kind, _Feed] = {}

    def run(self) -> None:
        """Run to the end, and say so."""
        error, left = "", tuple[Happened, ...]()
        try:
            begin = self._begin
            settle(begin.settings.open(), begin.folder, begin.path, begin.custom)
            left = tuple(self._serve())
        except Exception as raised:
            print(traceback.format_exc(), file=sys.stderr)
            error = one_line(raised)
        self.line.send(messages.Over(error, left))

    def _serve(self) -> list[Happened]:
        engines = dict(self._engines())
        sources = [engine.run(self._feeds[kind], self._orders) for kind, engine in engines.items()]
        try:
            while not self.finished:
                before, waiting = self._read, list[Trial]()
                for source in sources:
                    waiting += self._until_idle(source)
                if self._read == before and not self.finished:
                    tickets = tuple(self._tickets[trial] for trial in waiting)
                    self.line.send(messages.Rests(self._read, tickets))
                    self.take_in(self.line.next(wait=True))
        finally:
            for source in sources:
                source.close()
        left = [event for engine in engines.values() for event in engine.unreported()]
        return [self._message(event) for event in left if event.trial in self._tickets]

    def _engines(self) -> Iterator[tuple[Kind, Engine]]:
        if Kind.LANES in self._begin.kinds:
            engine, at_once = _lanes(self._resources, self._begin.threads)
            self._feeds[Kind.LANES] = _Feed(self, Kind.LANES, at_once)
            yield Kind.LANES, engine
        if Kind.REFERENCE in self._begin.kinds:
            self._feeds[Kind.REFERENCE] = _Feed(self, Kind.REFERENCE, 1)
            yield Kind.REFERENCE, ReferenceEngine(self._resources)

    def _until_idle(self, source: Iterator[EngineEvent]) -> Sequence[Trial]:
        """Report what an engine does until it has nothing to do; the trials that then wait."""
        for event in source:
            if isinstance(event, Idle):
                return event.waiting
            self._report(event)
            if self.finished:
                break
        return ()

    # --- what the driver says -----------------------------------------------------------------------

    def take_in_all(self) -> None:
        """Take in what has come."""
        while (message := self.line.next(wait=False)) is not None:
            self.take_in(message)

    def take_in(self, message: Any) -> None:
        """Take in a message."""
        self._read += 1
        match message:
            case messages.BuilderComes():
                self._resources.builders[message.key] = made_here(message.packed, self._arguments)
            case messages.DataCome():
                self._resources.data |= message.packed.open().unpacked(_room())
            case messages.DataGo():
                for key in message.keys:
                    self._resources.data.pop(key, None)
                close_unused()
            case messages.Given():
                self._feeds[message.kind].give([self._job(sent) for sent in message.jobs])
            case messages.Ordered():
                self._orders.given += map(self._order, message.orders)
            case messages.Hold():
                self._orders.closed = message.on
            case messages.Finish():
                self.finished = True

    def _arguments(self, trial: Trial) -> Any:
        return self._resources.data_of(self._jobs[self._tickets[trial]]).arguments

    def _job(self, sent: Sent) -> Job:
        """A job, with its callbacks under its ticket; trials of one variant share it, as in the driver."""
        job: Job = pickle.loads(sent.job)
        variant = self._variants.setdefault(job.trial.variant.number, job.trial.variant)
        trial = replace(job.trial, variant=variant)
        key = "" if sent.callbacks is None else str(sent.ticket)
        if sent.callbacks is not None:
            pickled = sent.callbacks
            self._resources.callbacks[key] = CallbackMaker(lambda _: pickle.loads(pickled))
        checkpoint, opening = (
            None if one is None else replace(one, trial=trial) for one in (job.checkpoint, job.opening)
        )
        job = replace(job, trial=trial, callbacks=key, checkpoint=checkpoint, opening=opening)
        self._jobs[sent.ticket], self._tickets[trial] = job, sent.ticket
        return job

    def _order(self, order: messages.Order) -> contract.Order:
        trial = self._jobs[order.ticket].trial
        if order.fork is not None:
            return contract.Fork(trial, self._job(order.fork))
        return contract.Stop(trial) if order.what == "stop" else contract.GoOn(trial)

    # --- what the driver is told --------------------------------------------------------------------

    def _report(self, event: EngineEvent) -> None:
        match event:
            case Declined():
                ticket, opening = self._forget(event.job.trial), event.job.opening
                sent = None if opening is None else plain(opening)
                self.line.send(messages.Returned(ticket, event.reason, pickled_error(event.error), sent))
            case ForkRefused():
                self.line.send(messages.NoFork(self._forget(event.job.trial), event.reason))
            case Idle():
                raise AssertionError("it is not reported")
            case _:
                message = self._message(event)
                if isinstance(event, TrialDone | TrialFailed):
                    self._forget(event.trial)
                self.line.send(message)

    def _message(self, event: Any) -> Happened:
        ticket = self._tickets[event.trial]
        if isinstance(event, TrialFailed):
            return Happened(ticket, plain(event, exception=None), pickled_error(event.exception))
        return Happened(ticket, plain(event))

    def _forget(self, trial: Trial) -> int:
        ticket = self._tickets.pop(trial)
        del self._jobs[ticket]
        self._resources.callbacks.pop(str(ticket), None)
        return ticket


def _lanes(resources: Resources, threads: int | None) -> tuple[Engine, int]:
    """The lanes engine, and how many jobs it is to get at once."""
    if keras.backend.backend() != "jax":
        from fairlane.engines.workers.engine import WorkersEngine

        return WorkersEngine(resources), _AT_ONCE_ELSEWHERE
    from fairlane.engines.lanes import LanesEngine
    from fairlane.engines.lanes.engine import default_threads
    from fairlane.engines.lanes.loops import widest

    threads = threads or default_threads()
    return LanesEngine(resources, threads), threads * widest()


def _room() -> float:
    """Bytes of arrays that fit on the device."""
    if keras.backend.backend() != "jax":
        return float("inf")
    from fairlane.engines.lanes.memory import room_for_data

    return room_for_data()


def pickled_error(error: BaseException | None) -> bytes | None:
    """An exception with its traceback's text as a note; None where it can't be pickled."""
    if error is None:
        return None
    try:
        packed = bytes(cloudpickle.dumps(error))
        pickle.loads(packed)
    except Exception:
        return None
    return packed


def end_now() -> None:
    """End this process in the midst of anything: its driver has ended."""
    os._exit(0)
