"""The steps of a fleet whose models differ in sizes: one program on padded arrays.

In: a model of each structure. Out: `FamilySteps`, which take the padded state of a lane, its numbers, and the
row of its model: its sizes and constants.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
from fairlane.engines.program.sizes.symbols import Env
from fairlane.engines.program.sizes.table import PLACES, Row, Table
from fairlane.engines.program.sizes.uniform import Uniform
from fairlane.engines.program.steps import OwnSteps, StepsOfOne, TemplateSteps
from fairlane.engines.program.structure import Structure
from fairlane.engines.program.tracing import DoesNotTrace, Kind, Shown, Step, batch_of
from fairlane.kit.error_text import first_line
from fairlane.trials import State

MOST = 128
"""How many models of other sizes share a program at most: they are kept while it is."""

_FEW = 6
"""Up to so many models are traced one by one, to see whether the others' own sizes are known then."""

MEMBER: Any = ("the structure of the model",)
"""The place among a lane's numbers that says which of the models it has."""


class SizedLift(Lift):
    """The numbers of lanes of several models: what is a lane's own, and the row of its model.

    Args:
        plain: which numbers are a lane's own.
        table: what differs between the models.
    """

    def __init__(self, plain: Lift, table: Table) -> None:
        super().__init__(plain.paths)
        self._plain, self._table = plain, table
        self._rows: dict[str, int | Row] = {}

    def agrees(self, lanes: Sequence[Numbers]) -> bool:
        """As of the lane's own numbers."""
        return self._plain.agrees(lanes)

    def values(self, lanes: Sequence[Numbers]) -> list[jax.Array]:
        """The program's inputs for these lanes: the numbers, then ``(lanes, PLACES)`` int32, and float32."""
        rows = [self._table.arrays(self._row(lane[MEMBER])) for lane in lanes]
        integers, numbers = (jnp.asarray(np.stack(column)) for column in zip(*rows, strict=True))
        return [*self._plain.values(lanes), integers, numbers]

    def _row(self, member: str) -> Row:
        row = self._rows[member]
        return self._table.row(row) if isinstance(row, int) else row

    def know(self, member: str, row: int | Row) -> None:
        """Know a model: which row of the table is its own, or what it has instead of one."""
        self._rows[member] = row

    def follow(self) -> None:
        """Take over what tracing has found out of the lanes' own numbers."""
        self.paths = self._plain.paths


@dataclass(eq=False)
class FamilySteps:
    """The steps of models that differ in sizes.

    Attributes:
        members: the key of each structure → its steps.
        states: likewise, the shapes and dtypes of a state.
        uniform: likewise, of those whose steps need not be traced: what is known of them.
        plain: which numbers are a lane's own.
        numbers: those of the lanes that were there when the steps were made, of each model at least once.
        lift: which numbers are a lane's own; and its sizes.
    """

    members: dict[str, StepsOfOne]
    states: dict[str, State]
    uniform: dict[str, Uniform]
    plain: Lift
    numbers: Sequence[Numbers]
    lift: Lift = field(init=False)
    _table: Table = field(default_factory=Table)
    _steps: dict[Kind, Step] = field(default_factory=dict)
    _own: dict[str, dict[Kind, Step]] = field(default_factory=dict)
    _rows: dict[Uniform, Callable[[Env], Row | None]] = field(default_factory=dict)
    _shown: list[Shown] = field(default_factory=list)
    _inputs: Sequence[Any] = ()

    def __post_init__(self) -> None:
        self._sized = self.lift = SizedLift(self.plain, self._table)

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
        earlier = bool(self._steps)
        missing: Sequence[str] = list(self._own) if earlier else self._to_trace()
        while missing:
            for key in missing:
                self._own.setdefault(key, {}).update(
                    self._traced(self.members[key], self.states[key], own, new)
                )
            self._sized.follow()
            self._inputs = [jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for v in self.plain.values(own)]
            missing = self._unify(new)
            if missing and earlier:
                raise CannotUnify("a batch of another size appeared, for which a model's sizes are not known")
        self._forget()

    def _to_trace(self) -> list[str]:
        """The members to be traced: the smallest and largest, and those of which nothing is known."""
        extremes = set(_extremes([_lengths(state) for state in self.states.values()]))
        return [key for i, key in enumerate(self.members) if i in extremes or key not in self.uniform]

    def _unify(self, kinds: Sequence[Kind]) -> Sequence[str]:
        """Make one step of those that were traced, of each kind, and find what the others have of their own.

        Returns:
            Those of the others of which it is not known, so that they must be traced.
        """
        if not self._steps.keys() - kinds:
            self._table.clear()
        for kind in kinds:
            self._steps[kind] = self._unified([own[kind] for own in self._own.values()], kind, self._table)
        for i, key in enumerate(self._own):
            self._sized.know(key, i)
        self._rows.clear()
        found = {key: self._row_known(key, self.uniform[key]) for key in self.members if key not in self._own}
        for key, row in found.items():
            if row is not None:
                self._sized.know(key, row)
        missing = [key for key, row in found.items() if row is None]
        one_by_one = len(self._own) < _FEW and _unknown not in self._rows.values()
        return missing[:1] if one_by_one else missing

    def _row_known(self, key: str, uniform: Uniform) -> Row | None:
        """What a model has of its own, where its steps need not be traced."""
        if uniform not in self._rows:
            envs = [uniform.env(self._structure(one), self.states[one]) for one in self._own]
            known = [env for env in envs if env is not None]
            complete = len(known) == len(envs)
            self._rows[uniform] = (uniform.rows(self._table, known) if complete else None) or _unknown
        env = uniform.env(self._structure(key), self.states[key])
        return None if env is None else self._rows[uniform](env)

    def _structure(self, key: str) -> Structure:
        steps = self.members[key]
        return steps.structure if isinstance(steps, TemplateSteps) else Structure("", {}, {})

    def _forget(self) -> None:
        """Keep what was traced of those members only beside which others join: it takes megabytes of each."""
        for key in self._own.keys() - set(self.witnesses()):
            self.members[key].forget(list(self._own[key]))
            self._own[key] = {}

    def join(
        self,
        key: str,
        steps: StepsOfOne,
        state: State,
        lanes: Sequence[Numbers],
        uniform: Uniform | None = None,
    ) -> bool:
        """Take in another model, if the programs that are there are right for it as they are.

        Args:
            key: of its structure.
            steps: its own.
            state: the shapes and dtypes of its state.
            lanes: the numbers of some lanes.
            uniform: what is known of its steps from models of other sizes; None where they must be traced.

        Returns:
            Whether it was taken in: the programs are right for it.
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
        if uniform is not None:
            self.members[key], self.states[key] = steps, state
            row = self._row_known(key, uniform)
            if row is not None:
                self.uniform[key] = uniform
                self._sized.know(key, row)
                return True
            del self.members[key], self.states[key]
        return self._join_traced(key, steps, state, lanes)

    def _join_traced(self, key: str, steps: StepsOfOne, state: State, lanes: Sequence[Numbers]) -> bool:
        """Take in a model whose steps, unified with the others', give the same programs."""
        try:
            own = self._traced(steps, state, lanes, list(self._steps))
        except (CannotLift, DoesNotTrace):
            return False
        row = self._row_of(own, self.witnesses())
        if row is None:
            return False
        self._table.extend(row)
        self._sized.know(key, len(self._own))
        self.members[key], self.states[key], self._own[key] = steps, state, own
        self._rows.clear()
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
        keys = list(self._own)
        columns = [*self._table.integers, *self._table.numbers]
        rows = [(*lengths, *own) for lengths, *own in zip(map(self._lengths_of, keys), *columns, strict=True)]
        return [keys[i] for i in _extremes(rows)]

    def _lengths_of(self, key: str) -> Sequence[int]:
        return _lengths(self.states[key])

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


def _lengths(state: State) -> list[int]:
    """How long the axes of all arrays are."""
    return [n for array in state.flat() for n in array.shape]


def _extremes(rows: Sequence[Sequence[float]]) -> list[int]:
    """The rows that have the smallest or the largest value of a column."""
    columns = zip(*rows, strict=True)
    return sorted({int(one) for column in columns for one in (np.argmin(column), np.argmax(column))})


def _unknown(env: Env) -> None:
    """Nothing is known of a model's own row."""
