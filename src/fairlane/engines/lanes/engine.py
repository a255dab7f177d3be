"""The lanes engine: many trials at once, in one vectorised program per fleet.

In: a feed of jobs. Out: their events. The caller's thread builds models, draws batches and calls
callbacks; one worker thread per core (or accelerator) runs the compiled programs, on chunks of lanes.
While chunks run, the caller's thread prepares more lanes. Lanes whose batches are read go in convoys.

Who owns what: `Admission` the feed, `Roster` which lanes are under way and their fleets, `Yard` those that
wait, `Forming` how chunks are made, `Flights` those in worker threads, `Landing` those that have come back.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax

from fairlane.engines.contract import EngineEvent, Feed, Idle, Job, Orders
from fairlane.engines.data.sources import Piece
from fairlane.engines.lanes import closing
from fairlane.engines.lanes.admission import Admission
from fairlane.engines.lanes.convoy import Convoy
from fairlane.engines.lanes.flights import Flights
from fairlane.engines.lanes.forming import Forming
from fairlane.engines.lanes.landing import Landing
from fairlane.engines.lanes.loops import widest
from fairlane.engines.lanes.roster import ENGINE, Reports, Roster
from fairlane.engines.lanes.turns import Turns
from fairlane.engines.lanes.yard import Yard
from fairlane.engines.resources import Resources
from fairlane.trials import Event


class LanesEngine:
    """Runs every job that lanes can run; others come back as `Declined`.

    Jobs that share data should stand together in the feed.

    Args:
        resources: what jobs name by a key.
        threads: how many chunks run at once; by default one per core on a CPU, else one.
    """

    name = ENGINE

    def __init__(self, resources: Resources, threads: int | None = None) -> None:
        self._resources, self._threads = resources, threads
        self._unreported: list[Event] = []

    def run(self, feed: Feed, orders: Orders) -> Generator[EngineEvent]:
        """Run every job of the feed that lanes can run; see `fairlane.engines.contract.Engine`."""
        run = _Run(feed, self._resources, self._threads or default_threads())
        try:
            yield from run.through(orders)
        finally:
            self._unreported += run.close()

    def unreported(self) -> Sequence[Event]:
        """What a run that was closed before its end did not report."""
        return self._unreported


def default_threads() -> int:
    """One worker per core that this process may use; one on an accelerator."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Run:
    """One run: the parts of the scheduler, and whose turn it is."""

    def __init__(self, feed: Feed, resources: Resources, threads: int) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="fairlane")
        self._reports = Reports()
        self._roster = Roster(self._reports)
        self._yard = Yard()
        following: deque[Job] = deque()
        turns = Turns(self._roster, self._reports, following)
        self._admission = Admission(
            *(feed, resources, threads, turns, self._roster, self._yard, self._reports, following)
        )
        self._forming = Forming(self._admission.fleets, self._roster, self._yard, self._executor, threads)
        self._flights = Flights(self._executor, threads)
        self._landing = Landing(
            *(turns, self._yard, self._forming, self._flights, self._reports), self._admission.fork
        )

    def through(self, orders: Orders) -> Generator[EngineEvent]:
        """Take turns until all is done."""
        while True:
            try:
                self._landing.answer(orders)
                goes_on = self._take_a_turn()
                if orders.standing:  # workers need not wait until what happened has been reported
                    self._landing.answer(orders)
            finally:  # Ctrl-C comes in the middle: what has happened is reported all the same
                yield from self._reports.given_out()
            if not goes_on:
                return

    def _take_a_turn(self) -> bool:
        """Do what is to be done next; false where nothing is, ever."""
        has_room = self._has_room()
        if has_room and self._is_starving:
            self._admission.admit()
            return True
        if not has_room and (convoy := self._next_convoy()) is not None:
            self._travel(convoy)
            return True
        last = not (has_room or self._admission.has_job())
        self._flights.launch(self._yard, self._forming, has_room, last)
        if len(self._flights):
            self._await(has_room)
        elif has_room:
            self._admission.admit()
        elif not (self._yard.idle() or self._landing.has_ended or len(self._reports)):
            # Only once all is reported: a job may follow from what was.
            if self._admission.over and not len(self._roster):
                return False
            self._reports.add(Idle(tuple(self._yard.paused)))
        return True

    # --- whose turn it is ---------------------------------------------------------------------------

    def _has_room(self) -> bool:
        """Whether there is memory and use for one more lane, and a job."""
        if any(convoy.epochs for convoy in self._yard.moving_convoys()):
            return False  # who joins now would read everything again
        if self._yard.idle() >= self._threads * widest() and not self._yard.gathers():
            return False
        # A paused lane holds one state, on the host, and no place on the device.
        under_way = len(self._roster) - len(self._yard.paused)
        return under_way < self._admission.limit() and self._admission.has_job()

    @property
    def _is_starving(self) -> bool:
        """Whether workers would be idle if no lane were prepared now."""
        return self._flights.wants_more and not self._yard.has_full_chunk()

    def _await(self, has_room: bool) -> None:
        """Take in what has landed; as long as nothing has, and there is room, admit a lane."""
        landed = False
        # One after another: where Ctrl-C ends the landing of one, the others are still among the flights.
        for chunk, outcome in self._flights.landed(0 if has_room else None):
            landed = True
            if isinstance(outcome, BaseException):
                self._forming.crash(chunk, outcome)
            else:
                self._landing.land(chunk, outcome)
        if not landed and has_room:
            self._admission.admit()

    # --- lanes that read ----------------------------------------------------------------------------

    def _next_convoy(self) -> Convoy | None:
        """The convoy that is the furthest behind."""
        return min(self._yard.moving_convoys(), key=lambda convoy: convoy.epochs, default=None)

    def _travel(self, convoy: Convoy) -> None:
        """Take a convoy through an epoch."""
        try:
            convoy.travel(self._executor, self._board, self._forming.halves, self._landing.halt)
        except Exception as error:  # of the source, for all who read it
            self._strand(convoy, error)
            return
        for leg in convoy.arrived():
            if leg.error is None:
                self._landing.arrive(leg)
            else:
                self._forming.crash(leg.chunk, leg.error)

    def _board(self, convoy: Convoy, piece: Piece | None) -> None:
        convoy.board(self._forming.chunk, self._forming.ready, piece)

    def _strand(self, convoy: Convoy, error: Exception) -> None:
        """End all lanes of a convoy whose source raised."""
        members = convoy.members()
        self._abandon(convoy)
        for _, lane in members:
            if not lane.ended:
                self._roster.lose(lane, lane.epoch, error)
        convoy.disband()

    def _abandon(self, convoy: Convoy) -> list[Event]:
        """Leave a convoy's lanes at the end of their last epoch."""
        chunks, lanes = convoy.scatter()
        events = closing.give_up_chunks((chunk, None) for chunk in chunks)
        for lane in lanes:
            events += closing.give_up(lane, lane.own_state)
        return events

    # --- the end ------------------------------------------------------------------------------------

    def close(self) -> list[Event]:
        """Wait for the workers; leave the caller's own models with what they have learned.

        Returns:
            What was not reported.
        """
        self._executor.shutdown(wait=True, cancel_futures=True)
        unreported = self._reports.rest()
        flying = self._flights.remaining()
        sent = [chunk for chunk, _ in flying]  # one may have been sent while its landing was broken off
        landed = [(chunk, outcome) for chunk, outcome in self._landing.remaining() if chunk not in sent]
        unreported += closing.give_up_chunks([*flying, *landed])
        for lane in self._yard.everybody():
            unreported += closing.give_up(lane, lane.own_state)
        for convoy in self._yard.convoys():
            unreported += self._abandon(convoy)
        return unreported
