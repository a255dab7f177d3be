"""What differs between the models of one padded program: sizes and constants, a row for each model.

In: values, one of each model, as they are met while the program is traced. Out: for each of them a place in
two inputs of the program, which have a row for each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from fairlane.engines.program.sizes.aligned import CannotUnify, same_constants

PLACES = 256
"""The most sizes, and the most constants, that may differ. All programs of a fleet have inputs of this
length, so that one that is traced later can meet more of them."""


Row = tuple[Sequence[int], Sequence[float]]
"""The sizes and the constants that a model has of its own."""


class Table:
    """Values that differ between models.

    Attributes:
        integers: a tuple for each, with the value of each model.
        numbers: likewise, of 32-bit floats.
    """

    def __init__(self) -> None:
        self.integers: list[tuple[int, ...]] = []
        self.numbers: list[tuple[float, ...]] = []
        self._integers: Any = None
        self._numbers: Any = None

    def clear(self) -> None:
        """Begin again."""
        self.integers.clear()
        self.numbers.clear()

    def arrays(self, row: Row) -> tuple[Any, Any]:
        """The program's inputs for one of the models: ``(PLACES,)`` int32, and float32."""
        integers, numbers = np.zeros(PLACES, "int32"), np.zeros(PLACES, "float32")
        integers[: len(row[0])], numbers[: len(row[1])] = row
        return integers, numbers

    def row(self, model: int) -> Row:
        """What one of the models has of its own."""
        return [values[model] for values in self.integers], [values[model] for values in self.numbers]

    def extend(self, row: Row) -> None:
        """Take in another model, which has these values of its own."""
        integers, numbers = row
        self.integers[:] = [(*old, own) for old, own in zip(self.integers, integers, strict=True)]
        self.numbers[:] = [(*old, own) for old, own in zip(self.numbers, numbers, strict=True)]

    def read(self, integers: Any, numbers: Any) -> Table:
        """The same table, whose values are read from these inputs."""
        self._integers, self._numbers = integers, numbers
        return self

    def integer(self, values: Sequence[int]) -> Any:
        """A whole number of each model: a plain one where all have the same, else the lane's, int32."""
        if len(set(values)) == 1:
            return int(values[0])
        return self._integers[_place(self.integers, tuple(int(v) for v in values))]

    def constant(self, values: Sequence[Any]) -> Any:
        """A constant of each model: the same, or a lane's own.

        Raises:
            CannotUnify: they are neither scalars nor numbers of 32 bits.
        """
        first = values[0]
        if all(same_constants(first, other) for other in values[1:]):
            return first
        dtype = {jnp.result_type(value) for value in values}.pop()
        if any(np.size(value) != 1 for value in values):
            raise CannotUnify("the models have arrays of constants that differ")
        shape, scalars = np.shape(first), [np.asarray(value).reshape(()) for value in values]
        if jnp.issubdtype(dtype, jnp.integer) and all(abs(int(v)) < 2**31 for v in scalars):
            own = lax.convert_element_type(self.integer([int(v) for v in scalars]), dtype)
        elif dtype == jnp.float32:
            own = self._numbers[_place(self.numbers, tuple(float(np.float32(v)) for v in scalars))]
        else:
            raise CannotUnify(f"the models have {dtype} constants that differ")
        return jnp.reshape(own, shape)


def _place(columns: list[Any], values: tuple[Any, ...]) -> int:
    known = [repr(column) for column in columns]  # a NaN is equal to itself here
    if repr(values) in known:
        return known.index(repr(values))
    if len(columns) == PLACES:
        raise CannotUnify(f"the models differ in more than {PLACES} numbers")
    columns.append(values)
    return len(columns) - 1
