"""The lanes engine: many trials at once, in one vectorised program per fleet.

In: a feed of jobs. Out: their events. The caller's thread builds models, draws batches and calls
callbacks; one worker thread per core (or accelerator) runs the compiled programs, on chunks of lanes.
While chunks run, the caller's thread prepares more lanes.
"""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import jax

from fairlane.data import DATA_ARGUMENTS, FitData
from fairlane.engine import Declined, Feed, Job, first_line, one_line
from fairlane.engine.fleet import Chunk, Fleet, Outcome, stacked
from fairlane.engine.lane import Lane, Unsuitable
from fairlane.engine.loops import choose, widest
from fairlane.engine.memory import lanes_that_fit
from fairlane.lift import CannotLift
from fairlane.program import DoesNotTrace, SlowInLoop, State
from fairlane.trial import EpochEnded, Event, TrialDone, TrialFailed, TrialStarted

ENGINE = "lanes"


def run(feed: Feed, threads: int | None = None) -> Generator[Event | Declined]:
    """Run every job of the feed that lanes can run.

    Args:
        feed: the jobs; those that share data should stand together.
        threads: how many chunks run at once; by default one per core on a CPU, else one.

    Yields:
        The events of each trial; `Declined` for a job that lanes can't run.
    """
    engine = _Engine(feed, threads or default_threads())
    try:
        yield from engine.run()
    finally:
        engine.close()


def default_threads() -> int:
    """One worker per core that this process may use; one on an accelerator."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Engine:
    def __init__(self, feed: Feed, threads: int) -> None:
        self.feed = feed
        self.threads = threads
        self.workers = ThreadPoolExecutor(threads, thread_name_prefix="fairlane")
        self.fleets: dict[Any, list[Fleet]] = {}
        self.static: set[Any] = set()
        self.data: dict[Any, FitData] = {}
        self.flying: dict[Future[Outcome], Chunk] = {}
        self.landing: Chunk | None = None
        self.active = 0
        self.limit: int | None = None
        self.total = len(feed)
        self.events: list[Event | Declined] = []

    def close(self) -> None:
        """Wait for the workers; leave the caller's own models with what they have learned."""
        self.workers.shutdown(wait=True, cancel_futures=True)
        for future, chunk in self.flying.items():
            if not future.cancelled():
                if future.exception() is not None:
                    continue  # the state was lost on the way
                chunk.state = future.result().state
            _give_up(chunk)
        if self.landing is not None and self.landing not in self.flying.values():
            _give_up(self.landing)
        for fleet in self._all_fleets():
            for lane in fleet.idle:
                lane.give_up(lane.own_state)

    def run(self) -> Generator[Event | Declined]:
        while len(self.feed) or self.active:
            try:
                if self._starving() and self._room():
                    self._admit()
                else:
                    self._launch()
                    self._await()
            finally:  # Ctrl-C comes in the middle: what has happened is told all the same
                yield from self._told()

    def _told(self) -> Generator[Event | Declined]:
        events, self.events = self.events, []
        yield from events

    # --- taking lanes in ----------------------------------------------------------------------------

    def _all_fleets(self) -> list[Fleet]:
        return [fleet for fleets in self.fleets.values() for fleet in fleets]

    def _room(self) -> bool:
        """Whether there is a job, and memory and use for one more lane."""
        waiting = sum(len(f.idle) for f in self._all_fleets())
        enough = waiting >= self.threads * widest()
        return bool(len(self.feed)) and not enough and self.active < (self.limit or self.total)

    def _starving(self) -> bool:
        """Whether workers would be idle if no lane were prepared now."""
        full = any(len(f.idle) >= f.width for f in self._all_fleets())
        return len(self.flying) < 2 * self.threads and not full

    def _admit(self) -> None:
        """Take a job and make a lane of it."""
        job = self.feed.take()
        assert job is not None
        if job.reason:
            self.events.append(Declined(job, job.reason))
            return
        try:
            data = self._data(job)
            lane = Lane(job, data)
        except Unsuitable as reason:
            self.events.append(Declined(job, str(reason)))
        except Exception as error:
            self.events.append(failed(job, None, error, 0.0))
        else:
            if self.limit is None:
                self.limit = lanes_that_fit(lane.state, self.total)
            self._assign(lane, data)

    def _data(self, job: Job) -> FitData:
        chosen = {n: job.arguments[n] for n in DATA_ARGUMENTS if n in job.arguments}
        key = tuple((n, _identity(v)) for n, v in chosen.items())
        if key not in self.data:
            self.data[key] = FitData.of(chosen)
        return self.data[key]

    def _assign(self, lane: Lane, data: FitData) -> None:
        """Give a lane to the fleet whose program can train it."""
        fleet = self._fleet(lane, data)
        if fleet.failure:
            self.events.append(Declined(lane.job, fleet.failure))
            return
        self.active += 1
        fleet.take_in(lane)
        self.events.append(TrialStarted(lane.trial, ENGINE, fleet=fleet.number))
        going, changed = self._begin(lane, fleet, lane.own_state)
        if going:
            lane.state = changed or lane.state
            fleet.idle.append(lane)

    def _fleet(self, lane: Lane, data: FitData) -> Fleet:
        shared = (lane.structure.key, id(data), lane.stops_on_nan, lane.steps_per_execution)
        static = shared in self.static
        key = (*shared, *map(str, lane.structure.numbers.values())) if static else shared
        for fleet in self.fleets.setdefault(key, []):
            if fleet.suits(lane):
                return fleet
        number = len(self._all_fleets())
        expected = 1 if static else min(lane.job.alike, self.limit or self.total)
        loop = choose(lane.model)
        width = max(1, min(math.ceil(expected / self.threads), loop.width))
        fleet = Fleet(number, data, loop, width, lane.stops_on_nan, lane.steps_per_execution, static, shared)
        self.fleets[key].append(fleet)
        return fleet

    # --- forming chunks and sending them off --------------------------------------------------------

    def _launch(self) -> None:
        """Send chunks of idle lanes off, as long as workers want them."""
        for fleet in self._all_fleets():
            while fleet.idle and len(self.flying) < 2 * self.threads:
                shape = fleet.shape_of(fleet.idle[0])
                alike = [lane for lane in fleet.idle if fleet.shape_of(lane) == shape][: fleet.width]
                if len(alike) < fleet.width and len(self.flying) >= self.threads:
                    break  # wait for company: the workers are busy anyway
                fleet.idle = [lane for lane in fleet.idle if lane not in alike]
                self._form(fleet, alike)

    def _form(self, fleet: Fleet, lanes: list[Lane]) -> None:
        width = fleet.width_for(lanes, self.threads)
        program = fleet.program(width, lanes[0])
        self._send(Chunk(fleet, lanes, width, stacked([x.own_state() for x in lanes], width), program))

    def _send(self, chunk: Chunk) -> None:
        fleet = chunk.fleet
        try:
            fleet.prepare(chunk, self.workers)
        except SlowInLoop:
            fleet.go_stepwise()
            fleet.idle += chunk.lanes
        except CannotLift:
            self._regroup(chunk)
        except DoesNotTrace as error:
            if fleet.lift is not None and fleet.lift.paths:
                self._regroup(chunk)  # it may be the lifted numbers that Keras's code stumbled over
            else:
                self._decline(chunk, f"its training step can't be traced ({first_line(error)})")
        else:
            for lane in chunk.lanes:
                lane.state = None
            self.flying[self.workers.submit(fleet.epoch(chunk))] = chunk

    def _regroup(self, chunk: Chunk) -> None:
        """The fleet's numbers can't differ within one program: a fleet for each set of them."""
        fleet = chunk.fleet
        self.static.add(fleet.shared)
        lanes, fleet.idle = [*chunk.lanes, *fleet.idle], []
        for lane in lanes:
            fleet.lanes -= 1
            home = self._fleet(lane, fleet.data)
            home.take_in(lane)
            home.idle.append(lane)

    def _decline(self, chunk: Chunk, reason: str) -> None:
        fleet = chunk.fleet
        fleet.failure = reason
        lanes, fleet.idle = [*chunk.lanes, *fleet.idle], []
        for lane in lanes:
            self.active -= 1
            fleet.lanes -= 1
            lane.withdraw()
            self.events.append(Declined(lane.job, reason))

    # --- taking results in --------------------------------------------------------------------------

    def _await(self) -> None:
        if not self.flying:
            return
        timeout = 0 if self._room() else None
        done, _ = wait(self.flying, timeout=timeout, return_when=FIRST_COMPLETED)
        for future in done:
            chunk = self.flying.pop(future)
            error = future.exception()
            if error is None:
                self._land(chunk, future.result())
            else:
                self._crash(chunk, error)
        if not done:
            self._admit()

    def _land(self, chunk: Chunk, outcome: Outcome) -> None:
        """Tell each lane of its epoch, and send the chunk, or what is left of it, on."""
        fleet = chunk.fleet
        chunk.state = outcome.state
        self.landing = chunk
        fleet.loop.note(chunk.width, outcome.seconds)
        ends = [self._end_epoch(chunk, outcome, i) for i in range(len(chunk.lanes))]
        chunk.patch({i: state for i, state in enumerate(ends) if state is not None})
        going: list[int] = []
        changes: dict[int, State] = {}
        for i, lane in enumerate(chunk.lanes):
            if lane.ended:
                continue
            goes_on, changed = self._begin(lane, fleet, chunk.viewer(i), chunk)
            if goes_on:
                going.append(i)
            if changed is not None:
                changes[i] = changed
        chunk.patch(changes)
        shapes = {fleet.shape_of(chunk.lanes[i]) for i in going}
        if len(going) == len(chunk.lanes) and len(shapes) == 1:
            self._send(chunk)
        else:
            for i in going:
                chunk.lanes[i].state = chunk.look(i)
                fleet.idle.append(chunk.lanes[i])
        self.landing = None

    def _crash(self, chunk: Chunk, error: BaseException) -> None:
        """A worker raised: the states of its lanes are gone, and all others are as they were."""
        if not isinstance(error, Exception):
            raise error
        for lane in chunk.lanes:
            self._leave(lane, chunk.fleet)
            self.events.append(failed(lane.job, lane.epoch, error, lane.seconds))

    def _end_epoch(self, chunk: Chunk, outcome: Outcome, i: int) -> State | None:
        lane = chunk.lanes[i]
        logs, val_logs = lane.logs_of(outcome.logs, i), lane.logs_of(outcome.val_logs, i)
        steps = int(outcome.steps[i]) if outcome.stopped[i] else None
        epoch = lane.epoch
        try:
            assert logs is not None
            epoch_logs, changed = lane.end_epoch(chunk.viewer(i), logs, val_logs, steps)
        except Exception as error:
            self._lose(lane, chunk.fleet, epoch, error, chunk.viewer(i))
            return None
        self.events.append(EpochEnded(lane.trial, epoch, epoch_logs))
        return changed

    def _begin(
        self, lane: Lane, fleet: Fleet, look: Callable[[], State], chunk: Chunk | None = None
    ) -> tuple[bool, State | None]:
        """Begin a lane's next epoch, or end the lane.

        Returns:
            Whether it goes on; and its new state, where a callback changed it.
        """
        try:
            if lane.finished:
                self._finish(lane, fleet, chunk, look)
                return False, None
            return True, lane.begin_epoch(look)
        except Exception as error:
            self._lose(lane, fleet, lane.epoch, error, look)
            return False, None

    def _finish(self, lane: Lane, fleet: Fleet, chunk: Chunk | None, look: Callable[[], State]) -> None:
        weights = lane.end(look)
        loop = fleet.loop.name(chunk.width) if chunk is not None else ""
        self._leave(lane, fleet)
        self.events.append(TrialDone(lane.trial, lane.seconds, weights, loop))

    def _lose(
        self, lane: Lane, fleet: Fleet, epoch: int, error: Exception, look: Callable[[], State]
    ) -> None:
        lane.give_up(look)
        self._leave(lane, fleet)
        self.events.append(failed(lane.job, epoch, error, lane.seconds))

    def _leave(self, lane: Lane, fleet: Fleet) -> None:
        lane.ended = True
        self.active -= 1
        fleet.lanes -= 1


def failed(job: Job, epoch: int | None, error: Exception, seconds: float) -> TrialFailed:
    """The event of a job that raised."""
    text = "".join(traceback.format_exception(error))
    return TrialFailed(job.trial, epoch, one_line(error), text, seconds, error)


def _give_up(chunk: Chunk) -> None:
    for i, lane in enumerate(chunk.lanes):
        if not lane.ended:
            lane.give_up(chunk.viewer(i))


def _identity(value: Any) -> Any:
    """Something hashable that is equal for the same data."""
    return value if isinstance(value, (bool, int, float, str, type(None))) else id(value)
