"""The lanes engine: many trials at once, in one vectorised program per fleet.

In: a feed of jobs. Out: their events. The caller's thread builds models, draws batches and calls
callbacks; one worker thread per core (or accelerator) runs the compiled programs, on chunks of lanes.
While chunks run, the caller's thread prepares more lanes. Lanes whose batches are read go in convoys.
"""

from __future__ import annotations

import math
import os
import traceback
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import chain
from typing import Any

import jax
import numpy as np

from fairlane.engines.contract import Declined, Feed, Job, first_line, one_line
from fairlane.engines.data.fit_data import FitData, test_batches
from fairlane.engines.data.sources import CannotRead, Piece
from fairlane.engines.eligibility import TooLate, Unsuitable
from fairlane.engines.lanes.convoy import Convoy, Leg
from fairlane.engines.lanes.fleet import Chunk, Fleet, Outcome, stacked
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.loops import choose, widest
from fairlane.engines.lanes.memory import OutOfMemory, lanes_that_fit
from fairlane.engines.program.compiled import SlowInLoop
from fairlane.engines.program.lift import CannotLift
from fairlane.engines.program.tracing import (
    LOGS,
    DoesNotTrace,
    Kind,
    Registry,
    kind_of,
    needs_plain_recurrence,
)
from fairlane.errors import FairlaneWarning
from fairlane.models.callback_memory.trial_memory import CannotGoOn
from fairlane.models.variables import same_weights
from fairlane.trials import EpochEnded, Event, State, TrialDone, TrialFailed, TrialStarted

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
        self.convoys: dict[Any, Convoy] = {}
        self.flying: dict[Future[Outcome], Chunk] = {}
        self.landing: tuple[Chunk, Outcome] | None = None
        self.active = 0
        self.registry = Registry()
        self.tests: dict[Any, list[Any]] = {}
        self.limit: int | None = None
        self.total = len(feed)
        self.events: list[Event | Declined] = []
        self.left = feed.left

    def close(self) -> None:
        """Wait for the workers; leave the caller's own models with what they have learned."""
        self.workers.shutdown(wait=True, cancel_futures=True)
        self.left += [event for event in self.events if not isinstance(event, Declined)]
        for future, chunk in self.flying.items():
            if future.cancelled():
                self._give_up(chunk)
            elif future.exception() is None:  # else the state was lost on the way
                self._give_up(chunk, future.result())
        if self.landing is not None and self.landing[0] not in self.flying.values():
            self._give_up(*self.landing)
        for fleet in self._all_fleets():
            for lane in fleet.idle:
                self._give_up_lane(lane, lane.own_state)
        for convoy in self.convoys.values():
            self._abandon(convoy)

    def _abandon(self, convoy: Convoy) -> None:
        for leg in convoy.legs:
            if leg.error is None:
                leg.leave()
                leg.chunk.trained = True
                self._give_up(leg.chunk)
        for chunk in convoy.chunks:
            self._give_up(chunk)
        for _, lane in convoy.waiting:
            self._give_up_lane(lane, lane.own_state)

    def _give_up(self, chunk: Chunk, outcome: Outcome | None = None) -> None:
        """Leave a chunk's lanes at the end of their last epoch; the caller's own models where they are."""
        if outcome is not None:
            chunk.state = outcome.state
        for i, lane in enumerate(chunk.lanes):
            if lane.ended:
                continue
            look: Callable[[], State | None] = chunk.viewer(i)
            if not lane.job.in_place and lane.epoch == chunk.epochs[i]:
                pausing = chunk.fleet.pauses and lane.validates_now()
                if chunk.trained or (outcome is not None and outcome.val_logs is None and pausing):
                    look = partial(chunk.look_before, i)
                elif outcome is not None:
                    self._end_unheard(lane, outcome, i)
            self._give_up_lane(lane, look)

    def _end_unheard(self, lane: Lane, outcome: Outcome, i: int) -> None:
        epoch, logs, val_logs = lane.epoch, lane.logs_of(outcome.logs, i), lane.logs_of(outcome.val_logs, i)
        told = lane.end_epoch_unheard(logs or {}, val_logs)
        self.left.append(EpochEnded(lane.trial, epoch, told, lane.take_directions()))

    def _give_up_lane(self, lane: Lane, look: Callable[[], State | None]) -> None:
        lane.give_up(look)
        if (left := lane.cut_off(look)) is not None:
            self.left.append(left)

    def run(self) -> Generator[Event | Declined]:
        while len(self.feed) or self.active:
            try:
                if self._starving() and self._room():
                    self._admit()
                elif not self._room() and (convoy := self._next_convoy()):
                    self._travel(convoy)
                else:
                    self._launch()
                    self._await()
            finally:  # Ctrl-C comes in the middle: what has happened is told all the same
                yield from self._told()

    def _told(self) -> Generator[Event | Declined]:
        while self.events:
            yield self.events.pop(0)  # where this is closed, the others are still to be told

    # --- taking lanes in ----------------------------------------------------------------------------

    def _all_fleets(self) -> list[Fleet]:
        return [fleet for fleets in self.fleets.values() for fleet in fleets]

    def _room(self) -> bool:
        """Whether there is a job, and memory and use for one more lane."""
        if any(convoy.epochs for convoy in self.convoys.values()):
            return False  # who joins now would read everything anew
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
        if job is None:  # a feed may learn only then that there is none left
            return
        if job.data is None:
            self.events.append(Declined(job, job.reason))
            return
        try:
            lane = self._lane(job, job.data)
            self._limit_lanes(lane, job.data)
        except (Unsuitable, CannotRead) as reason:
            self.events.append(Declined(job, str(reason)))
        except Exception as error:
            self.events.append(failed(job, None, error, 0.0))
        else:
            self._assign(lane, job.data)

    def _lane(self, job: Job, data: FitData) -> Lane:
        """The job's lane, where its checkpoint was taken; or at the beginning, where it can't go on there."""
        checkpoint = job.checkpoint()
        try:
            return Lane(job, data, checkpoint if data.repeats else None)
        except CannotGoOn as why:
            warnings.warn(f"{job.trial} begins anew: {why}", FairlaneWarning, stacklevel=2)
            return Lane(job, data)

    def _limit_lanes(self, lane: Lane, data: FitData) -> None:
        """Find out, by the first lane, how many may be there at once."""
        if self.limit is None:
            self.limit = lanes_that_fit(lane.own_state(), self.total)
            if data.once and self.limit < self.total:
                raise Unsuitable(
                    f"a generator is read once, by all {self.total} trials together, and only {self.limit} "
                    "fit into memory; give a keras.utils.PyDataset"
                )

    def _assign(self, lane: Lane, data: FitData) -> None:
        """Begin a lane's first epoch, and give it to the fleet whose program can train it."""
        try:
            changed = None if lane.finished else lane.begin_epoch(lane.own_state)
        except Exception as error:
            self.events.append(TrialStarted(lane.trial, ENGINE, epoch=lane.epoch))
            lane.give_up(lane.own_state)
            self.events.append(failed(lane.job, lane.epoch, error, lane.seconds))
            return
        lane.state = changed or lane.state
        try:  # only now: Keras traces the step after the callbacks' on_epoch_begin
            if not lane.finished:
                lane.examine(self._kinds(lane, data), self.registry)
        except Unsuitable as reason:
            lane.withdraw()
            self.events.append(Declined(lane.job, str(reason), reason.__cause__))
            return
        fleet = self._fleet(lane, data)
        if fleet.failure:
            lane.withdraw()
            self.events.append(Declined(lane.job, fleet.failure, fleet.error))
            return
        self.active += 1
        fleet.take_in(lane)
        self.events.append(TrialStarted(lane.trial, ENGINE, fleet=fleet.number, epoch=lane.epoch))
        if lane.finished:
            self._begin(lane, fleet, lane.own_state)
        else:
            self._line_up(fleet, lane)

    def _kinds(self, lane: Lane, data: FitData) -> list[Kind]:
        """The steps that a lane needs, as far as its batches are known, in the order of ``fit``."""
        key = id(data), lane.steps_per_execution
        if key not in self.tests:
            self.tests[key] = test_batches(data, lane.steps_per_execution)
        plain = needs_plain_recurrence(lane.model)
        training = [kind_of("train", batch, plain) for batch in lane.batches(data)]
        tests = [kind_of("test", batch, plain) for batch in self.tests[key]]
        return list(dict.fromkeys([*training, LOGS, *tests]))

    def _line_up(self, fleet: Fleet, lane: Lane) -> None:
        """Let a lane wait for a chunk."""
        convoy = self._convoy(fleet, lane)
        if convoy is None:
            fleet.idle.append(lane)
        else:
            convoy.waiting.append((fleet, lane))

    def _convoy(self, fleet: Fleet, lane: Lane) -> Convoy | None:
        """The convoy that a lane goes with, or None where it reads nothing."""
        if not fleet.data.is_read:
            return None
        key = id(fleet.data), id(lane.reading), lane.steps_per_execution
        if key not in self.convoys:
            self.convoys[key] = Convoy(fleet.data, lane.reading)
        return self.convoys[key]

    def _fleet(self, lane: Lane, data: FitData) -> Fleet:
        shared = (lane.likeness(), id(data), lane.stops_on_nan, lane.steps_per_execution, lane.pauses)
        static = shared in self.static
        key = (*shared, *(np.asarray(v).tobytes() for v in lane.numbers.values())) if static else shared
        for fleet in self.fleets.setdefault(key, []):
            if fleet.suits(lane):
                return fleet
        number = len(self._all_fleets())
        expected = 1 if static else min(lane.job.alike, self.limit or self.total)
        loop = choose(lane.model)
        width = max(1, min(math.ceil(expected / self.threads), loop.width))
        fleet = Fleet(number, data, loop, width, lane.stops_on_nan, lane.steps_per_execution, static, shared)
        fleet.pauses = lane.pauses
        # Where others of its kind differ from it, those that come later will probably differ too.
        fleet.differing = frozenset(chain.from_iterable(f.differs_in(lane) for f in self.fleets[key]))
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
        chunk = self._chunk(fleet, lanes)
        if self._prepared(chunk):
            self._send(chunk)

    def _chunk(self, fleet: Fleet, lanes: list[Lane]) -> Chunk:
        width = fleet.width_for(lanes, self.threads)
        program = fleet.program(width, lanes[0])
        return Chunk(fleet, lanes, width, stacked([x.own_state() for x in lanes], width), program)

    def _send(self, chunk: Chunk) -> None:
        chunk.set_off(stops=chunk.fleet.pauses)
        self.flying[self.workers.submit(chunk.fleet.epoch(chunk))] = chunk

    def _prepared(self, chunk: Chunk, pieces: Sequence[tuple[bool, Piece]] = ()) -> bool:
        """Have a chunk's programs compiled; where that can't be, let its lanes wait for other chunks."""
        fleet = chunk.fleet
        try:
            fleet.prepare(chunk, self.workers, pieces)
        except SlowInLoop:
            fleet.go_stepwise()
            for lane in chunk.lanes:
                self._line_up(fleet, lane)
        except CannotLift:
            self._regroup(chunk)
        except TooLate as reason:
            self._decline(chunk, str(reason), reason)
        except DoesNotTrace as error:
            if fleet.steps is not None and fleet.steps.lift.paths:
                self._regroup(chunk)  # it may be the lifted numbers that Keras's code stumbled over
            else:
                self._decline(chunk, f"its training step can't be traced ({first_line(error)})", error)
        else:
            for lane in chunk.lanes:
                lane.state = None
            return True
        return False

    def _wait_no_more(self, fleet: Fleet) -> list[Lane]:
        """Take all lanes of a fleet out of where they wait."""
        lanes, fleet.idle = fleet.idle, []
        for convoy in self.convoys.values():
            lanes += [lane for home, lane in convoy.waiting if home is fleet]
            convoy.waiting = [pair for pair in convoy.waiting if pair[0] is not fleet]
        return lanes

    def _regroup(self, chunk: Chunk) -> None:
        """The fleet's numbers can't differ within one program: a fleet for each set of them."""
        fleet = chunk.fleet
        self.static.add(fleet.shared)
        for lane in [*chunk.lanes, *self._wait_no_more(fleet)]:
            fleet.lanes -= 1
            home = self._fleet(lane, fleet.data)
            home.take_in(lane)
            self._line_up(home, lane)

    def _decline(self, chunk: Chunk, reason: str, error: BaseException) -> None:
        fleet = chunk.fleet
        fleet.failure, fleet.error = reason, error
        for lane in [*chunk.lanes, *self._wait_no_more(fleet)]:
            self.active -= 1
            fleet.lanes -= 1
            lane.withdraw()
            self.events.append(Declined(lane.job, reason, error))

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
        chunk.state = outcome.state
        self.landing = chunk, outcome
        if chunk.fleet.is_pause(chunk, outcome):
            self._pause(chunk, outcome)
        else:
            self._end_and_begin(chunk, outcome)
        self.landing = None

    def _pause(self, chunk: Chunk, outcome: Outcome) -> None:
        """Tell each lane that its training has ended, and send the chunk on to validation."""
        chunk.trained = True
        self._begin_tests(chunk, outcome)
        if not all(lane.ended for lane in chunk.lanes):
            self.flying[self.workers.submit(chunk.fleet.rest_of_epoch(chunk, outcome))] = chunk

    def _pause_leg(self, leg: Leg) -> None:
        """The same for lanes that read, whose convoy goes on to validation."""
        outcome = leg.outcome()
        leg.chunk.state, self.landing = outcome.state, (leg.chunk, outcome)
        leg.chunk.trained = True
        self._begin_tests(leg.chunk, outcome)
        leg.go_on_from(leg.chunk.state)
        self.landing = None

    def _begin_tests(self, chunk: Chunk, outcome: Outcome) -> None:
        changes = {i: self._begin_test(chunk, outcome, i) for i in range(len(chunk.lanes))}
        chunk.patch({i: state for i, state in changes.items() if state is not None})

    def _begin_test(self, chunk: Chunk, outcome: Outcome, i: int) -> State | None:
        lane, logs = chunk.lanes[i], chunk.lanes[i].logs_of(outcome.logs, i)
        try:
            assert logs is not None
            return lane.begin_test(chunk.viewer(i), logs, outcome.steps_of(i))
        except TooLate as reason:
            lane.withdraw()
            self._leave(lane, chunk.fleet)
            self.events.append(Declined(lane.job, str(reason), reason))
            return None
        except Exception as error:
            self._lose(lane, chunk.fleet, lane.epoch, error, chunk.viewer(i))
            return None

    def _end_and_begin(self, chunk: Chunk, outcome: Outcome) -> None:
        fleet, chunk.trained = chunk.fleet, False
        fleet.loop.note(chunk.width, outcome.seconds)
        for lane in chunk.lanes:
            lane.seconds += outcome.seconds / len(chunk.lanes)
        ends = {i: self._end_epoch(chunk, outcome, i) for i, x in enumerate(chunk.lanes) if not x.ended}
        chunk.patch({i: state for i, state in ends.items() if state is not None})
        self._save(chunk)
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
            self._go_on(chunk)
        else:
            for i in going:
                chunk.lanes[i].state = chunk.look(i)
                self._line_up(fleet, chunk.lanes[i])

    def _save(self, chunk: Chunk) -> None:
        """Tell the checkpoints that are due."""
        for i, lane in enumerate(chunk.lanes):
            if not lane.ended and lane.is_due():
                checkpoint = lane.checkpoint(chunk.viewer(i))
                if checkpoint is not None:
                    self.events.append(checkpoint)

    def _go_on(self, chunk: Chunk) -> None:
        convoy = self._convoy(chunk.fleet, chunk.lanes[0])
        if convoy is not None:
            convoy.chunks.append(chunk)
        elif self._prepared(chunk):
            self._send(chunk)

    def _crash(self, chunk: Chunk, error: BaseException) -> None:
        """A worker raised: the states of its lanes are gone, and all others are as they were."""
        if not isinstance(error, Exception):
            raise error
        if isinstance(error, TooLate):
            self._decline(chunk, str(error), error)
            return
        if isinstance(error, OutOfMemory):
            try:
                parts = self._divide(chunk, error)
            except MemoryError as alone:
                error = alone
            else:  # they wait on the host, so that no more of them is on the device than what runs
                for lane in chain.from_iterable(parts):
                    self._line_up(chunk.fleet, lane)
                return
        for lane in chunk.lanes:
            if not lane.ended:
                self._leave(lane, chunk.fleet)
                self.events.append(failed(lane.job, lane.epoch, error, lane.seconds))

    def _halve(self, chunk: Chunk, ran_out: OutOfMemory) -> list[Chunk]:
        """Narrower chunks instead of one that memory ran out with.

        Raises:
            MemoryError: it is one lane.
        """
        return [self._chunk(chunk.fleet, lanes) for lanes in self._divide(chunk, ran_out)]

    def _divide(self, chunk: Chunk, ran_out: OutOfMemory) -> list[list[Lane]]:
        """The lanes of a chunk that memory ran out with, in narrower groups; each has its state, on the host.

        Raises:
            MemoryError: it is one lane.
        """
        fleet, width = chunk.fleet, chunk.width
        if width == 1:
            raise MemoryError(
                f"memory ran out with this trial alone ({first_line(ran_out)}); a smaller batch needs less"
            ) from ran_out
        narrower = max(1, min(ran_out.fits or width // 2, width // 2))
        fleet.narrow(narrower)
        warnings.warn(
            f"memory is too small for {width} lanes at once ({first_line(ran_out)}): going on with "
            f"{narrower} at a time. No finished epoch is lost",
            FairlaneWarning,
            stacklevel=2,
        )
        chunk.state = ran_out.kept.state
        for i, lane in enumerate(chunk.lanes):
            lane.state = chunk.look(i)
        going = [lane for lane in chunk.lanes if not lane.ended]
        return [going[i : i + narrower] for i in range(0, len(going), narrower)]

    # --- lanes that read ----------------------------------------------------------------------------

    def _next_convoy(self) -> Convoy | None:
        """The convoy that is the furthest behind."""
        for key in [key for key, convoy in self.convoys.items() if convoy.is_empty]:
            del self.convoys[key]
        return min(self.convoys.values(), key=lambda convoy: convoy.epochs, default=None)

    def _travel(self, convoy: Convoy) -> None:
        """Take a convoy through an epoch."""
        try:
            convoy.travel(self.workers, partial(self._board, convoy), self._halve, self._pause_leg)
        except Exception as error:  # of the source, for all who read it
            self._stranded(convoy, error)
            return
        legs, convoy.legs = convoy.legs, []
        for leg in legs:
            if leg.error is None:
                outcome = leg.outcome()
                self.landing, leg.chunk.state = (leg.chunk, outcome), outcome.state
                self._end_and_begin(leg.chunk, outcome)
                self.landing = None
            else:
                self._crash(leg.chunk, leg.error)

    def _board(self, convoy: Convoy, piece: Piece | None) -> None:
        """Form a convoy's chunks, ready for their next epoch."""
        pieces = [] if piece is None else [(True, piece)]
        chunks, convoy.chunks = convoy.chunks, []
        convoy.chunks += [chunk for chunk in chunks if self._prepared(chunk, pieces)]
        while convoy.waiting:
            fleet, first = convoy.waiting[0]
            shape = fleet.shape_of(first)
            alike = [x for home, x in convoy.waiting if home is fleet and fleet.shape_of(x) == shape]
            lanes = alike[: fleet.width]
            convoy.waiting = [pair for pair in convoy.waiting if pair[1] not in lanes]
            chunk = self._chunk(fleet, lanes)
            if self._prepared(chunk, pieces):
                convoy.chunks.append(chunk)

    def _stranded(self, convoy: Convoy, error: Exception) -> None:
        """End all lanes of a convoy whose source raised."""
        self._abandon(convoy)
        chunks = [*convoy.chunks, *(leg.chunk for leg in convoy.legs)]
        aboard = [(chunk.fleet, lane) for chunk in chunks for lane in chunk.lanes]
        for fleet, lane in [*convoy.waiting, *aboard]:
            if not lane.ended:
                self._leave(lane, fleet)
                self.events.append(failed(lane.job, lane.epoch, error, lane.seconds))
        convoy.waiting, convoy.chunks, convoy.legs = [], [], []

    # --- beginning and ending epochs ----------------------------------------------------------------

    def _end_epoch(self, chunk: Chunk, outcome: Outcome, i: int) -> State | None:
        lane = chunk.lanes[i]
        logs, val_logs = lane.logs_of(outcome.logs, i), lane.logs_of(outcome.val_logs, i)
        steps, epoch = outcome.steps_of(i), lane.epoch
        try:
            assert logs is not None
            epoch_logs, changed = lane.end_epoch(chunk.viewer(i), logs, val_logs, steps)
        except Exception as error:
            self._lose(lane, chunk.fleet, epoch, error, chunk.viewer(i))
            return None
        self.events.append(EpochEnded(lane.trial, epoch, epoch_logs, lane.take_directions()))
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
        except TooLate as reason:
            lane.withdraw()
            self._leave(lane, fleet)
            self.events.append(Declined(lane.job, str(reason), reason))
            return False, None
        except Exception as error:
            self._lose(lane, fleet, lane.epoch, error, look)
            return False, None

    def _finish(self, lane: Lane, fleet: Fleet, chunk: Chunk | None, look: Callable[[], State]) -> None:
        state = look()  # which copies it
        memory, weights = lane.memory(), lane.end(lambda: state)
        if memory is not None and weights is not None and not same_weights(weights.state, state):
            memory = None  # the end of training has changed the weights: more epochs could not follow
        loop = fleet.loop.name(chunk.width) if chunk is not None else ""
        self._leave(lane, fleet)
        kept = lane.weights_epoch
        self.events.append(TrialDone(lane.trial, lane.seconds, weights, loop, memory, kept))

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
