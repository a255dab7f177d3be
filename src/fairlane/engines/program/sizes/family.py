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

from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.sizes.aligned import CannotUnify
from fairlane.engines.program.sizes.run import run, shapes_of
from fairlane.engines.program.sizes.table import PLACES, Table
from fairlane.engines.program.steps import TemplateSteps
from fairlane.engines.program.tracing import Kind, Step, batch_of
from fairlane.kit.error_text import first_line
from fairlane.trials import State

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

    members: Mapping[str, TemplateSteps]
    states: Mapping[str, State]
    plain: Lift
    numbers: Sequence[Numbers]
    lift: Lift = field(init=False)
    _table: Table = field(default_factory=Table)
    _steps: dict[Kind, Step] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sized = self.lift = SizedLift(self.plain, self._table, list(self.members))

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
            steps.prepare(new, self.states[key], own)
        self._sized.follow()
        inputs = [jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for v in self.plain.values(own)]
        for kind in new:
            self._steps[kind] = self._unified(kind, inputs)

    def step(self, kind: Kind) -> Step:
        """See `fairlane.engines.program.steps.Steps`."""
        return self._steps[kind]

    def _unified(self, kind: Kind, inputs: Sequence[Any]) -> Step:
        steps = [member.step(kind) for member in self.members.values()]

        def of_lane(numbers: Sequence[Any], row: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
            table = self._table.read(*row)
            try:
                return run([step.program for step in steps], table, [*numbers, *arrays])
            except (AssertionError, LookupError, TypeError, ValueError) as error:
                # A form of an operation that its rule does not know: it is refused, as an unknown operation.
                text = f"{type(error).__name__}: {first_line(error)}"
                raise CannotUnify(
                    f"an operation on arrays of different sizes is not known ({text})"
                ) from error

        batch = jax.tree.leaves(batch_of(kind))
        arrays = [*self.padded.flat(), *batch]
        rows = [jax.ShapeDtypeStruct((PLACES,), dtype) for dtype in ("int32", "float32")]
        return Step(jax.make_jaxpr(of_lane)(list(inputs), rows, arrays), steps[0].out)
