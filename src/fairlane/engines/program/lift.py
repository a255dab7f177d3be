"""Numbers that differ between the lanes of one program: a dropout rate, a coefficient, a factor.

In: the numbers of several models with one key (`program.structure`). Out: while Keras's own code is traced,
a `LaneNumber` in the place of each number that differs; and the arrays, one value per lane, to run it with.

A `LaneNumber` does Python's arithmetic on Python's floats, for all lanes together and in double precision,
until it meets a tensor; only then it becomes a float32 input of the program. So ``1 - rate`` is what it
would be in Keras alone. A comparison is answered where all lanes agree (``rate > 0``); where they do not,
or where Keras wants a plain float, `CannotLift` is raised and the lanes are trained in separate fleets.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.engines.program.structure import Path, Structure
from fairlane.kit.values import same_bits

Numbers = Mapping[Path, Any]
"""One lane's numbers: `Structure.numbers`."""

Expression = tuple[Any, ...]
"""``("number", path)``, ``("constant", value)`` or ``(operation, left, right)``."""

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "pow": operator.pow,
    "neg": operator.neg,
    "abs": operator.abs,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}


class CannotLift(Exception):
    """A number can't be a lane's own in this program."""


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
        met = [path for e in (*self.inputs, *self.decisions) for path in _numbers_in(e)]
        for path in self.paths:
            if path in met:
                continue
            twin = next((m for m in met if all(same_bits(lane[path], lane[m]) for lane in lanes)), None)
            if twin is not None:
                self.twins[path] = twin
            elif path not in self.guessed:
                raise CannotLift(f"{_text(('number', path))} was not met while the step was traced")
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
        return [_as_input(_evaluate(e, numbers)) for e in self.inputs]

    def agrees(self, lanes: Sequence[Numbers]) -> bool:
        """Whether these lanes answer every comparison as the traced ones did, and have equal `twins`."""
        numbers = self._stacked(lanes)
        return all(
            np.all(_evaluate(expression, numbers) == answer) for expression, answer in self.decisions.items()
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
        undo: list[Callable[[], None]] = []
        try:
            for path in self.paths:
                put = template.setters[path]
                undo.append(put(tracing.stand_in(path)))
            yield
        finally:
            for restore in reversed(undo):
                restore()
        if tracing.refused:  # also where the code that met the refusal continued without the number
            raise CannotLift(tracing.refused)
        if inputs is None:
            self.wanted[piece] = tracing.read
        elif missing := self.wanted.get(piece, set()) - tracing.read:
            raise CannotLift(f"{_text(self.inputs[min(missing)])} was remembered from another trace")

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
            return _evaluate(expression, self.numbers)
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
                self.refuse(f"{_text(expression)} was not met when the program was explored")
            self.lift.inputs.append(expression)
        place = self.lift.inputs.index(expression)
        self.read.add(place)
        if self.inputs is None:
            return _as_input(self.evaluate(expression))[0]
        return self.inputs[place]

    def decide(self, expression: Expression) -> bool:
        answers = self.evaluate(expression)
        answer = bool(np.ravel(answers)[0])
        if np.any(answers != answer):
            self.refuse(f"the lanes differ in {_text(expression)}")
        self.lift.decisions[expression] = answer
        return answer


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
            pair = (other, jnp.asarray(self)) if reflected else (jnp.asarray(self), other)
            return _OPERATIONS[name](*pair)
        mine = self._expression
        if isinstance(other, LaneNumber):
            theirs = other._expression
        elif isinstance(other, (bool, int, float, np.floating, np.integer)):
            theirs = ("constant", float(other))
        else:
            return NotImplemented
        return LaneNumber((name, theirs, mine) if reflected else (name, mine, theirs), self._tracing)

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
        return LaneNumber(("neg", self._expression), self._tracing)

    def __abs__(self) -> LaneNumber:
        return LaneNumber(("abs", self._expression), self._tracing)

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
        self._tracing.refuse(f"{_text(self._expression)} is wanted as a plain float")

    def __int__(self) -> int:
        self._tracing.refuse(f"{_text(self._expression)} is wanted as a plain integer")

    __index__ = __int__


def _evaluate(expression: Expression, numbers: Mapping[Path, NDArray[Any]]) -> Any:
    kind = expression[0]
    if kind == "number":
        return numbers[expression[1]]
    if kind == "constant":
        return np.float64(expression[1])
    operands = [_evaluate(e, numbers) for e in expression[1:]]
    with np.errstate(all="ignore"):
        result = _OPERATIONS[kind](*operands)
    if not np.all(np.isfinite(result)) and all(np.all(np.isfinite(x)) for x in operands):
        # Python would raise, or go on with a complex number: let it.
        raise CannotLift(f"{_text(expression)} is not a finite number in some lane")
    return result


def _as_input(values: NDArray[Any]) -> jax.Array:
    # Stacked from scalars one by one, JAX leaves them as weakly typed as the Python floats they were.
    if values.dtype == np.float64:
        return jnp.stack([jnp.asarray(float(v)) for v in values])
    return jnp.asarray(values, dtype="float32")


def _numbers_in(expression: Expression) -> Iterator[Path]:
    if expression[0] == "number":
        yield expression[1]
    elif expression[0] != "constant":
        for part in expression[1:]:
            yield from _numbers_in(part)


def _text(expression: Expression) -> str:
    kind = expression[0]
    if kind == "number":
        return ".".join(str(p) for p in expression[1])
    if kind == "constant":
        return f"{expression[1]:g}"
    return f"{kind}({', '.join(_text(e) for e in expression[1:])})"
