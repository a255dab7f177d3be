"""The steps of a fleet whose models differ in sizes: one program on padded arrays.

In: a model of each structure. Out: `FamilySteps`, which take the padded state of a lane, its numbers, and the
row of its model: its sizes and constants.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fairlane.engines.program.expressions import CannotLift
from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.sizes.aligned import CannotUnify
from fairlane.engines.program.sizes.known import same_step, shown_by, steps_of
from fairlane.engines.program.sizes.run import run, shapes_of
from fairlane.engines.program.sizes.table import PLACES, Row, Table
from fairlane.engines.program.steps import OwnSteps, StepsOfOne
from fairlane.engines.program.tracing import DoesNotTrace, Kind, Shown, Step, batch_of
from fairlane.kit.error_text import first_line
from fairlane.trials import State

MOST = 128
"""How many models of other sizes share a program at most: they are kept while it is."""

MEMBER: Any = ("the structure of the model",)
"""The place among a lane's numbers that says which of the models it has."""


class SizedLift(Lift):
    """The numbers of lanes of several models: what is a lane's own, and the row of its model.

    Args:
        plain: which numbers are a lane's own.
        table: what differs between the models.
        members: the key of each structure, in the order of the table's rows.
    """

    def __init__(self, plain: Lift, table: Table, members: Sequence[str]) -> None:
        super().__init__(plain.paths)
        self._plain, self._table = plain, table
        self._rows = {key: i for i, key in enumerate(members)}

    def agrees(self, lanes: Sequence[Numbers]) -> bool:
        """As of the lane's own numbers."""
        return self._plain.agrees(lanes)

    def values(self, lanes: Sequence[Numbers]) -> list[jax.Array]:
        """The program's inputs for these lanes: the numbers, then ``(lanes, PLACES)`` int32, and float32."""
        rows = [self._table.rows(self._rows[lane[MEMBER]]) for lane in lanes]
        integers, numbers = (jnp.asarray(np.stack(column)) for column in zip(*rows, strict=True))
        return [*self._plain.values(lanes), integers, numbers]

    def add(self, member: str) -> None:
        """Know another model, which the table has a row for."""
        self._rows[member] = len(self._rows)

    def follow(self) -> None:
        """Take over what tracing has found out of the lanes' own numbers."""
        self.paths = self._plain.paths


@dataclass(eq=False)
class FamilySteps:
    """The steps of models that differ in sizes.

    Attributes:
        members: the key of each structure → its steps.
        states: likewise, the shapes and dtypes of a state.
        plain: which numbers are a lane's own.
        numbers: those of the lanes that were there when the steps were made, of each model at least once.
        lift: which numbers are a lane's own; and its sizes.
    """

    members: dict[str, StepsOfOne]
    states: dict[str, State]
    plain: Lift
    numbers: Sequence[Numbers]
    lift: Lift = field(init=False)
    _table: Table = field(default_factory=Table)
    _steps: dict[Kind, Step] = field(default_factory=dict)
    _own: dict[str, dict[Kind, Step]] = field(default_factory=dict)
    _shown: list[Shown] = field(default_factory=list)
    _inputs: Sequence[Any] = ()

    def __post_init__(self) -> None:
        self._sized = self.lift = SizedLift(self.plain, self._table, list(self.members))
        self._own = {key: {} for key in self.members}

    @cached_property
    def padded(self) -> State:
        """The shapes and dtypes of a state that each model's fits into."""
        sizes = next(iter(self.states.values())).sizes
        return State.of_flat(shapes_of([state.flat() for state in self.states.values()]), sizes)

    def prepare(self, kinds: Collection[Kind], state: State, lanes: Sequence[Numbers]) -> None:
        """See `fairlane.engines.program.steps.Steps`."""
        new = [kind for kind in kinds if kind not in self._steps]
        if not new:
            return
        if any(len({np.shape(lane[path]) for lane in self.numbers}) > 1 for path in self.plain.paths):
            raise CannotUnify("the models have arrays of constants of different sizes")
        own = [{path: value for path, value in lane.items() if path != MEMBER} for lane in lanes]
        for key, steps in self.members.items():
            self._own[key] |= self._traced(steps, self.states[key], own, new)
        self._sized.follow()
        self._inputs = [jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for v in self.plain.values(own)]
        for kind in new:
            self._steps[kind] = self._unified([own[kind] for own in self._own.values()], kind, self._table)
        self._forget()

    def _forget(self) -> None:
        """Keep what was traced of those members only beside which others join: it takes megabytes of each."""
        for key in self.members.keys() - set(self.witnesses()):
            self.members[key].forget(list(self._own[key]))
            self._own[key] = {}

    def join(self, key: str, steps: StepsOfOne, state: State, lanes: Sequence[Numbers]) -> bool:
        """Take in another model, if the programs that are there are right for it as they are.

        Args:
            key: of its structure.
            steps: its own.
            state: the shapes and dtypes of its state.
            lanes: the numbers of some lanes.

        Returns:
            Whether it was taken in: its steps were unified with the others', and gave the same programs.
        """
        fits = all(
            len(own.shape) == len(room.shape) and all(map(int.__le__, own.shape, room.shape))
            for own, room in zip(state.flat(), self.padded.flat(), strict=True)
        )
        alike = all(
            np.shape(lane[path]) == np.shape(self.numbers[0][path])
            for lane in lanes
            for path in self.plain.paths
        )
        if not (fits and alike) or len(self.members) >= MOST:
            return False
        try:
            own = self._traced(steps, state, lanes, list(self._steps))
        except (CannotLift, DoesNotTrace):
            return False
        row = self._row_of(own, self.witnesses())
        if row is None:
            return False
        self._table.extend(row)
        self.members[key], self.states[key], self._own[key] = steps, state, own
        self._sized.add(key)
        self._forget()
        return True

    def step(self, kind: Kind) -> Step:
        """See `fairlane.engines.program.steps.Steps`."""
        return self._steps[kind]

    def _traced(
        self, steps: StepsOfOne, state: State, lanes: Sequence[Numbers], kinds: Sequence[Kind]
    ) -> dict[Kind, Step]:
        """The steps of one model."""

        def trace(kinds: Sequence[Kind]) -> Mapping[Kind, Step]:
            steps.prepare(kinds, state, lanes)
            return {kind: steps.step(kind) for kind in kinds}

        if not self.plain.paths or isinstance(steps, OwnSteps):  # they are there already
            return dict(trace(kinds))
        found = steps_of(trace, kinds, self._shown)
        if found is not None:
            return dict(found[0])
        traced = trace(kinds)
        self._shown.append(shown_by(traced))
        return dict(traced)

    def witnesses(self) -> Sequence[str]:
        """Some members that probably differ wherever any do, and are smallest and largest."""
        keys = list(self.members)
        columns = [*self._table.integers, *self._table.numbers]
        shapes = [[a.shape for a in state.flat()] for state in self.states.values()]
        columns += list(zip(*([n for shape in one for n in shape] for one in shapes), strict=True))
        some = {extreme for column in columns for extreme in (np.argmin(column), np.argmax(column))}
        return [keys[i] for i in sorted(some)]

    def _row_of(self, own: Mapping[Kind, Step], witnesses: Sequence[str]) -> Row | None:
        """What a model has of its own, found beside some members; None where the programs would change."""
        table = Table()
        if any(kind not in self._own[key] for kind in self._steps for key in witnesses):
            return None  # one of them was no witness when its steps were traced
        for kind, step in self._steps.items():
            try:
                unified = self._unified([*(self._own[w][kind] for w in witnesses), own[kind]], kind, table)
            except CannotUnify:
                return None
            if not same_step(unified, step):
                return None
        return table.row(len(witnesses))

    def _unified(self, steps: Sequence[Step], kind: Kind, table: Table) -> Step:
        def of_lane(numbers: Sequence[Any], row: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
            try:
                return run([step.program for step in steps], table.read(*row), [*numbers, *arrays])
            except (AssertionError, LookupError, TypeError, ValueError) as error:
                # A form of an operation that its rule does not know: it is refused, as an unknown operation.
                text = f"{type(error).__name__}: {first_line(error)}"
                raise CannotUnify(
                    f"an operation on arrays of different sizes is not known ({text})"
                ) from error

        batch = jax.tree.leaves(batch_of(kind))
        arrays = [*self.padded.flat(), *batch]
        rows = [jax.ShapeDtypeStruct((PLACES,), dtype) for dtype in ("int32", "float32")]
        return Step(jax.make_jaxpr(of_lane)(list(self._inputs), rows, arrays), steps[0].out)
