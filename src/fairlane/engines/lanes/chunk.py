"""A chunk: lanes of a fleet that go through an epoch together, as one stack of arrays.

In: lanes whose coming epochs look alike. Out: work for a worker thread, which touches nothing but arrays; and
the epoch's `Outcome`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fairlane.engines.data.orders import Indices
from fairlane.engines.data.sources import Piece
from fairlane.engines.eligibility import TooLate
from fairlane.engines.lanes.fleet import Fleet, Placed
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.lane_logs import rows
from fairlane.engines.lanes.memory import OutOfMemory, bytes_needed, free_memory, is_out_of_memory
from fairlane.engines.program.compiled import Carry, Program, Run
from fairlane.engines.program.lift import Numbers
from fairlane.engines.program.sizes.family import MEMBER
from fairlane.engines.program.sizes.run import shapes_of_one
from fairlane.engines.program.sizes.stacks import fitted, one_of, stacked
from fairlane.engines.program.steps import OwnSteps
from fairlane.trials import State

Result = TypeVar("Result")


class Shape(NamedTuple):
    """What an epoch looks like; lanes of one chunk have the same.

    Attributes:
        runs: the ``(steps, batch)`` of each run of batches, where they are not read.
        tests: the ``(first sample, steps, batch)`` of each run of validation, where they are not read.
        validates: whether it ends with validation.
        most_steps: how many of the batches that are read it takes, or None for all.
        pool: equal where samples are taken from the same arrays.
    """

    runs: tuple[tuple[int, int], ...]
    tests: tuple[tuple[int, int, int], ...]
    validates: bool
    most_steps: int | None
    pool: Any

    @classmethod
    def of(cls, lane: Lane) -> Shape:
        """What a lane's coming epoch looks like."""
        most_steps = None if lane.reading is None else lane.most_steps
        return cls(lane.order.shapes, lane.tests, lane.validates_now(), most_steps, lane.data.pool)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an epoch of a chunk gave.

    Attributes:
        state: the new stacked state.
        logs: training logs, an array over lanes each.
        val_logs: validation logs, or None.
        steps: steps done per lane.
        stopped: for each lane, whether its loss stopped being finite.
        seconds: wall-clock seconds in the worker.
    """

    state: State
    logs: Mapping[str, Any]
    val_logs: Mapping[str, Any] | None
    steps: Any
    stopped: Any
    seconds: float

    @cached_property
    def _rows(self) -> list[dict[str, Any]] | None:
        return rows(self.logs, len(self.steps))

    @cached_property
    def _val_rows(self) -> list[dict[str, Any]] | None:
        return rows(self.val_logs, len(self.steps))

    def logs_of(self, i: int) -> dict[str, Any]:
        """The training logs of lane ``i``, under the program's names."""
        assert self._rows is not None
        return dict(self._rows[i])

    def val_logs_of(self, i: int) -> dict[str, Any] | None:
        """The validation logs of lane ``i``, likewise; None where there was no validation."""
        return None if self._val_rows is None else dict(self._val_rows[i])

    def steps_of(self, i: int) -> int | None:
        """How many steps lane ``i`` did before its loss stopped being finite, or None."""
        return int(self.steps[i]) if self.stopped[i] else None


@dataclass(eq=False)
class Chunk:
    """Lanes that go through an epoch together.

    Attributes:
        fleet: theirs.
        lanes: the lanes, at most ``width``.
        width: of the program; places without a lane repeat the first, and their results are ignored.
        state: the stacked state.
        program: the program.
        placed: what they are trained on, on the device.
        sizes: the shapes of each lane's state, where they are padded; else None.
        epochs: the epoch that each lane goes through.
        trained: whether the state is one of the middle: trained, and still to be validated.
    """

    fleet: Fleet
    lanes: list[Lane]
    width: int
    state: State
    program: Program
    placed: Placed
    sizes: list[State] | None = None
    epochs: list[int] = field(default_factory=list)
    trained: bool = False
    _lifted: list[Any] = field(default_factory=list)
    _prepared: Shape | None = None
    _before: State | None = None

    @classmethod
    def of(cls, fleet: Fleet, lanes: list[Lane], threads: int) -> Chunk:
        """Stack lanes that are in no chunk."""
        width = fleet.width_for(lanes, threads)
        program = fleet.program(width, lanes[0])
        states, padded = [lane.own_state() for lane in lanes], fleet.padded
        sizes = None if padded is None else [shapes_of_one(state) for state in states]
        state, placed = stacked([fitted(s, padded) for s in states], width), fleet.placed(lanes[0])
        return cls(fleet, lanes, width, state, program, placed, sizes)

    # --- its lanes' states --------------------------------------------------------------------------

    def look(self, i: int) -> State:
        """Lane ``i``'s state, copied: a view could be overwritten when the chunk runs again."""
        return one_of(self.state, i, self.sizes)

    def viewer(self, i: int) -> Callable[[], State]:
        """`look` for lane ``i``, to be called later."""
        return lambda: self.look(i)

    def look_before(self, i: int) -> State | None:
        """Lane ``i``'s state at the beginning of the epoch, where it was kept."""
        if self._before is None:
            return None
        return one_of(self._before, i, self.sizes)

    def patch(self, changes: Mapping[int, State]) -> None:
        """Put new states in the place of some lanes'."""
        if not changes:
            return

        def put(stacked: Any, *rows: Any) -> Any:
            whole = np.array(stacked)
            for i, row in zip(changes, rows, strict=True):
                whole[i] = np.asarray(row)
            return jnp.asarray(whole)

        rows = [fitted(state, self.fleet.padded) for state in changes.values()]
        self.state = jax.tree.map(put, self.state, *rows)

    def unstack(self) -> None:
        """Let its lanes wait with their own states, on the host."""
        for i, lane in enumerate(self.lanes):
            lane.rest_with(self.look(i))

    def going(self) -> list[Lane]:
        """Its lanes that have not ended."""
        return [lane for lane in self.lanes if not lane.ended]

    def account(self, outcome: Outcome) -> None:
        """Count an epoch's batches, and the time that was spent for all of its lanes."""
        self.fleet.loop.batches = int(np.max(outcome.steps))
        for lane in self.lanes:
            lane.spend(outcome.seconds / len(self.lanes))

    # --- on its way through an epoch ----------------------------------------------------------------

    def set_off(self, stops: bool) -> None:
        """Remember which epoch begins; and the state as it is, if the epoch ``stops`` on the way."""
        self.epochs, self.trained = [lane.epoch for lane in self.lanes], False
        kept = stops and not any(lane.in_place for lane in self.lanes)
        self._before = jax.tree.map(np.array, self.state) if kept else None

    def land(self, state: State, trained: bool = False) -> None:
        """Take a new state: of the epoch's end, or ``trained`` and still to be validated."""
        self.state, self.trained = state, trained

    def halts_at(self, outcome: Outcome) -> bool:
        """Whether it has been trained, and callbacks are to be called before its validation."""
        return self.fleet.kin.halts and outcome.val_logs is None and self.lanes[0].validates_now()

    def numbers(self) -> list[Numbers]:
        """The numbers of each place."""
        numbers = [lane.examination.numbers for lane in self.lanes]
        if self.sizes is not None:
            members = [{MEMBER: lane.examination.likeness()} for lane in self.lanes]
            numbers = [{**own, **member} for own, member in zip(numbers, members, strict=True)]
        return [*numbers, *numbers[:1] * (self.width - len(numbers))]

    def orders(self) -> list[Indices]:
        """The sample numbers of its coming epoch, ``(width, steps, batch)`` per run."""
        orders = [np.empty((self.width, *shape), "int32") for shape in self.lanes[0].order.shapes]
        for i in range(self.width):
            lane = self.lanes[i if i < len(self.lanes) else 0]
            for order, run in zip(orders, lane.order.runs, strict=True):
                order[i] = run if lane.rows is None else lane.rows[run]
        return orders

    def test_orders(self) -> list[Indices]:
        """The sample numbers of validation, ``(width, steps, batch)`` per run, where lanes have their own."""
        # Folds may have samples that validation does not come to, and not all as many.
        last = max(start + steps * batch for start, steps, batch in self.lanes[0].tests)
        own = [lane.test_rows[:last] for lane in self.lanes if lane.test_rows is not None]
        rows = np.stack([*own, *own[:1] * (self.width - len(own))])
        return [
            rows[:, start : start + steps * batch].reshape(self.width, steps, batch)
            for start, steps, batch in self.lanes[0].tests
        ]

    def carry(self) -> Carry:
        """Its state, at the start of a pass over data."""
        return self.fleet.carry(self.state, self.width)

    def prepare(self, executor: Executor, pieces: Sequence[tuple[bool, Any]] = ()) -> None:
        """Trace and compile what its coming epoch needs and is not there yet.

        Args:
            executor: where to compile.
            pieces: of the batches that are read, which, and whether they are trained on.
        """
        shape = Shape.of(self.lanes[0])
        if shape == self._prepared and not pieces:
            return
        placed, at_once = self.placed, self.fleet.at_once
        wanted: dict[Run, tuple[Any, Any]] = {}
        for steps, batch in shape.runs:
            run = Run(True, at_once(steps), batch)
            order = jax.ShapeDtypeStruct((self.width, run.steps, run.batch), "int32")
            wanted[run] = order, placed.training
        for _, steps, batch in shape.tests:
            run = Run(False, at_once(steps), batch, own=placed.own_tests)
            picked = (self.width, run.steps, run.batch) if run.picks else ()
            wanted[run] = jax.ShapeDtypeStruct(picked, "int32"), placed.validation
        for training, piece in pieces:
            some = piece.cut(0, at_once(piece.steps))
            wanted[Run(training, some.steps, shapes=piece.shapes)] = None, some.data
        carry = _shapes(self.carry())
        self._trace_later(wanted)
        self.program.prepare(wanted, carry, self.numbers(), executor)
        self._lifted = self.program.steps.lift.values(self.numbers())
        self._prepared = shape

    def _trace_later(self, wanted: Mapping[Run, tuple[Any, Any]]) -> None:
        """Trace steps for batches of a shape that was not known when the lanes were examined.

        Raises:
            TooLate: the model is traced otherwise now than then, or otherwise than other lanes'.
        """
        steps = self.fleet.steps
        if not isinstance(steps, OwnSteps):
            return
        for kind in set(self.program.kinds(wanted).values()):
            for lane in self.lanes:
                examination = lane.examination
                if examination.trace_later(kind) and not steps.takes(examination.own_tracing(), kind):
                    raise TooLate(
                        "a batch of another size appeared, and the model's code handles it differently"
                    )

    # --- work for a worker thread -------------------------------------------------------------------

    def epoch(self) -> Callable[[], Outcome]:
        """The work of its coming epoch, up to a halt."""
        shape = Shape.of(self.lanes[0])

        def work() -> Outcome:
            began = time.perf_counter()
            orders = self.orders()

            def pass_through(carry: Carry) -> tuple[Carry, Mapping[str, Any], Any, Any, Any]:
                carry, logs = self.train(carry, orders)
                steps, stopped, val_logs = carry.steps, carry.stopped, None
                if shape.validates and not self.fleet.kin.halts:
                    carry, val_logs = self.validate(carry)
                return carry, *jax.device_get((logs, val_logs, steps, stopped))

            carry, logs, val_logs, steps, stopped = self.guarded(self.carry(), pass_through)
            return Outcome(carry.state, logs, val_logs, steps, stopped, time.perf_counter() - began)

        return work

    def rest_of_epoch(self, trained: Outcome) -> Callable[[], Outcome]:
        """The work of its epoch after a halt: the validation."""

        def work() -> Outcome:
            began = time.perf_counter()
            carry, val_logs = self.validate(self.carry())
            carry, val_logs = jax.block_until_ready((carry, jax.device_get(val_logs)))
            seconds = trained.seconds + time.perf_counter() - began
            return replace(trained, state=carry.state, val_logs=val_logs, seconds=seconds)

        return work

    def train(self, carry: Carry, orders: Sequence[Indices]) -> tuple[Carry, Mapping[str, Any]]:
        """Train on samples of the data on the device."""
        logs: Mapping[str, Any] = {}
        for order in orders:
            _, steps, batch = order.shape
            run = Run(True, self.fleet.at_once(steps), batch)
            for first in range(0, steps, run.steps):
                some = order[:, first : first + run.steps]
                carry, logs = self._call(run, carry, some, self.placed.training)
        return carry, logs

    def validate(self, carry: Carry) -> tuple[Carry, Mapping[str, Any]]:
        """Validate on the data on the device."""
        placed = self.placed
        carry = self.fleet.carry(carry.state, self.width)
        logs: Mapping[str, Any] = {}
        tests = self.lanes[0].tests
        orders = self.test_orders() if placed.own_tests else [None] * len(tests)
        for (start, steps, batch), order in zip(tests, orders, strict=True):
            run = Run(False, self.fleet.at_once(steps), batch, own=placed.own_tests)
            for first in range(0, steps, run.steps):
                place: Any = np.int32(start + first * batch)
                if order is not None:
                    place = order[:, first : first + run.steps]
                carry, logs = self._call(run, carry, place, placed.validation)
        return carry, logs

    def go_through(self, carry: Carry, training: bool, piece: Piece) -> tuple[Carry, Mapping[str, Any]]:
        """Train or test on batches that were read."""
        logs: Mapping[str, Any] = {}
        at_once = self.fleet.at_once(piece.steps)
        for first in range(0, piece.steps, at_once):
            some = piece if at_once == piece.steps else piece.cut(first, at_once)
            run = Run(training, some.steps, shapes=piece.shapes)
            carry, logs = self._call(run, carry, None, some.data)
        return carry, logs

    def guarded(self, carry: Carry, work: Callable[[Carry], Result]) -> Result:
        """Do work that uses a carry up, and wait for it.

        Raises:
            OutOfMemory: memory ran out, or would; with the carry, to go on from.
        """
        kept: Carry | None = carry
        if self.program.donates:  # what ran once at this width will run again
            kept = None if self.fleet.has_run(self.width) else jax.tree.map(np.array, carry)
        try:
            result: Result = jax.block_until_ready(work(carry))
        except Exception as error:
            if kept is None or not (isinstance(error, TooLarge) or is_out_of_memory(error)):
                raise
            raise OutOfMemory(str(error), kept, getattr(error, "fits", None)) from error
        self.fleet.note_run(self.width)
        return result

    def _call(self, run: Run, carry: Carry, order: Any, data: Any) -> Any:
        piece = self.program.compiled(run)
        if not self.fleet.has_run(self.width) and self.width > 1:
            needed, free = bytes_needed(piece), free_memory()
            if free is not None and needed > free:
                raise TooLarge(self.width, needed, free)
        return piece(carry, self._lifted, order, data)


class TooLarge(Exception):
    """A program would take more memory than is free."""

    def __init__(self, width: int, needed: int, free: int) -> None:
        super().__init__(f"{width} lanes at once would take {needed:,} bytes, and {free:,} are free")
        self.fits = max(1, width * free // needed)


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)
