"""Poolings and their gradients, from slices of their windows.

In: a pooling in a traced program. Out: a rule, or None to leave it to XLA.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn

from fairlane.engines.program.rewrite.arrays import MOST_SLICES, Rule, once, slices


def _tiles(eqn: JaxprEqn, shape: Sequence[int]) -> bool:
    """Whether windows lie side by side, without padding, and there are any."""
    p = eqn.params
    window = p["window_dimensions"]
    return (
        tuple(p["window_strides"]) == tuple(window)
        and all(pair == (0, 0) for pair in map(tuple, p["padding"]))
        and set(p.get("base_dilation", ())) | set(p.get("window_dilation", ())) <= {1}
        and 1 < math.prod(window) <= MOST_SLICES
        and all(n >= w for n, w in zip(shape, window, strict=True))
        and math.prod(shape) > 0
    )


def _members(x: Any, window: Sequence[int]) -> list[Any]:
    """The first elements of all windows, then the second ones, ..."""
    counts = [n // w for n, w in zip(x.shape, window, strict=True)]
    ones = [1] * len(counts)
    return [m[0, ..., 0] for m in slices(x[None, ..., None], window, ones, counts, window)]


def pool(combine: Callable[[Any, Any], Any], nothing: float, eqn: JaxprEqn) -> Rule | None:
    """A maximum or sum over windows.

    Args:
        combine: what joins two elements of a window.
        nothing: what padding is filled with.
        eqn: the operation.
    """
    p = eqn.params
    window, strides = p["window_dimensions"], p["window_strides"]
    base, between = p["base_dilation"], p["window_dilation"]
    out = eqn.outvars[0].aval.shape
    whole = not jnp.issubdtype(eqn.outvars[0].aval.dtype, jnp.floating)
    if whole or not 1 < math.prod(window) <= MOST_SLICES or math.prod(out) == 0:
        return None

    def pooled(x: Any) -> list[Any]:
        pads = [(low, high, d - 1) for (low, high), d in zip(p["padding"], base, strict=True)]
        x = lax.pad(x, jnp.asarray(nothing, x.dtype), pads)
        members = slices(x[None, ..., None], window, between, out, strides)
        return [once(functools.reduce(combine, (m[0, ..., 0] for m in members)))]

    return pooled


def sum_pool(eqn: JaxprEqn) -> Rule | None:
    """A sum over windows: an average pooling, or the gradient of one."""
    return _sum_gradient(eqn) or pool(lax.add, 0.0, eqn)


def _sum_gradient(eqn: JaxprEqn) -> Rule | None:
    """A sum of ones and zeros that JAX makes of the gradient: every element, repeated over its window."""
    p = eqn.params
    window, dilation = tuple(p["window_dimensions"]), tuple(p["base_dilation"])
    shape, out = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
    if (
        dilation != window
        or set(p["window_strides"]) | set(p["window_dilation"]) != {1}
        or not 1 < math.prod(window) <= MOST_SLICES
        or any(lo != w - 1 for (lo, _), w in zip(p["padding"], window, strict=True))
        or any(m < n * w for n, w, m in zip(shape, window, out, strict=True))
        or math.prod(shape) == 0
    ):
        return None

    def gradient(x: Any) -> list[Any]:
        wide = jnp.broadcast_to(
            _spread(once(x), window), [n for size, w in zip(shape, window, strict=True) for n in (size, w)]
        )
        return [_padded(wide.reshape([n * w for n, w in zip(shape, window, strict=True)]), out)]

    return gradient


def max_gradient(eqn: JaxprEqn) -> Rule | None:
    """To the first maximum of every window, as XLA's ``select_and_scatter`` with ``ge`` has it."""
    p = eqn.params
    if p["select_prim"].name != "ge" or not _tiles(eqn, eqn.invars[1].aval.shape):
        return None
    window = p["window_dimensions"]

    def gradient(source: Any, operand: Any) -> list[Any]:
        best, *others = _members(operand, window)
        winner = jnp.zeros(best.shape, jnp.int32)
        for i, other in enumerate(others, 1):
            stays = best >= other
            best, winner = jnp.where(stays, best, other), jnp.where(stays, winner, i)
        member = lax.iota(jnp.int32, math.prod(window)).reshape(window)
        hit = _spread(once(winner), window) == member.reshape([n for w in window for n in (1, w)])
        spread = jnp.where(hit, _spread(once(source), window), 0)
        spread = spread.reshape([n * w for n, w in zip(source.shape, window, strict=True)])
        return [_padded(spread, operand.shape)]

    return gradient


def _spread(x: Any, window: Sequence[int]) -> Any:
    """``(a, b, ...)`` to ``(a, 1, b, 1, ...)``."""
    return x.reshape([n for size in x.shape for n in (size, 1)])


def _padded(x: Any, shape: Sequence[int]) -> Any:
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, n - m, 0) for n, m in zip(shape, x.shape, strict=True)])
