"""The steps that the lanes of a fleet share.

In: models, or their `Tracing`. Out: `Steps`, from which a program is made. Two ways lead to them:

- `TemplateSteps`: one model is traced for all lanes. Numbers that differ are lifted (`program.lift`). For
  models in whose step only the code of known libraries runs: what it reads, `program.structure` has walked.
- `OwnSteps`: each lane's model was traced by itself. For models in whose step foreign code runs, which can
  read anything. Lanes whose steps have one outline (`program.outline`) share a program; constants that
  differ become inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, cast

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.outline import with_inputs
from fairlane.engines.program.structure import Path, Structure
from fairlane.engines.program.tracing import (
    Kind,
    Step,
    Tracing,
    as_does_not_trace,
    batch_of,
    same_numbers,
    step_function,
    traced,
)
from fairlane.kit.values import same_bits
from fairlane.trials import State


class Steps(Protocol):
    """The steps of a fleet.

    Attributes:
        lift: which numbers are a lane's own.
    """

    lift: Lift

    def prepare(self, kinds: Collection[Kind], state: State, lanes: Sequence[Numbers]) -> None:
        """Have these steps traced.

        Args:
            kinds: which.
            state: shapes and dtypes of one lane's state.
            lanes: the numbers of some lanes.

        Raises:
            CannotLift: a number can't be a lane's own in this program.
            DoesNotTrace: Keras raised while it was traced.
        """

    def step(self, kind: Kind) -> Step:
        """A step: ``(numbers, state, batch) → (logs, state)``; `LOGS` returns logs alone."""


# --- one model for all lanes ------------------------------------------------------------------------------


@dataclass(eq=False)
class TemplateSteps:
    """The steps of one model, with the places of other lanes' numbers.

    Attributes:
        model: the template.
        structure: its structure.
        lift: which numbers are a lane's own.
        around: the context to trace in.
    """

    model: keras.Model
    structure: Structure
    lift: Lift
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    _steps: dict[Kind, Step] = field(default_factory=dict)

    def take_over(self, steps: Mapping[Kind, Step]) -> None:
        """Use steps that the template was traced to before, where no number is lifted."""
        if not self.lift.paths:
            self._steps |= steps

    def prepare(self, kinds: Collection[Kind], state: State, lanes: Sequence[Numbers]) -> None:
        """See `Steps`."""
        new = [kind for kind in kinds if kind not in self._steps]
        if not new:
            return
        with self.around(), as_does_not_trace():
            if self.lift.paths and not self.lift.explored:
                for kind in new:
                    jax.eval_shape(self._function(kind, lanes), None, state, batch_of(kind))
                self.lift.end_exploring(lanes)
            numbers = [_one(values) for values in self.lift.values(lanes)]
            for kind in new:
                self._steps[kind] = traced(self._function(kind, lanes), numbers, state, batch_of(kind))

    def step(self, kind: Kind) -> Step:
        """See `Steps`."""
        return self._steps[kind]

    def forget(self, kinds: Collection[Kind]) -> None:
        """Let go of steps that were prepared; they can be prepared again."""
        self._steps = {kind: step for kind, step in self._steps.items() if kind not in kinds}

    def _function(self, kind: Kind, lanes: Sequence[Numbers]) -> Callable[..., Any]:
        function = step_function(self.model, kind)

        def run(numbers: Any, state: State, batch: Any) -> Any:
            with self.structure.its_own_numbers(), self.lift.applied(lanes, self.structure, numbers, kind):
                return function(state, batch)

        return run


class Constants(Lift):
    """Constants of lanes' own programs that differ between the lanes."""

    @classmethod
    def of(cls, lanes: Sequence[Numbers], more: Iterable[Path] = ()) -> Self:
        """As `Lift.of`, without arrays that go with the sizes of a model: these are its own constants."""
        lift = super().of(lanes, more)
        lift.paths = tuple(path for path in lift.paths if not _goes_with_size(path, lanes))
        return lift

    def values(self, lanes: Sequence[Numbers]) -> list[jax.Array]:
        """The program's inputs for these lanes, ``(lanes, ...)`` each, of the constants' own dtypes."""
        return [jnp.asarray(np.stack([numbers[path] for numbers in lanes])) for path in self.paths]


@dataclass(eq=False)
class OwnSteps:
    """The steps that lanes traced each by itself, all with one outline.

    Attributes:
        first: the tracing of one of them.
        lift: which constants are a lane's own.
    """

    first: Tracing
    lift: Lift
    _steps: dict[Kind, Step] = field(default_factory=dict)
    _later: dict[Kind, Tracing] = field(default_factory=dict)

    def prepare(self, kinds: Collection[Kind], state: State, lanes: Sequence[Numbers]) -> None:
        """See `Steps`."""
        inputs = [_one(values) for values in self.lift.values(lanes)]
        for kind in kinds:
            if kind not in self._steps:
                self._steps[kind] = self._with_inputs(kind, inputs)

    def step(self, kind: Kind) -> Step:
        """See `Steps`."""
        return self._steps[kind]

    def forget(self, kinds: Collection[Kind]) -> None:
        """Let go of steps that were prepared; they can be prepared again."""
        self._steps = {kind: step for kind, step in self._steps.items() if kind not in kinds}

    @property
    def paths(self) -> Sequence[tuple[Kind, int]]:
        """Which constants are a lane's own: of which step, and which of its numbers."""
        return cast("Sequence[tuple[Kind, int]]", self.lift.paths)

    def takes(self, tracing: Tracing, kind: Kind) -> bool:
        """Whether a lane's step that was traced later suits the fleet's program for such batches."""
        first = self._later.setdefault(kind, tracing)
        if tracing.digests[kind] != first.digests[kind]:
            return False
        earlier = tracing.earlier(kind)
        lifted = {place for home, place in self.paths if home == earlier}
        expected = {
            (home, place): tracing.numbers[earlier, place] if place in lifted else number
            for (home, place), number in first.numbers.items()
            if home == kind
        }
        return same_numbers(expected, tracing.numbers)

    def _with_inputs(self, kind: Kind, inputs: Sequence[Any]) -> Step:
        tracing = self._later.get(kind, self.first)
        homes = (kind, tracing.earlier(kind)) if kind in self._later else (kind,)
        places = [place if home in homes else None for home, place in self.paths]
        step = tracing.steps[kind]
        return Step(with_inputs(step.program, places, inputs), step.out)


def _goes_with_size(path: Path, lanes: Sequence[Numbers]) -> bool:
    """Whether a constant is an array of other shapes in some lanes, and the same in all of one shape."""
    values: dict[tuple[int, ...], Any] = {}
    for numbers in lanes:
        first = values.setdefault(np.shape(numbers[path]), numbers[path])
        if not same_bits(first, numbers[path]):
            return False
    return len(values) > 1


def _one(values: jax.Array) -> Any:
    """The shape of one lane's value among all lanes'."""
    return jax.ShapeDtypeStruct(values.shape[1:], values.dtype, weak_type=values.aval.weak_type)


StepsOfOne = TemplateSteps | OwnSteps
"""The steps of lanes whose models have one structure."""
