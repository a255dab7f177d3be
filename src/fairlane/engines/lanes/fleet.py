"""A fleet: lanes that share one compiled program.

In: lanes of one structure, and their data. Out: programs of several widths for them, and the data on the
device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import keras
import numpy as np

from fairlane.engines.data.fit_data import Batches, FitData
from fairlane.engines.lanes.examination import Examination
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.loops import Loop
from fairlane.engines.program.compiled import Carry, Program, Shelf
from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.sizes.family import FamilySteps
from fairlane.engines.program.sizes.run import shapes_of_one as shapes_of
from fairlane.engines.program.steps import Constants, OwnSteps, Steps, StepsOfOne, TemplateSteps
from fairlane.engines.program.tracing import needs_plain_recurrence
from fairlane.models import keras_private
from fairlane.models.session import Session
from fairlane.trials import Arrays, State

_MOST_GATHERED = 64
"""How many lanes a fleet whose models differ in sizes waits for, before its program is made."""


@dataclass(frozen=True, eq=False)
class Placed:
    """What all lanes of a chunk are trained on, on the device.

    Attributes:
        training: the training samples, where they are kept there.
        validation: the validation samples, likewise.
        own_tests: whether each lane has validation samples of its own among these.
    """

    training: Any
    validation: Any
    own_tests: bool

    @classmethod
    def of(cls, data: FitData, shelf: Shelf) -> Placed:
        """Put the data on the device, as far as they are not read while lanes train."""
        training = shelf.put(data.training) if isinstance(data.training, Batches) else None
        if not isinstance(data.validation, Batches):
            return cls(training, None, False)
        return cls(training, shelf.put(data.validation), data.validation.rows is not None)


@dataclass(frozen=True, eq=False)
class Kinship:
    """What lanes of one fleet have in common.

    Attributes:
        shared: equal for lanes that may be in one fleet, their numbers left out.
        stop_on_nan: whether they end an epoch at the first loss that is not finite.
        steps_per_execution: their models'.
        halts: whether callbacks are called between training and validation.
        static: whether all have equal numbers, because these can't be inputs of the program.
        family: whether their models may differ in sizes.
        alike: equal for those that do the same, on arrays of any sizes; empty where that is not known.
        kind: equal for those that do the same, on arrays of any sizes.
        scale: how large their models are, roughly.
        group: which group of sizes it is, where models of its kind were divided; else None.
    """

    shared: Any
    stop_on_nan: bool
    steps_per_execution: int
    halts: bool
    static: bool = False
    family: bool = False
    alike: Any = ""
    kind: Any = ""
    scale: int = 0
    group: int | None = None


class Member(NamedTuple):
    """A model of a structure that a fleet has.

    Attributes:
        model: the model.
        session: of its trial.
        examination: of the model.
        state: the shapes and dtypes of its state.
        varies: whether whole numbers are among the hyperparameters that other trials have otherwise.
    """

    model: keras.Model
    session: Session
    examination: Examination
    state: State
    varies: bool

    @classmethod
    def of(cls, lane: Lane) -> Member:
        """That of a lane."""
        varies = any(isinstance(value, int) for value in lane.job.varying)
        return cls(lane.model, lane.session, lane.examination, shapes_of(lane.own_state()), varies)


@dataclass(eq=False)
class Fleet:
    """Lanes that share one compiled program.

    Attributes:
        number: its number in this run of the engine.
        kin: what its lanes have in common.
        loop: how its epochs are run.
        width: how many lanes go into a full chunk.
        shelf: where its data are put on the device.
        differing: places of numbers that are known to differ between lanes of this kind.
        lanes: how many it has that have not ended.
        failure: why its program can't be traced, or empty.
        error: what was raised then.
        steps: its traced steps, once there are any.
        apart: why it has no models of other sizes, where others are there that do the same; or empty.
    """

    number: int
    kin: Kinship
    loop: Loop
    width: int
    shelf: Shelf
    differing: frozenset[Any] = frozenset()
    lanes: int = 0
    failure: str = ""
    error: BaseException | None = None
    steps: Steps | None = None
    apart: str = ""
    _numbers: list[Numbers] = field(default_factory=list)
    _members: dict[Any, Member] = field(default_factory=dict)
    _programs: dict[int, Program] = field(default_factory=dict)
    _metric_names: list[str] = field(default_factory=list)
    _proven: set[int] = field(default_factory=set)
    _rest: Arrays = field(default_factory=list)
    _plain: bool = False
    _shapes: set[Any] = field(default_factory=set)
    _has_room: bool = False
    _complete: bool = False
    _refused: set[Any] = field(default_factory=set)

    # --- its lanes ----------------------------------------------------------------------------------

    def take_in(self, lane: Lane) -> None:
        """Count a lane in."""
        self.lanes += 1
        self._shapes.add(_shapes(lane.own_state()))
        if self.steps is None:
            self._numbers.append(lane.examination.numbers)
            if lane.examination.likeness() not in self._members:
                self._members[lane.examination.likeness()] = Member.of(lane)
        elif lane.examination.tracing is not None:
            lane.examination.tracing.drop_programs()
        self._metric_names = self._metric_names or lane.metric_names
        lane.rename_logs(self._metric_names)

    def let_go(self) -> None:
        """Count a lane out."""
        self.lanes -= 1

    def suits(self, lane: Lane) -> bool:
        """Whether the fleet's program, as far as there is one, can train the lane."""
        if self.steps is None:
            return True
        if lane.examination.likeness() not in self._members:
            return False
        lift = self.steps.lift
        return self.differs_in(lane) <= set(lift.paths) and lift.agrees([lane.examination.numbers])

    def follow(self, other: Fleet) -> None:
        """Have another fleet's models too, so that lanes of sizes in between can join this one later."""
        steps = other.steps
        for key in steps.witnesses() if isinstance(steps, FamilySteps) else other._members:
            self._members[key] = member = other._members[key]
            self._numbers.append(member.examination.numbers)

    def join(self, lane: Lane) -> bool:
        """Take in the model of a lane, of a size that no other lane has, if the programs are right for it."""
        key, numbers = lane.examination.likeness(), lane.examination.numbers
        steps = self.steps
        if not isinstance(steps, FamilySteps) or key in self._refused or key in self._members:
            return False
        if not (self.differs_in(lane) <= set(steps.lift.paths) and steps.lift.agrees([numbers])):
            return False
        member = Member.of(lane)
        own, uniform = _steps_of_member(member, steps.plain), member.examination.uniform
        if not steps.join(key, own, member.state, [numbers], uniform):
            self._refused.add(key)
            return False
        self._members[key] = member
        return True

    @property
    def lacks_room(self) -> bool:
        """Whether models may be added that come later."""
        return self.kin.family and self.steps is None and not self._has_room

    def make_room(self, members: Sequence[Member]) -> None:
        """Know models that no lane has yet, before there is a program."""
        self._has_room = True
        for member in members:
            self._members.setdefault(member.examination.likeness(), member)
            self._numbers.append(member.examination.numbers)

    @property
    def divisible(self) -> Mapping[Any, Member]:
        """Its models, where padding costs something, and neither is there a program nor are more to come."""
        free = jax.default_backend() != "cpu" or self._has_room or not self.kin.family
        return {} if free or self.steps is not None else self._members

    def has_size_of(self, lane: Lane) -> bool:
        """Whether one of its models has arrays of the shapes that a lane's has."""
        shapes = _shapes(lane.own_state())
        return any(_shapes(member.state) == shapes for member in self._members.values())

    def differs_in(self, lane: Lane) -> set[Any]:
        """Where a lane's numbers are not those of the fleet's first."""
        return set(Lift.of([self._numbers[0], lane.examination.numbers]).paths)

    def fail(self, reason: str, error: BaseException) -> None:
        """Note that its program can't be traced: its lanes are to run elsewhere."""
        self.failure, self.error = reason, error

    @property
    def padded(self) -> State | None:
        """The shapes that its lanes' states are padded to; None where all have the same."""
        return self.steps.padded if isinstance(self.steps, FamilySteps) else None

    @property
    def gathers(self) -> bool:
        """Whether it is worth waiting for more lanes, which probably have models of other sizes."""
        waits = self.lacks_room and self.lanes < _MOST_GATHERED
        return waits and any(member.varies for member in self._members.values())

    def settle(self, threads: int) -> None:
        """Know that no more lanes come now: no program need be wider than those that are there."""
        self._complete = True
        if self.steps is None and len(self._members) > 1:
            self.width = min(self.width, max(1, math.ceil(self.lanes / threads)))

    def loop_name(self, width: int) -> str:
        """How its epochs are run, such as ``scan×8``, or ``scan×8, 16 sizes``."""
        return self.loop.name(width) + (f", {len(self._shapes)} sizes" if len(self._shapes) > 1 else "")

    # --- its programs -------------------------------------------------------------------------------

    def placed(self, lane: Lane) -> Placed:
        """What a lane, and those of its chunk, are trained on, on the device."""
        return Placed.of(lane.data, self.shelf)

    def program(self, width: int, lane: Lane) -> Program:
        """The program of a width, made with ``lane`` as the template if there is none."""
        if width in self._programs:
            return self._programs[width]
        if self.steps is None:
            self.steps = self._steps_of(lane)
            self._rest = lane.rest
        on_cpu = jax.default_backend() == "cpu"
        self._programs[width] = Program(
            self.steps,
            width,
            self.kin.stop_on_nan,
            self.loop.stepwise,
            self._plain and (width > 1 or isinstance(self.steps, OwnSteps)),
            on_cpu=on_cpu,
            donates=on_cpu,
            epochs=lane.job.epochs,
        )
        return self._programs[width]

    def _steps_of(self, lane: Lane) -> Steps:
        """The fleet's steps, of a lane's model."""
        static = self.kin.static
        guessed = () if static else [*guesses(lane), *self.differing]
        if len(self._members) > 1:
            return self._steps_of_family(guessed)
        self._plain = needs_plain_recurrence(lane.model)
        examination = lane.examination
        if examination.tracing is not None:
            constants = Constants(()) if static else Constants.of(self._numbers, guessed)
            return OwnSteps(examination.tracing, constants)
        lift = Lift.of(self._numbers, guessed)
        if static or not all_float32(lane.model):
            lift = Lift(())
        steps = TemplateSteps(lane.model, examination.structure, lift, partial(_again, lane.session))
        steps.take_over(examination.probe)
        return steps

    def _steps_of_family(self, guessed: Sequence[Any]) -> Steps:
        """The steps of models that differ in sizes."""
        members = self._members.values()
        self._plain = any(needs_plain_recurrence(member.model) for member in members)
        exact = all(all_float32(member.model) for member in members)
        own = all(member.examination.tracing is not None for member in members)
        lift: type[Lift] = Constants if own else Lift
        plain = lift.of(self._numbers, guessed) if exact or own else Lift(())
        steps = {key: _steps_of_member(member, plain) for key, member in self._members.items()}
        states = {key: member.state for key, member in self._members.items()}
        known = {key: member.examination.uniform for key, member in self._members.items()}
        uniform = {key: one for key, one in known.items() if one is not None}
        return FamilySteps(steps, states, uniform, plain, self._numbers)

    def width_for(self, lanes: Sequence[Lane], threads: int) -> int:
        """The width to run lanes at, full or what is left of them.

        The fleet's own, with places left empty, unless a narrower program would save more than it costs
        to compile.
        """
        narrow = max(1, math.ceil(min(self.lanes, len(lanes)) / threads))
        there = sorted(w for w in self._programs if w >= len(lanes))
        if not there:  # of a kind of which fewer came than was thought, none need be empty
            return len(lanes) if self._complete and not self._programs else self.width
        if len(lanes) == there[0] or narrow >= there[0]:
            return there[0]
        known = sum(steps for steps, _ in lanes[0].order.shapes)
        left = max(lane.epochs - lane.epoch for lane in lanes) * (known or self.loop.batches)
        return len(lanes) if self._programs[there[0]].narrower_pays(narrow, left) else there[0]

    def go_stepwise(self) -> None:
        """From now on, dispatch batch by batch, each lane by itself."""
        self.loop, self.width = Loop(1, stepwise=True), 1
        self._programs.clear()

    def narrow(self, width: int) -> None:
        """From now on, run no more than ``width`` lanes at once."""
        self.width = min(self.width, width)
        self._programs = {w: program for w, program in self._programs.items() if w <= self.width}

    def has_run(self, width: int) -> bool:
        """Whether a program of a width has run, so that there is memory for it."""
        return width in self._proven

    def note_run(self, width: int) -> None:
        """A program of a width has run."""
        self._proven.add(width)
        if isinstance(self.steps, FamilySteps):
            kept = set(self.steps.witnesses())
            for key, member in self._members.items():
                if key not in kept:  # its steps are part of the program now
                    member.examination.probe = {}

    def at_once(self, steps: int) -> int:
        """How many of ``steps`` go into one dispatch."""
        return 1 if self.loop.stepwise else steps

    def carry(self, state: State, width: int) -> Carry:
        """The state with its metrics reset, at the start of a pass over data."""
        rest = [np.broadcast_to(r, (width, *r.shape)).copy() for r in self._rest]
        steps = np.zeros((width,), "int32")
        return Carry(state._replace(metrics=rest), steps, np.zeros((width,), bool))


def _shapes(state: State) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(np.shape(array)) for array in state.flat())


def _steps_of_member(member: Member, plain: Lift) -> StepsOfOne:
    """The steps of one of the models of a fleet."""
    examination = member.examination
    if examination.tracing is not None:
        return OwnSteps(examination.tracing, plain)
    steps = TemplateSteps(member.model, examination.structure, plain, partial(_again, member.session))
    steps.take_over(examination.probe)
    return steps


def _again(session: Session) -> Session:
    return session


def guesses(lane: Lane) -> list[Any]:
    """Places whose number is one of the trial's varying hyperparameters: other trials will differ there."""
    numbers, varying = lane.examination.numbers.items(), lane.job.varying
    if lane.examination.tracing is None:
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
