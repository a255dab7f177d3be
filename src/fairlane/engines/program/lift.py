"""Numbers that differ between the lanes of one program: a dropout rate, a coefficient, a factor.

In: the numbers of several models with one key (`program.structure`). Out: while Keras's own code is traced,
a `LaneNumber` in the place of each number that differs; and the arrays, one value per lane, to run it with.

A `LaneNumber` does Python's arithmetic on Python's floats, for all lanes together and in double precision,
until it meets a tensor; only then it becomes a float32 input of the program. So ``1 - rate`` is what it
would be in Keras alone. A comparison is answered where all lanes agree (``rate > 0``); where they do not,
or where Keras wants a plain float, `CannotLift` is raised and the lanes are trained in separate fleets.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.engines.program.expressions import (
    OPERATIONS,
    CannotLift,
    Expression,
    as_input,
    evaluate,
    in_words,
    numbers_in,
)
from fairlane.engines.program.structure import Path, Structure
from fairlane.kit.values import same_bits

Numbers = Mapping[Path, Any]
"""One lane's numbers: `Structure.numbers`."""


@dataclass(eq=False)
class Lift:
    """Which numbers of a fleet differ between lanes, and what tracing found out about them.

    Attributes:
        paths: where they sit.
        inputs: the expressions that became inputs of the program, in order.
        decisions: the comparisons that tracing answered, with the answer.
        explored: whether `inputs` is complete.
        wanted: the places among `inputs` that exploring each piece of the program read.
        guessed: those of `paths` that did not differ between the lanes that there were.
        twins: those of `paths` that were not met, each with another that was and has the same value.
    """

    paths: tuple[Path, ...]
    guessed: frozenset[Path] = frozenset()
    explored: bool = False
    inputs: list[Expression] = field(default_factory=list)
    decisions: dict[Expression, bool] = field(default_factory=dict)
    wanted: dict[Hashable, set[int]] = field(default_factory=dict)
    twins: dict[Path, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, lanes: Sequence[Numbers], more: Iterable[Path] = ()) -> Self:
        """The numbers that are not the same in all ``lanes`` of one key, and those of ``more``."""
        differing = {
            path
            for path, value in lanes[0].items()
            if any(not same_bits(value, numbers[path]) for numbers in lanes[1:])
        }
        guessed = frozenset(more) - differing
        return cls(tuple(path for path in lanes[0] if path in differing or path in guessed), guessed)

    def end_exploring(self, lanes: Sequence[Numbers]) -> None:
        """Lift no number that exploring did not meet, but for one that stands a second time where it was met.

        (Keras's losses hold their arguments twice, and read one of them.)

        Args:
            lanes: the numbers of some lanes.

        Raises:
            CannotLift: another one differs between lanes. Something may have read it in a way that a
                stand-in can't notice (``isinstance``, ``str``).
        """
        met = [path for e in (*self.inputs, *self.decisions) for path in numbers_in(e)]
        for path in self.paths:
            if path in met:
                continue
            twin = next((m for m in met if all(same_bits(lane[path], lane[m]) for lane in lanes)), None)
            if twin is not None:
                self.twins[path] = twin
            elif path not in self.guessed:
                raise CannotLift(f"{in_words(('number', path))} was not met while the step was traced")
        self.paths = tuple(path for path in self.paths if path in met or path in self.twins)
        self.explored = True

    def values(self, lanes: Sequence[Numbers]) -> list[jax.Array]:
        """The program's inputs for these lanes, each ``(lanes, ...)`` float32.

        Raises:
            CannotLift: these lanes do not `agree` with those that were traced.
        """
        if not self.agrees(lanes):
            raise CannotLift("these lanes answer a comparison otherwise than the traced ones")
        numbers = self._stacked(lanes)
        return [as_input(evaluate(e, numbers)) for e in self.inputs]

    def agrees(self, lanes: Sequence[Numbers]) -> bool:
        """Whether these lanes answer every comparison as the traced ones did, and have equal `twins`."""
        numbers = self._stacked(lanes)
        return all(
            np.all(evaluate(expression, numbers) == answer) for expression, answer in self.decisions.items()
        ) and all(np.array_equal(numbers[path], numbers[twin]) for path, twin in self.twins.items())

    @contextmanager
    def applied(
        self,
        lanes: Sequence[Numbers],
        template: Structure,
        inputs: Sequence[Any] | None,
        piece: Hashable = None,
    ) -> Iterator[None]:
        """Put lane numbers into the template's places while it is traced.

        Args:
            lanes: the numbers of some lanes, to answer comparisons by.
            template: the structure of the model that is traced.
            inputs: the tracers of `inputs`; None while finding out which there are.
            piece: which piece of the program is traced.

        Raises:
            CannotLift: a number that exploring the piece met was not read now, so something has stored
                what it made of it then (a function under ``jax.jit`` does).
        """
        tracing = _Tracing(self, self._stacked(lanes), inputs)
        with self._stood_in(tracing, template):
            yield
        if inputs is None:
            self.wanted[piece] = tracing.read
        elif missing := self.wanted.get(piece, set()) - tracing.read:
            raise CannotLift(f"{in_words(self.inputs[min(missing)])} was remembered from another trace")

    @contextmanager
    def watched(self, lanes: Sequence[Numbers], template: Structure) -> Iterator[None]:
        """Put lane numbers into the template's places while Keras builds what is left to build of it.

        What it builds does not depend on them, for lanes that `agrees`: they may be compared, and used in
        operations that are traced for their shapes; nothing else.

        Args:
            lanes: the numbers of some lanes, Python floats, to answer comparisons by.
            template: the structure of the model.

        Raises:
            CannotLift: a number was used otherwise.
        """
        with self._stood_in(_Building(self, self._stacked(lanes), None), template):
            yield

    @contextmanager
    def _stood_in(self, tracing: _Tracing, template: Structure) -> Iterator[None]:
        with ExitStack() as undone:
            for path in self.paths:
                undone.callback(template.slots[path].put(tracing.stand_in(path)))
            yield
        if tracing.refused:  # also where the code that met the refusal continued without the number
            raise CannotLift(tracing.refused)

    def _stacked(self, lanes: Sequence[Numbers]) -> dict[Path, NDArray[Any]]:
        return {p: np.stack([np.asarray(numbers[p]) for numbers in lanes]) for p in self.paths}


@dataclass(eq=False)
class _Tracing:
    lift: Lift
    numbers: Mapping[Path, NDArray[Any]]
    inputs: Sequence[Any] | None
    read: set[int] = field(default_factory=set)
    refused: str = ""

    def refuse(self, why: str) -> NoReturn:
        """Give up lifting, for good."""
        self.refused = self.refused or why
        raise CannotLift(why)

    def evaluate(self, expression: Expression) -> Any:
        """The expression's value in each lane."""
        try:
            return evaluate(expression, self.numbers)
        except CannotLift as error:
            self.refuse(str(error))

    def stand_in(self, path: Path) -> Any:
        values = self.numbers[path]
        expression = ("number", path)
        if values.dtype == np.float64 or np.issubdtype(values.dtype, np.integer):
            return LaneNumber(expression, self)
        return self.tensor(expression)  # it was an array already, and may well become one

    def tensor(self, expression: Expression) -> Any:
        if expression not in self.lift.inputs:
            if self.inputs is not None:
                self.refuse(f"{in_words(expression)} was not met when the program was explored")
            self.lift.inputs.append(expression)
        place = self.lift.inputs.index(expression)
        self.read.add(place)
        if self.inputs is None:
            return as_input(self.evaluate(expression))[0]
        return self.inputs[place]

    def decide(self, expression: Expression) -> bool:
        answers = self.evaluate(expression)
        answer = bool(np.ravel(answers)[0])
        if np.any(answers != answer):
            self.refuse(f"the lanes differ in {in_words(expression)}")
        self.lift.decisions[expression] = answer
        return answer


class _Building(_Tracing):
    """Keras builds variables, and traces for shapes alone."""

    def stand_in(self, path: Path) -> Any:
        return _FloatOfLanes(("number", path), self)

    def tensor(self, expression: Expression) -> Any:
        value = as_input(self.evaluate(expression))[0]
        if not isinstance(value, jax.core.Tracer):
            self.refuse(f"an array is made of {in_words(expression)}")
        return value


class LaneNumber:
    """Stands for a Python float that has another value in each lane."""

    __array_priority__ = 1000
    dtype = np.dtype("float32")
    shape = ()
    ndim = 0
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expression: Expression, tracing: _Tracing) -> None:
        self._expression = expression
        self._tracing = tracing

    def __jax_array__(self) -> Any:
        return self._tracing.tensor(self._expression)

    def _combine(self, name: str, other: Any, reflected: bool = False) -> Any:
        if isinstance(other, keras.Variable):
            other = other.value
        if isinstance(other, (jax.Array, np.ndarray)):
            own = self.__jax_array__()
            return OPERATIONS[name](*((other, own) if reflected else (own, other)))
        mine = self._expression
        if isinstance(other, LaneNumber):
            theirs = other._expression
        elif isinstance(other, (bool, int, float, np.floating, np.integer)):
            theirs = ("constant", float(other))
        else:
            return NotImplemented
        return type(self)((name, theirs, mine) if reflected else (name, mine, theirs), self._tracing)

    def _compare(self, name: str, other: Any) -> Any:
        answer = self._combine(name, other)
        if isinstance(answer, LaneNumber):
            return self._tracing.decide(answer._expression)
        return answer

    def __add__(self, other: Any) -> Any:
        return self._combine("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._combine("add", other, reflected=True)

    def __sub__(self, other: Any) -> Any:
        return self._combine("sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._combine("sub", other, reflected=True)

    def __mul__(self, other: Any) -> Any:
        return self._combine("mul", other)

    def __rmul__(self, other: Any) -> Any:
        return self._combine("mul", other, reflected=True)

    def __truediv__(self, other: Any) -> Any:
        return self._combine("truediv", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._combine("truediv", other, reflected=True)

    def __pow__(self, other: Any) -> Any:
        return self._combine("pow", other)

    def __rpow__(self, other: Any) -> Any:
        return self._combine("pow", other, reflected=True)

    def __neg__(self) -> LaneNumber:
        return type(self)(("neg", self._expression), self._tracing)

    def __abs__(self) -> LaneNumber:
        return type(self)(("abs", self._expression), self._tracing)

    def __lt__(self, other: Any) -> Any:
        return self._compare("lt", other)

    def __le__(self, other: Any) -> Any:
        return self._compare("le", other)

    def __gt__(self, other: Any) -> Any:
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> Any:
        return self._compare("ge", other)

    def __eq__(self, other: object) -> Any:
        return other is not None and self._compare("eq", other)

    def __ne__(self, other: object) -> Any:
        return other is None or self._compare("ne", other)

    def __bool__(self) -> bool:
        return self._tracing.decide(("ne", self._expression, ("constant", 0.0)))

    def __float__(self) -> float:
        self._tracing.refuse(f"{in_words(self._expression)} is wanted as a plain float")

    def __int__(self) -> int:
        self._tracing.refuse(f"{in_words(self._expression)} is wanted as a plain integer")

    __index__ = __int__


class _FloatOfLanes(LaneNumber):
    """One that ``isinstance`` takes for a float, so that Keras's code goes the way that it goes with a float.

    In JAX's code it does not, as that would ask it for its value there, and not for an array.
    """

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        asking = str(sys._getframe(1).f_globals.get("__name__", ""))
        return _FloatOfLanes if asking.startswith("jax.") else float

    def __repr__(self) -> str:
        self._tracing.refuse(f"{in_words(self._expression)} is wanted as a text")

    def __format__(self, how: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._tracing.refuse(f"{in_words(self._expression)} is copied")
