"""A fleet: lanes that share one compiled program; and a chunk: some of them, on their way through an epoch.

In: lanes of one structure and their data. Out: chunks that a worker thread can run without touching
anything but arrays.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fairlane.engines.data.fit_data import Batches, FitData, Indices, validation_runs
from fairlane.engines.data.sources import Piece
from fairlane.engines.eligibility import TooLate
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.loops import Loop
from fairlane.engines.lanes.memory import OutOfMemory, bytes_needed, free_memory, is_out_of_memory
from fairlane.engines.program.compiled import Carry, Program, Run, on_device
from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.steps import Constants, OwnSteps, Steps, TemplateSteps
from fairlane.engines.program.tracing import needs_plain_recurrence
from fairlane.models import keras_private
from fairlane.trials import State

Result = TypeVar("Result")


class Shape(NamedTuple):
    """What an epoch looks like; lanes of one chunk have the same.

    Attributes:
        runs: the ``(steps, batch)`` of each run of batches, where they are not read.
        validates: whether it ends with validation.
        most_steps: how many of the batches that are read it takes, or None for all.
    """

    runs: tuple[tuple[int, int], ...]
    validates: bool
    most_steps: int | None


@dataclass(eq=False)
class Chunk:
    """Lanes that go through an epoch together.

    Attributes:
        lanes: the lanes, at most ``width``.
        width: of the program; places without a lane repeat the first and are thrown away.
        state: the stacked state.
        program: the program.
        lifted: the stacked numbers that the program takes.
        epochs: the epoch that each lane goes through.
        before: the stacked state at the beginning of that epoch, of lanes that may be stopped in the middle.
        trained: whether the state is one of the middle: trained, and still to be validated.
    """

    fleet: Fleet
    lanes: list[Lane]
    width: int
    state: State
    program: Program
    lifted: list[Any] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    before: State | None = None
    trained: bool = False

    def set_off(self, stops: bool) -> None:
        """Remember which epoch begins; and the state as it is, if the epoch ``stops`` on the way."""
        self.epochs, self.trained = [lane.epoch for lane in self.lanes], False
        kept = stops and not any(lane.job.in_place for lane in self.lanes)
        self.before = jax.tree.map(np.array, self.state) if kept else None

    def look_before(self, i: int) -> State | None:
        """Lane ``i``'s state at the beginning of the epoch, where it was kept."""
        return (
            None if self.before is None else State(*([a[i].copy() for a in group] for group in self.before))
        )

    def numbers(self) -> list[Numbers]:
        """The numbers of each place."""
        numbers = [lane.numbers for lane in self.lanes]
        return [*numbers, *numbers[:1] * (self.width - len(numbers))]

    def viewer(self, i: int) -> Callable[[], State]:
        """`look` for lane ``i``, to be called later."""
        return lambda: self.look(i)

    def look(self, i: int) -> State:
        """Lane ``i``'s state, copied: a view could be overwritten when the chunk runs again."""
        return State(*([np.asarray(a)[i].copy() for a in group] for group in self.state))

    def patch(self, changes: Mapping[int, State]) -> None:
        """Put new states in the place of some lanes'."""
        if not changes:
            return

        def put(stacked: Any, *rows: Any) -> Any:
            whole = np.array(stacked)
            for i, row in zip(changes, rows, strict=True):
                whole[i] = np.asarray(row)
            return jnp.asarray(whole)

        self.state = jax.tree.map(put, self.state, *changes.values())


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an epoch of a chunk gave.

    Attributes:
        state: the new stacked state.
        logs: training logs, an array over lanes each.
        val_logs: validation logs, or None.
        steps: steps done per lane, and whether its loss stopped being finite.
        seconds: wall-clock seconds in the worker.
    """

    state: State
    logs: Mapping[str, Any]
    val_logs: Mapping[str, Any] | None
    steps: Any
    stopped: Any
    seconds: float

    def steps_of(self, i: int) -> int | None:
        """How many steps lane ``i`` did before its loss stopped being finite, or None."""
        return int(self.steps[i]) if self.stopped[i] else None


@dataclass(eq=False)
class Fleet:
    """Lanes that share one compiled program.

    Attributes:
        number: its number in this run of the engine.
        data: what its lanes are trained on.
        loop: how its epochs are run.
        stop_on_nan: whether its lanes end an epoch at the first loss that is not finite.
        steps_per_execution: its models'.
        width: how many lanes go into a full chunk.
        static: whether all lanes have equal numbers, because they can't be lifted.
        shared: what its lanes have in common, their numbers left out.
        idle: lanes whose next epoch is drawn, and which wait for a chunk.
        lanes: how many it has that have not ended.
        failure: why its program can't be traced, or empty.
        pauses: whether its lanes' callbacks are called between training and validation.
        error: what was raised then.
        differing: places of numbers that are known to differ between lanes of this kind.
        steps: its traced steps, once there are any.
    """

    number: int
    data: FitData
    loop: Loop
    width: int
    stop_on_nan: bool
    steps_per_execution: int
    static: bool = False
    shared: Any = None
    idle: list[Lane] = field(default_factory=list)
    lanes: int = 0
    failure: str = ""
    pauses: bool = False
    error: BaseException | None = None
    differing: frozenset[Any] = frozenset()
    steps: Steps | None = None
    numbers: list[Numbers] = field(default_factory=list)
    programs: dict[int, Program] = field(default_factory=dict)
    metric_names: list[str] = field(default_factory=list)
    _training: Any = None
    _validation: Any = None
    _tests: list[tuple[int, int, int]] = field(default_factory=list)
    _rest: list[Any] = field(default_factory=list)
    _proven: set[int] = field(default_factory=set)
    _plain: bool = False

    def take_in(self, lane: Lane) -> None:
        """Count a lane in."""
        self.lanes += 1
        if self.steps is None:
            self.numbers.append(lane.numbers)
        elif lane.tracing is not None:
            lane.tracing.drop_programs()
        self.metric_names = self.metric_names or lane.metric_names
        lane.rename_logs(self.metric_names)

    def suits(self, lane: Lane) -> bool:
        """Whether the fleet's program, as far as there is one, can train the lane."""
        if self.steps is None:
            return True
        lift = self.steps.lift
        return self.differs_in(lane) <= set(lift.paths) and lift.agrees([lane.numbers])

    def differs_in(self, lane: Lane) -> set[Any]:
        """Where a lane's numbers are not those of the fleet's first."""
        return set(Lift.of([self.numbers[0], lane.numbers]).paths)

    def shape_of(self, lane: Lane) -> Shape:
        """What a lane's coming epoch looks like."""
        runs = tuple((int(run.shape[0]), int(run.shape[1])) for run in lane.runs)
        return Shape(runs, lane.validates_now(), None if lane.reading is None else lane.most_steps)

    def program(self, width: int, lane: Lane) -> Program:
        """The program of a width, made with ``lane`` as the template if there is none."""
        if width in self.programs:
            return self.programs[width]
        if self.steps is None:
            self.steps = self._steps_of(lane)
            self._place_data(lane)
        on_cpu = jax.default_backend() == "cpu"
        self.programs[width] = Program(
            self.steps,
            width,
            self.stop_on_nan,
            self.loop.stepwise,
            self._plain and (width > 1 or isinstance(self.steps, OwnSteps)),
            on_cpu=on_cpu,
            donates=on_cpu,
        )
        return self.programs[width]

    def _steps_of(self, lane: Lane) -> Steps:
        """The fleet's steps, of a lane's model."""
        guessed = () if self.static else [*guesses(lane), *self.differing]
        self._plain = needs_plain_recurrence(lane.model)
        if lane.tracing is not None:
            return OwnSteps(
                lane.tracing, Constants(()) if self.static else Constants.of(self.numbers, guessed)
            )
        lift = Lift.of(self.numbers, guessed)
        if self.static or not all_float32(lane.model):
            lift = Lift(())
        steps = TemplateSteps(lane.model, lane.structure, lift, lane.session)
        steps.take_over(lane.probe)
        return steps

    def width_for(self, lanes: Sequence[Lane], threads: int) -> int:
        """The width to run lanes at, full or what is left of them.

        The fleet's own, with places left empty, unless a narrower program would save more than it costs
        to compile.
        """
        narrow = max(1, math.ceil(min(self.lanes, len(lanes)) / threads))
        there = sorted(w for w in self.programs if w >= len(lanes))
        if not there or len(lanes) == there[0] or narrow >= there[0]:
            return there[0] if there else self.width
        left = max(lane.epochs - lane.epoch for lane in lanes)
        saving = left * self.loop.seconds.get(there[0], 0.0) * (1 - narrow / there[0])
        worth_it = saving > 2 * self.programs[there[0]].seconds_compiling
        return len(lanes) if worth_it else there[0]

    def go_stepwise(self) -> None:
        """From now on, dispatch batch by batch, each lane by itself."""
        self.loop, self.width = Loop(1, stepwise=True), 1
        self.programs.clear()

    def prepare(self, chunk: Chunk, executor: Executor, pieces: Sequence[tuple[bool, Any]] = ()) -> None:
        """Trace and compile what the chunk's coming epoch needs and is not there yet.

        Args:
            chunk: the chunk.
            executor: where to compile.
            pieces: of the batches that are read, which, and whether they are trained on.
        """
        wanted: dict[Run, tuple[Any, Any]] = {}
        for steps, batch in self.shape_of(chunk.lanes[0]).runs:
            run = Run(True, self.at_once(steps), batch)
            order = jax.ShapeDtypeStruct((chunk.width, run.steps, run.batch), "int32")
            wanted[run] = order, self._training
        for _, steps, batch in self._tests:
            run = Run(False, self.at_once(steps), batch)
            wanted[run] = jax.ShapeDtypeStruct((), "int32"), self._validation
        for training, piece in pieces:
            some = piece.cut(0, self.at_once(piece.steps))
            wanted[Run(training, some.steps, shapes=piece.shapes)] = None, some.data
        carry = _shapes(self.carry(chunk.state, chunk.width))
        self._trace_later(chunk, wanted)
        chunk.program.prepare(wanted, carry, chunk.numbers(), executor)
        chunk.lifted = chunk.program.steps.lift.values(chunk.numbers())

    def _trace_later(self, chunk: Chunk, wanted: Mapping[Run, tuple[Any, Any]]) -> None:
        """Trace steps for batches of a shape that was not known when the lanes were examined.

        Raises:
            TooLate: the model is traced otherwise now than then, or otherwise than other lanes'.
        """
        if not isinstance(self.steps, OwnSteps):
            return
        for kind in set(chunk.program.kinds(wanted).values()):
            for lane in chunk.lanes:
                if lane.traces_later(kind) and not self.steps.takes(lane.own_tracing(), kind):
                    raise TooLate("batches of another size came up, which its model treats otherwise")

    def epoch(self, chunk: Chunk) -> Callable[[], Outcome]:
        """The work of the chunk's coming epoch, up to a pause, to be done in a worker thread."""
        shape, orders = self.shape_of(chunk.lanes[0]), self.orders(chunk)

        def work() -> Outcome:
            began = time.perf_counter()

            def pass_through(carry: Carry) -> tuple[Carry, Mapping[str, Any], Any, Any, Any]:
                carry, logs = self.train(chunk, carry, orders)
                steps, stopped, val_logs = carry.steps, carry.stopped, None
                if shape.validates and not self.pauses:
                    carry, val_logs = self.validate(chunk, carry)
                return carry, *jax.device_get((logs, val_logs, steps, stopped))

            start = self.carry(chunk.state, chunk.width)
            carry, logs, val_logs, steps, stopped = self.guarded(chunk, start, pass_through)
            return Outcome(carry.state, logs, val_logs, steps, stopped, time.perf_counter() - began)

        return work

    def rest_of_epoch(self, chunk: Chunk, trained: Outcome) -> Callable[[], Outcome]:
        """The work of the chunk's epoch after a pause: the validation."""

        def work() -> Outcome:
            began = time.perf_counter()
            carry, val_logs = self.validate(chunk, self.carry(chunk.state, chunk.width))
            carry, val_logs = jax.block_until_ready((carry, jax.device_get(val_logs)))
            seconds = trained.seconds + time.perf_counter() - began
            return replace(trained, state=carry.state, val_logs=val_logs, seconds=seconds)

        return work

    def is_pause(self, chunk: Chunk, outcome: Outcome) -> bool:
        """Whether the chunk has been trained, and its validation is still to come."""
        return self.pauses and outcome.val_logs is None and chunk.lanes[0].validates_now()

    def orders(self, chunk: Chunk) -> list[Indices]:
        """The sample numbers of the chunk's coming epoch, ``(width, steps, batch)`` per run."""
        filled = [*chunk.lanes, *chunk.lanes[:1] * (chunk.width - len(chunk.lanes))]
        return [np.stack([lane.runs[i] for lane in filled]) for i in range(len(chunk.lanes[0].runs))]

    def train(self, chunk: Chunk, carry: Carry, orders: Sequence[Indices]) -> tuple[Carry, Mapping[str, Any]]:
        """Train on samples of the data on the device."""
        logs: Mapping[str, Any] = {}
        for order in orders:
            _, steps, batch = order.shape
            run = Run(True, self.at_once(steps), batch)
            for first in range(0, steps, run.steps):
                some = order[:, first : first + run.steps]
                carry, logs = self._call(chunk, run, carry, some, self._training)
        return carry, logs

    def validate(self, chunk: Chunk, carry: Carry) -> tuple[Carry, Mapping[str, Any]]:
        """Validate on the data on the device."""
        carry = self.carry(carry.state, chunk.width)
        logs: Mapping[str, Any] = {}
        for start, steps, batch in self._tests:
            run = Run(False, self.at_once(steps), batch)
            for first in range(0, steps, run.steps):
                place = np.int32(start + first * batch)
                carry, logs = self._call(chunk, run, carry, place, self._validation)
        return carry, logs

    def go_through(
        self, chunk: Chunk, carry: Carry, training: bool, piece: Piece
    ) -> tuple[Carry, Mapping[str, Any]]:
        """Train or test on batches that were read."""
        logs: Mapping[str, Any] = {}
        at_once = self.at_once(piece.steps)
        for first in range(0, piece.steps, at_once):
            some = piece if at_once == piece.steps else piece.cut(first, at_once)
            run = Run(training, some.steps, shapes=piece.shapes)
            carry, logs = self._call(chunk, run, carry, None, some.data)
        return carry, logs

    def carry(self, state: State, width: int) -> Carry:
        """The state with its metrics reset, at the start of a pass over data."""
        rest = [np.broadcast_to(r, (width, *r.shape)).copy() for r in self._rest]
        steps = np.zeros((width,), "int32")
        return Carry(state._replace(metrics=rest), steps, np.zeros((width,), bool))

    def at_once(self, steps: int) -> int:
        """How many of ``steps`` go into one dispatch."""
        return 1 if self.loop.stepwise else steps

    def guarded(self, chunk: Chunk, carry: Carry, work: Callable[[Carry], Result]) -> Result:
        """Do work that uses a carry up, and wait for it.

        Raises:
            OutOfMemory: memory ran out, or would; with the carry, to go on from.
        """
        kept: Carry | None = carry
        if chunk.program.donates:  # what ran once at this width will run again
            kept = None if chunk.width in self._proven else jax.tree.map(np.array, carry)
        try:
            result: Result = jax.block_until_ready(work(carry))
        except Exception as error:
            if kept is None or not (isinstance(error, TooLarge) or is_out_of_memory(error)):
                raise
            raise OutOfMemory(str(error), kept, getattr(error, "fits", None)) from error
        self._proven.add(chunk.width)
        return result

    def narrow(self, width: int) -> None:
        """From now on, run no more than ``width`` lanes at once."""
        self.width = min(self.width, width)
        self.programs = {w: program for w, program in self.programs.items() if w <= self.width}

    def _call(self, chunk: Chunk, run: Run, carry: Carry, order: Any, data: Any) -> Any:
        piece = chunk.program.compiled(run)
        if chunk.width not in self._proven and chunk.width > 1:
            needed, free = bytes_needed(piece), free_memory()
            if free is not None and needed > free:
                raise TooLarge(chunk.width, needed, free)
        return piece(carry, chunk.lifted, order, data)

    def _place_data(self, lane: Lane) -> None:
        self._rest = lane.rest
        if isinstance(self.data.training, Batches):
            self._training = on_device(self.data.training)
        if isinstance(self.data.validation, Batches):
            self._validation = on_device(self.data.validation)
            self._tests = validation_runs(self.data.validation, self.steps_per_execution)


class TooLarge(Exception):
    """A program would take more memory than is free."""

    def __init__(self, width: int, needed: int, free: int) -> None:
        super().__init__(f"{width} lanes at once would take {needed:,} bytes, and {free:,} are free")
        self.fits = max(1, width * free // needed)


def stacked(states: Sequence[State], width: int) -> State:
    """States → one with an axis in front, filled up to ``width`` with the first."""
    filled = [*states, *[states[0]] * (width - len(states))]
    together: State = jax.tree.map(lambda *a: jnp.asarray(np.stack([np.asarray(x) for x in a])), *filled)
    return together


def guesses(lane: Lane) -> list[Any]:
    """Places whose number is one of the trial's varying hyperparameters: other trials will differ there."""
    numbers, varying = lane.numbers.items(), lane.job.varying
    if lane.tracing is None:
        return [p for p, v in numbers if isinstance(v, (int, float)) and v in varying]
    # Where constants are, they have been calculated with: 1 - rate, 1 / rate.
    derived = {float(np.float32(f(v))) for v in varying for f in _DERIVED if v}
    return [p for p, v in numbers if v.ndim == 0 and v.dtype == np.float32 and float(v) in derived]


_DERIVED: tuple[Callable[[float], float], ...] = (lambda v: v, lambda v: -v, lambda v: 1 - v, lambda v: 1 / v)


def all_float32(model: keras.Model) -> bool:
    """Whether nothing in the model computes in another precision, where lifted numbers would round so."""
    layers = keras_private.all_layers(model)
    return all(
        {layer.dtype_policy.compute_dtype, layer.dtype_policy.variable_dtype} <= {"float32"}
        for layer in layers
        if hasattr(layer, "dtype_policy")
    )


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)
