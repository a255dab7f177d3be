"""A lane's values in a padded program: arrays as long as the longest model's, and what of them is the lane's.

In: arrays, and the sizes of each model. Out: `Value`, and a `Lane`, which knows its own sizes and fills the
rest of an array with what an operation does not notice. What stands there otherwise is never read.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fairlane.engines.program.sizes.aligned import Sizes, is_ragged
from fairlane.engines.program.sizes.table import Table


@dataclass(frozen=True, eq=False)
class Value:
    """An array of a lane.

    Attributes:
        array: padded.
        shape: how long its axes are, in each model.
    """

    array: Any
    shape: tuple[Sizes, ...]

    @property
    def ragged(self) -> list[int]:
        """The axes that are not as long in all models."""
        return [i for i, sizes in enumerate(self.shape) if is_ragged(sizes)]


def padded(shape: Iterable[Sizes]) -> tuple[int, ...]:
    """The shape of an array that holds that of each model."""
    return tuple(map(max, shape))


class Lane:
    """One lane of a padded program, while it is traced.

    Args:
        table: what the lane's model has of its own.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._filled: dict[Any, tuple[Any, Any, Any]] = {}

    def size(self, sizes: Sizes) -> Any:
        """How long an axis is in this lane."""
        return self.table.integer(sizes)

    def inside(self, shape: Sequence[Sizes], axes: Iterable[int]) -> Any:
        """Whether an element is the lane's own, by its places on some axes; broadcasts to the shape."""
        whole = padded(shape)
        parts = []
        for axis in axes:
            if is_ragged(shape[axis]):
                flat = [whole[i] if i == axis else 1 for i in range(len(whole))]
                parts.append(lax.broadcasted_iota("int32", flat, axis) < self.size(shape[axis]))
        return functools.reduce(operator.and_, parts) if parts else None

    def filled(self, value: Value, axes: Iterable[int], fill: Any) -> Any:
        """A value's array, with the padding of some axes filled.

        Args:
            value: the value.
            axes: which axes.
            fill: what with: neutral for what comes next.
        """
        axes = tuple(axis for axis in axes if is_ragged(value.shape[axis]))
        if not axes:
            return value.array
        # What is calculated has no text of its own.
        key = id(value.array), axes, id(fill) if isinstance(fill, jax.Array) else repr(fill)
        if key not in self._filled:
            mask = self.inside(value.shape, axes)
            array = value.array
            neutral = jnp.full((), fill, array.dtype) if not isinstance(fill, jax.Array) else fill
            # The array, and what fills it, are kept beside it, so that no other takes their addresses.
            self._filled[key] = array, fill, jnp.where(mask, array, neutral)
        return self._filled[key][-1]
