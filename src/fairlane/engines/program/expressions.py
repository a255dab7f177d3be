"""What code makes of a number that differs between lanes: an expression, evaluated for all of them.

In: the numbers of some lanes, each an array of a value per lane. Out: an expression's value in each lane, in
double precision, as Python calculates with floats; and as an input of a program.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fairlane.engines.program.structure import Path

Expression = tuple[Any, ...]
"""``("number", path)``, ``("constant", value)`` or ``(operation, left, right)``."""

OPERATIONS: dict[str, Callable[..., Any]] = {
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


def evaluate(expression: Expression, numbers: Mapping[Path, NDArray[Any]]) -> Any:
    """An expression's value in each lane.

    Raises:
        CannotLift: it is not a finite number in some lane, of finite ones.
    """
    kind = expression[0]
    if kind == "number":
        return numbers[expression[1]]
    if kind == "constant":
        return np.float64(expression[1])
    operands = [evaluate(e, numbers) for e in expression[1:]]
    with np.errstate(all="ignore"):
        result = OPERATIONS[kind](*operands)
    if not np.all(np.isfinite(result)) and all(np.all(np.isfinite(x)) for x in operands):
        # Python would raise, or go on with a complex number: let it.
        raise CannotLift(f"{in_words(expression)} is not a finite number in some lane")
    return result


def as_input(values: NDArray[Any]) -> jax.Array:
    """The values of lanes as a program takes them."""
    # Stacked from scalars one by one, JAX leaves them as weakly typed as the Python floats they were.
    if values.dtype == np.float64:
        return jnp.stack([jnp.asarray(float(v)) for v in values])
    return jnp.asarray(values, dtype="float32")


def numbers_in(expression: Expression) -> Iterator[Path]:
    """Where the numbers are that an expression is made of."""
    if expression[0] == "number":
        yield expression[1]
    elif expression[0] != "constant":
        for part in expression[1:]:
            yield from numbers_in(part)


def in_words(expression: Expression) -> str:
    """An expression, to be read."""
    kind = expression[0]
    if kind == "number":
        return ".".join(str(p) for p in expression[1])
    if kind == "constant":
        return f"{expression[1]:g}"
    return f"{kind}({', '.join(in_words(e) for e in expression[1:])})"
