"""Convolutions, as products of matrices with patches.

In: a convolution in a traced program. Out: a rule, or None to leave it to XLA.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn

from fairlane.engines.program.rewrite.arrays import MOST_SLICES, Rule, once, positions, slices, zero

LARGEST_PATCHES = 256 * 2**20
"""Bytes of one sample's patches beyond which a convolution is left to XLA."""

WHOLE_PATCHES = 8 * 2**20
"""Bytes of patches to make in one piece: then XLA makes them once for a convolution and its gradient."""

CACHED_PATCHES = 2 * 2**20
"""Bytes of the patches of a part, where a batch is taken in parts: they stay in the cache."""


class _Conv(NamedTuple):
    """A convolution, a number per position's axis each, and the matrix product to make it of."""

    kernel: tuple[int, ...]
    outputs: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    spread: tuple[int, ...]
    dot: Callable[..., Any]


def convolution(eqn: JaxprEqn) -> Rule | None:
    """A matrix product with patches, in the way of the three that enumerates and moves the least.

    Around every output there is a patch of inputs as large as the kernel. In a gradient to the weights the
    kernel is as large as the image, and the outputs are few: then the outputs are enumerated. In a gradient
    to the inputs it may be less to multiply first and add up shifted products.
    """
    p = eqn.params
    left, right, out = *(v.aval for v in eqn.invars), eqn.outvars[0].aval
    if p["feature_group_count"] != 1 or p["batch_group_count"] != 1 or not out.size:
        return None
    if not left.dtype == right.dtype == out.dtype or out.dtype not in (jnp.float32, jnp.float64):
        return None
    if not left.size or not right.size:
        return None
    lhs_spec, rhs_spec, out_spec = p["dimension_numbers"]
    batch, channels, *inputs = (left.shape[d] for d in lhs_spec)
    features = right.shape[rhs_spec[0]]
    conv = _Conv(
        kernel=tuple(right.shape[d] for d in rhs_spec[2:]),
        outputs=tuple(out.shape[d] for d in out_spec[2:]),
        strides=tuple(p["window_strides"]),
        dilation=tuple(p["rhs_dilation"]),
        padding=tuple(p["padding"]),
        spread=tuple(p["lhs_dilation"]),
        dot=functools.partial(
            lax.dot_general,
            precision=p["precision"],
            preferred_element_type=p["preferred_element_type"],
        ),
    )
    kernel, outputs = math.prod(conv.kernel), math.prod(conv.outputs)
    gathered = batch * outputs * kernel * channels * out.dtype.itemsize
    scattered = batch * math.prod(inputs) * kernel * features * out.dtype.itemsize
    if kernel > outputs:
        way, moved, samples = _correlated, gathered, channels
    elif set(conv.strides) <= {1} and scattered < gathered:
        way, moved, samples = _scattered, scattered, batch
    else:
        way, moved, samples = _gathered, gathered, batch
    if min(kernel, outputs) > MOST_SLICES or moved > samples * LARGEST_PATCHES:
        return None
    parts = _parts(samples, moved)

    def convolve(lhs: Any, rhs: Any) -> list[Any]:
        lhs = lhs.transpose(lhs_spec[0], *lhs_spec[2:], lhs_spec[1])
        rhs = rhs.transpose(rhs_spec[1], *rhs_spec[2:], rhs_spec[0])
        result = way(lhs, rhs, conv, parts)
        axes = (out_spec[0], *out_spec[2:], out_spec[1])
        return [result.transpose([axes.index(d) for d in range(len(axes))])]

    return convolve


def _parts(samples: int, size: int) -> int:
    """One part where it is not too large, or the fewest equal parts of a batch that fit a cache."""
    if size <= WHOLE_PATCHES:
        return 1
    return next(
        n for n in range(1, samples + 1) if n == samples or (samples % n == 0 and size <= n * CACHED_PATCHES)
    )


# In each of the three, lhs is (batch, *inputs, channels), rhs (channels, *kernel, features), and the result
# (batch, *outputs, features).


def _gathered(lhs: Any, rhs: Any, conv: _Conv, parts: int) -> Any:
    """Patches around every output, times the kernel."""
    matrix = jnp.moveaxis(rhs, 0, -2).reshape(-1, rhs.shape[-1])

    def part(lhs: Any) -> Any:
        pieces = slices(lhs, conv.kernel, conv.dilation, conv.outputs, conv.strides)
        patches = jnp.concatenate(pieces, axis=-1)
        return conv.dot(patches, matrix, (((patches.ndim - 1,), (0,)), ((), ())))

    return _map(part, once(_surrounded(lhs, conv)), parts)


def _correlated(lhs: Any, rhs: Any, conv: _Conv, parts: int) -> Any:
    """What is under the whole kernel for every output, times the kernel.

    In a gradient to the weights, what is "channels" here are the samples. With them in front these are
    the patches of the convolution itself, operation by operation, so that XLA makes them once for both.
    """
    lhs = once(jnp.moveaxis(_surrounded(lhs, conv), (0, -1), (-1, 0)))
    batch = lhs.shape[-1]
    summed = tuple(range(rhs.ndim - 1))

    def part(lhs: Any, rhs: Any) -> Any:
        pieces = slices(lhs, conv.outputs, conv.strides, conv.kernel, conv.dilation)
        patches = jnp.concatenate(pieces, axis=-1)
        # the kernel comes first: XLA copies the transposed first factor, and here that is the smaller one
        return conv.dot(rhs, patches, ((summed, summed), ((), ())))

    result = _sum(part, lhs, rhs, parts).reshape(-1, *conv.outputs, batch)
    return jnp.moveaxis(result, (0, -1), (-1, 0))


def _scattered(lhs: Any, rhs: Any, conv: _Conv, parts: int) -> Any:
    """Every input times the kernel, its products added up where they belong."""
    matrix, features = rhs.reshape(rhs.shape[0], -1), rhs.shape[-1]

    def pads(size: int, out: int, shift: int, low: int, spread: int) -> tuple[int, int, int]:
        return low - shift, out - (low - shift) - (size - 1) * spread - 1, spread - 1

    def part(lhs: Any) -> Any:
        products = conv.dot(lhs, matrix, (((lhs.ndim - 1,), (0,)), ((), ())))
        total = jnp.zeros((), lhs.dtype)
        for i, at in enumerate(positions(conv.kernel)):
            shifts = [k * d for k, d in zip(at, conv.dilation, strict=True)]
            lows = [low for low, _ in conv.padding]
            around = map(pads, lhs.shape[1:-1], conv.outputs, shifts, lows, conv.spread)
            piece = products[..., i * features : (i + 1) * features]
            total = total + lax.pad(piece, zero(piece), [(0, 0, 0), *around, (0, 0, 0)])
        return total

    return once(_map(part, lhs, parts))


def _surrounded(lhs: Any, conv: _Conv) -> Any:
    """The inputs with their padding, and spread out."""
    pads = [(*pair, d - 1) for pair, d in zip(conv.padding, conv.spread, strict=True)]
    return lax.pad(lhs, zero(lhs), [(0, 0, 0), *pads, (0, 0, 0)])


def _map(part: Callable[..., Any], x: Any, parts: int) -> Any:
    if parts == 1:
        return part(x)
    out = lax.map(part, x.reshape(parts, -1, *x.shape[1:]))
    return out.reshape(-1, *out.shape[2:])


def _sum(part: Callable[..., Any], x: Any, y: Any, parts: int) -> Any:
    if parts == 1:
        return part(x, y)
    x, y = x.reshape(parts, -1, *x.shape[1:]), y.reshape(parts, -1, *y.shape[1:])
    out = jax.eval_shape(part, x[0], y[0])
    start = jnp.zeros(out.shape, out.dtype)
    return lax.scan(lambda total, xy: (total + part(*xy), None), start, (x, y))[0]
