"""Small operations on arrays that the rules of rewriting have in common.

In: tracers of arrays, and shapes. Out: slices, positions, and an array that XLA computes once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

Rule = Callable[..., Sequence[Any]]
"""The inputs of an operation → its outputs, computed in another way."""

MOST_SLICES = 128
"""Slices to make patches or windows of, beyond which XLA's own operation stays: each is code to compile."""


def once(x: Any) -> Any:
    """The same array, computed once.

    XLA fuses a producer into each of its uses unless it takes it to be too expensive, as it does any
    division, and its CPU backend removes optimization barriers before that. This is a division by 1, which
    XLA does not see, but LLVM does, so that nothing is left of it.
    """
    bits = lax.bitcast_convert_type(x, f"uint{8 * x.dtype.itemsize}")
    one = ((bits & 1) >> 1) + 1
    return lax.div(x, lax.convert_element_type(one, x.dtype))


def slices(
    x: Any, starts: Sequence[int], between: Sequence[int], size: Sequence[int], step: Sequence[int]
) -> list[Any]:
    """The slices of the positions of ``(·, *positions, ·)`` that begin at each of ``starts``."""
    found = []
    for at in positions(starts):
        first = [a * b for a, b in zip(at, between, strict=True)]
        stop = [a + (n - 1) * s + 1 for a, n, s in zip(first, size, step, strict=True)]
        found.append(lax.slice(x, (0, *first, 0), (x.shape[0], *stop, x.shape[-1]), (1, *step, 1)))
    return found


def positions(shape: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """All positions in an array of a shape, the last axis fastest."""
    return itertools.product(*map(range, shape))


def zero(x: Any) -> Any:
    """A zero of an array's dtype, to pad it with."""
    return jnp.zeros((), x.dtype)
