"""A convoy: lanes that read the same batches, and go through each epoch together.

In: chunks of lanes, of any fleets, and what they read. Out: a `Leg` per chunk, with the epoch's `Outcome` or
the error that ended it. The caller's thread reads the next batches while worker threads train on the ones
before; each batch is read once, and dropped when all lanes have seen it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import jax
import numpy as np

from fairlane.engines.data.fit_data import FitData
from fairlane.engines.data.orders import Indices
from fairlane.engines.data.sources import Piece, Reading, Source
from fairlane.engines.lanes.chunk import Chunk, Outcome, Shape
from fairlane.engines.lanes.fleet import Fleet
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.memory import OutOfMemory
from fairlane.engines.program.compiled import Carry, SlowInLoop
from fairlane.trials import State

Form = Callable[[Fleet, list[Lane]], Chunk]
"""Makes a chunk of lanes."""

Ready = Callable[[Chunk, Sequence[tuple[bool, Piece]]], bool]
"""Has a chunk's programs compiled for pieces of batches; False where its lanes can't go with this convoy."""

Halve = Callable[[Chunk, OutOfMemory], Sequence[Chunk]]
"""Divides a chunk that memory ran out with; raises where it can't be divided."""


class Task(NamedTuple):
    """What a leg does next.

    Attributes:
        training: train, or test.
        piece: on these batches; None means the data on the device.
    """

    training: bool
    piece: Piece | None = None


@dataclass(eq=False)
class Convoy:
    """Lanes that read the same batches.

    Attributes:
        data: what they are trained on.
        training: where their training batches are read, or None where those are on the device.
        epochs: how many it has gone through.
    """

    data: FitData
    training: Reading | None
    epochs: int = 0
    _tests: Reading | None = None
    _waiting: list[tuple[Fleet, Lane]] = field(default_factory=list)
    _chunks: list[Chunk] = field(default_factory=list)
    _legs: list[Leg] = field(default_factory=list)

    # --- its lanes ----------------------------------------------------------------------------------

    def join(self, fleet: Fleet, lane: Lane) -> None:
        """Let a lane go with it, from the next epoch on."""
        self._waiting.append((fleet, lane))

    def go_on_with(self, chunk: Chunk) -> None:
        """Let a chunk go with it as it is, from the next epoch on."""
        self._chunks.append(chunk)

    def dismiss(self, fleet: Fleet) -> list[Lane]:
        """Let go of a fleet's lanes that are in no chunk."""
        lanes = [lane for home, lane in self._waiting if home is fleet]
        self._waiting = [pair for pair in self._waiting if pair[0] is not fleet]
        return lanes

    @property
    def is_empty(self) -> bool:
        """Whether all of its lanes have ended."""
        return not (self._waiting or self._chunks or self._legs)

    def members(self) -> list[tuple[Fleet, Lane]]:
        """All of its lanes, with their fleets."""
        chunks = [*self._chunks, *(leg.chunk for leg in self._legs)]
        return [*self._waiting, *((chunk.fleet, lane) for chunk in chunks for lane in chunk.lanes)]

    def scatter(self) -> tuple[list[Chunk], list[Lane]]:
        """Break it off: its chunks, with the states they have come to; and its lanes that are in no chunk."""
        for leg in self._legs:
            if leg.error is None:
                leg.leave()
        chunks = [leg.chunk for leg in self._legs if leg.error is None] + self._chunks
        lanes = [lane for _, lane in self._waiting]
        return chunks, lanes

    def disband(self) -> None:
        """Have no lanes any more."""
        self._waiting, self._chunks, self._legs = [], [], []

    def arrived(self) -> list[Leg]:
        """The legs of the epoch that it went through; given out once."""
        legs, self._legs = self._legs, []
        return legs

    def board(self, form: Form, ready: Ready, piece: Piece | None) -> None:
        """Form its chunks, ready for their next epoch.

        Args:
            form: makes a chunk.
            ready: has its programs compiled.
            piece: the first of the training batches; None where they are on the device, or there is none.
        """
        pieces = [] if piece is None else [(True, piece)]
        chunks, self._chunks = self._chunks, []
        self._chunks += [chunk for chunk in chunks if ready(chunk, pieces)]
        while self._waiting:
            fleet, first = self._waiting[0]
            shape = Shape.of(first)
            alike = [x for home, x in self._waiting if home is fleet and Shape.of(x) == shape]
            lanes = alike[: fleet.width]
            self._waiting = [pair for pair in self._waiting if pair[1] not in lanes]
            chunk = form(fleet, lanes)
            if ready(chunk, pieces):
                self._chunks.append(chunk)

    # --- through an epoch ---------------------------------------------------------------------------

    def travel(
        self,
        executor: Executor,
        board: Callable[[Convoy, Piece | None], None],
        halve: Halve,
        halt: Callable[[Leg], None],
    ) -> None:
        """Take all lanes through an epoch: `arrived` gives what came of it.

        Args:
            executor: where programs are compiled and run.
            board: forms its chunks.
            halve: divides a chunk.
            halt: calls the callbacks of lanes that have some between training and validation.
        """
        self.epochs += 1
        if self.training is None:
            board(self, None)
            self._set_off()
            self._each(Task(True), self._legs, executor, halve)
        else:
            with self.training.epoch() as pieces:
                first = next(pieces, None)
                board(self, first)
                self._set_off()
                self._through(chain([first] if first else [], pieces), True, executor, halve)
        for leg in self._legs:
            if leg.error is None:
                leg.end_training()
            if leg.validates and leg.chunk.fleet.kin.halts:
                halt(leg)
        if any(leg.validates for leg in self._legs):
            self._validate(executor, halve)

    def _set_off(self) -> None:
        self._legs, self._chunks = [Leg(chunk) for chunk in self._chunks], []

    def _validate(self, executor: Executor, halve: Halve) -> None:
        source = self.data.validation
        if not isinstance(source, Source):
            self._each(Task(False), [leg for leg in self._legs if leg.validates], executor, halve)
            return
        if self._tests is None:
            self._tests = source.for_validation(self._legs[0].chunk.fleet.kin.steps_per_execution)
        with self._tests.epoch(again=True) as pieces:
            self._through(pieces, False, executor, halve)

    def _through(self, pieces: Iterable[Piece], training: bool, executor: Executor, halve: Halve) -> None:
        """Take all legs through pieces, reading one while the one before is worked on."""
        works: list[tuple[Leg, Task, Future[None]]] = []
        for piece in pieces:
            self._finish(works, executor, halve)
            tasks = [(leg, leg.task(training, piece)) for leg in self._legs]
            works = [
                (leg, task, executor.submit(leg.run, task))
                for leg, task in tasks
                if task is not None and leg.prepare(task, executor)
            ]
        self._finish(works, executor, halve)

    def _each(self, task: Task, legs: Sequence[Leg], executor: Executor, halve: Halve) -> None:
        self._finish([(leg, task, executor.submit(leg.run, task)) for leg in legs], executor, halve)

    def _finish(self, works: list[tuple[Leg, Task, Future[None]]], executor: Executor, halve: Halve) -> None:
        """Wait for work; do what memory ran out with again, in halves."""
        for leg, task, future in works:
            error = future.exception()
            if isinstance(error, OutOfMemory):
                self._legs = [other for other in self._legs if other is not leg]
                self._legs += _in_halves(leg, task, error, executor, halve)
            elif error is not None:
                leg.error = error


def _in_halves(leg: Leg, task: Task, ran_out: OutOfMemory, executor: Executor, halve: Halve) -> Iterator[Leg]:
    try:
        parts = leg.divided(halve(leg.chunk, ran_out), ran_out.kept)
    except Exception as error:
        leg.error = error
        yield leg
        return
    for part in parts:
        try:
            if part.prepare(task, executor):
                part.run(task)
        except OutOfMemory as again:
            yield from _in_halves(part, task, again, executor, halve)
            continue
        except Exception as error:
            part.error = error
        yield part


class Leg:
    """A chunk on its way through one epoch.

    Attributes:
        chunk: the chunk.
        validates: whether its epoch ends with validation.
        error: what ended it, or None.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        chunk.set_off(stops=True)
        self.error: BaseException | None = None
        self._fleet = chunk.fleet
        shape = Shape.of(chunk.lanes[0])
        self._validates, self._most_steps = shape.validates, shape.most_steps
        self._orders: list[Indices] = chunk.orders()
        self._carry: Carry = chunk.carry()
        self._logs: Mapping[str, Any] = {}
        self._val_logs: Mapping[str, Any] | None = None
        self._steps_taken = 0
        self._progress: tuple[Any, Any] = (None, None)
        self._seconds = 0.0

    @property
    def validates(self) -> bool:
        """Whether it has validation before it."""
        return self._validates and self.error is None

    def task(self, training: bool, piece: Piece) -> Task | None:
        """What there is to do with a piece; None where it is not for these lanes."""
        if self.error is not None or not (training or self._validates):
            return None
        if not training or self._most_steps is None:
            return Task(training, piece)
        steps = min(piece.steps, self._most_steps - self._steps_taken)
        self._steps_taken += steps
        return Task(training, piece.cut(0, steps)) if steps else None

    def prepare(self, task: Task, executor: Executor) -> bool:
        """Have the program for a task compiled; False where that is an error."""
        try:
            self.chunk.prepare(executor, [task] if task.piece is not None else ())
        except SlowInLoop:  # met in the middle of an epoch: go on batch by batch
            self._fleet.go_stepwise()
            return self.prepare(task, executor)
        except Exception as error:
            self.error = error
        return self.error is None

    def run(self, task: Task) -> None:
        """Do a task, in a worker thread."""
        began = time.perf_counter()
        fleet, chunk, piece = self._fleet, self.chunk, task.piece
        if not task.training and self._val_logs is None:
            self._carry = fleet.carry(self._carry.state, chunk.width)

        def work(carry: Carry) -> tuple[Carry, Mapping[str, Any]]:
            if piece is not None:
                return chunk.go_through(carry, task.training, piece)
            return chunk.train(carry, self._orders) if task.training else chunk.validate(carry)

        self._carry, logs = chunk.guarded(self._carry, work)
        if task.training:
            self._logs = logs
        else:
            self._val_logs = logs
        self._seconds += time.perf_counter() - began

    def go_on_from(self, state: State) -> None:
        """Take a state that callbacks have changed."""
        self._carry = self._carry._replace(state=state)

    def end_training(self) -> None:
        """Remember how far the lanes came, and what an epoch without a batch logs."""
        self._progress = np.asarray(self._carry.steps), np.asarray(self._carry.stopped)
        if not self._logs:
            lanes = [lane.logs_at_rest() for lane in self.chunk.lanes]
            filled = [*lanes, *lanes[:1] * (self.chunk.width - len(lanes))]
            self._logs = {k: np.stack([logs[k] for logs in filled]) for k in filled[0]}

    def divided(self, chunks: Sequence[Chunk], carry: Carry) -> list[Leg]:
        """The same leg for parts of its lanes, from ``carry`` on."""
        parts: list[Leg] = []
        held = (carry, self._logs, self._val_logs, self._progress)
        for chunk in chunks:
            places = [self.chunk.lanes.index(lane) for lane in chunk.lanes]
            rows = np.array([*places, *places[:1] * (chunk.width - len(places))])
            part = Leg(chunk)
            part._carry, part._logs, part._val_logs, part._progress = jax.tree.map(
                lambda a, rows=rows: np.asarray(a)[rows], held
            )
            part._steps_taken, part._seconds = self._steps_taken, self._seconds
            for lane in chunk.lanes:
                lane.board()  # its state is the carry's now
            parts.append(part)
        return parts

    def outcome(self) -> Outcome:
        """What the epoch gave."""
        logs, val_logs = jax.device_get((self._logs, self._val_logs))
        steps, stopped = self._progress
        return Outcome(self._carry.state, logs, val_logs, steps, stopped, self._seconds)

    def leave(self) -> None:
        """Put the state back into the chunk where the epoch was cut off."""
        self.chunk.land(self._carry.state, trained=True)
