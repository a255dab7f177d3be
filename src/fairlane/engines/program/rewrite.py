"""Rewrites a traced step for the CPU: the same numbers from operations that XLA's CPU backend runs fast.

In: a function of arrays, such as ``Model.train_step``. Out: a function with the same arguments and results,
in which random bits, convolutions and poolings are computed in other ways: random bits are the same bit for
bit, everything else to float rounding. It can be traced under ``jit``, ``vmap`` and ``scan``.

XLA's CPU backend hashes JAX's random bits in a loop of memory passes, and its convolutions and windows are
several times slower inside a loop than outside, and slower still under ``vmap``. As unrolled arithmetic and
matrix products they are fast everywhere. What this module does not know, it leaves as it is.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from fairlane.engines.program.outline import bind

Step = Callable[..., Any]
Rule = Callable[..., Sequence[Any]]

LARGEST_PATCHES = 256 * 2**20
"""Bytes of one sample's patches beyond which a convolution is left to XLA."""

CACHED_PATCHES = 2 * 2**20
"""Bytes of patches to make at once: a batch of more is taken in parts, so that they stay in the cache."""

MOST_SLICES = 128
"""Slices to make patches of, beyond which a convolution is left to XLA: each is code to compile."""

_RECURSED = frozenset(
    {
        "checkpoint",
        "closed_call",
        "cond",
        "core_call",
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "jit",
        "pjit",
        "scan",
        "while",
    }
)


def for_cpu(step: Step) -> Step:
    """The same function, from operations that are fast on a CPU.

    Args:
        step: a function of trees of arrays that JAX can trace.

    Returns:
        A function with the same arguments and results. It is meant to be run, not differentiated: where
        the rewritten operations are inside ``step``'s own derivatives, they are differentiated already.

    Example:
        >>> import jax
        >>> from fairlane.engines.program.rewrite import for_cpu
        >>> draw = lambda seed: jax.random.uniform(jax.random.key(seed), (3,))
        >>> bool((for_cpu(draw)(7) == draw(7)).all())
        True
    """

    @functools.wraps(step)
    def rewritten(*args: Any, **kwargs: Any) -> Any:
        closed, out = jax.make_jaxpr(step, return_shape=True)(*args, **kwargs)
        results = run_for_cpu(closed, *jax.tree.leaves((args, kwargs)))
        return jax.tree.unflatten(jax.tree.structure(out), results)

    return rewritten


def slow_in_loops(program: Any) -> bool:
    """Whether a traced program has what XLA's CPU backend runs several times slower inside a loop.

    Args:
        program: a jaxpr.
    """
    return any(
        eqn.primitive.name == "conv_general_dilated"
        or any(map(slow_in_loops, _programs([*eqn.params.values()])))
        for inner in _programs(program)
        for eqn in inner.eqns
    )


# -- walking the program


def run_for_cpu(closed: ClosedJaxpr, *args: Any) -> list[Any]:
    """Run a traced program on these arrays, from operations that are fast on a CPU."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for eqn in jaxpr.eqns:
        inputs = [read(atom) for atom in eqn.invars]
        with eqn.ctx.manager:
            rule = _rule(eqn)
            outputs = _bind(eqn, inputs) if rule is None else rule(*map(_array, inputs))
        values.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _array(value: Any) -> Any:
    return value if isinstance(value, jax.Array) else jnp.asarray(value)  # literals need not be arrays


def _rule(eqn: JaxprEqn) -> Rule | None:
    """What to compute instead of an equation, or None to leave it."""
    find = _RULES.get(eqn.primitive.name)
    return None if find is None else find(eqn)


def _bind(eqn: JaxprEqn, inputs: Sequence[Any]) -> Sequence[Any]:
    """The equation as it is, but for the programs inside it."""
    params = dict(eqn.params)
    if _touched(eqn) and eqn.primitive.name in _RECURSED:
        params = {name: _rewritten(value) for name, value in params.items()}
    return bind(eqn, inputs, params)


def _touched(eqn: JaxprEqn) -> bool:
    """Whether there is anything to rewrite in the programs inside an equation."""
    return any(
        _rule(inner) is not None or _touched(inner)
        for program in _programs(list(eqn.params.values()))
        for inner in program.eqns
    )


def _programs(value: Any) -> list[Any]:
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [program for item in value for program in _programs(item)]
    return []


def _rewritten(value: Any) -> Any:
    """A parameter of an equation, with the programs in it rewritten."""
    if isinstance(value, ClosedJaxpr):
        kinds = [jax.ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in value.in_avals]
        return jax.make_jaxpr(functools.partial(run_for_cpu, value))(*kinds)
    if isinstance(value, Jaxpr):
        closed = _rewritten(ClosedJaxpr(value, ()))
        return value if closed.consts else closed.jaxpr
    if isinstance(value, tuple | list):
        return type(value)(_rewritten(item) for item in value)
    return value


def _once(x: Any) -> Any:
    """The same array, computed once.

    XLA fuses a producer into each of its uses unless it takes it to be too expensive, as it does any
    division, and its CPU backend removes optimization barriers before that. This is a division by 1, which
    XLA does not see, but LLVM does, so that nothing is left of it.
    """
    bits = lax.bitcast_convert_type(x, f"uint{8 * x.dtype.itemsize}")
    one = ((bits & 1) >> 1) + 1
    return lax.div(x, lax.convert_element_type(one, x.dtype))


# -- random bits

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def _random_bits(eqn: JaxprEqn) -> Rule | None:
    keys = eqn.invars[0].aval
    shape, width = eqn.params["shape"], eqn.params["bit_width"]
    if str(keys.dtype) != "key<fry>" or not _counts_fit(shape) or width == 64:
        return None

    def bits(keys: Any) -> list[Any]:
        first, second = _hash_of_counts(keys, shape)
        return [lax.convert_element_type(_once(first ^ second), eqn.outvars[0].aval.dtype)]

    return bits


def _random_split(eqn: JaxprEqn) -> Rule | None:
    keys, shape = eqn.invars[0].aval, eqn.params["shape"]
    if str(keys.dtype) != "key<fry>" or not _counts_fit(shape):
        return None

    def split(keys: Any) -> list[Any]:
        new = jnp.stack(_hash_of_counts(keys, shape), axis=-1)
        return [jax.random.wrap_key_data(new, impl="threefry2x32")]

    return split


def _counts_fit(shape: Sequence[int]) -> bool:
    # without partitionable bits JAX pairs the counts otherwise; nobody needs that fast
    return bool(jax.config.jax_threefry_partitionable) and math.prod(shape) < 2**32


def _hash_of_counts(keys: Any, shape: Sequence[int]) -> tuple[Any, Any]:
    """Threefry of the 64-bit numbers 0, 1, 2, ... in an array of a shape, for each of the keys."""
    data = jax.random.key_data(keys)
    data = data.reshape(*data.shape[:-1], *(1 for _ in shape), 2)
    low = lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return _threefry(data[..., 0], data[..., 1], jnp.uint32(0), low)


def _threefry2x32(eqn: JaxprEqn) -> Rule | None:
    return lambda *inputs: list(_threefry(*inputs))


def _threefry(key1: Any, key2: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Threefry-2x32 with 20 rounds (Salmon et al., SC 2011), as JAX defines it."""
    keys = [key1, key2, key1 ^ key2 ^ jnp.uint32(0x1BD11BDA)]
    x, y = x + keys[0], y + keys[1]
    for i in range(5):
        for rotation in _ROTATIONS[i % 2]:
            x = x + y
            y = (y << rotation) | lax.shift_right_logical(y, jnp.uint32(32 - rotation))
            y = x ^ y
        x = x + keys[(i + 1) % 3]
        y = y + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y


# -- convolutions


class _Conv(NamedTuple):
    """A convolution, a number per position's axis each, and the matrix product to make it of."""

    kernel: tuple[int, ...]
    outputs: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    spread: tuple[int, ...]
    dot: Callable[..., Any]


def _convolution(eqn: JaxprEqn) -> Rule | None:
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
    """The fewest equal parts of a batch that are small enough for a cache."""
    return next(
        n for n in range(1, samples + 1) if n == samples or (samples % n == 0 and size <= n * CACHED_PATCHES)
    )


# In each of the three, lhs is (batch, *inputs, channels), rhs (channels, *kernel, features), and the result
# (batch, *outputs, features).


def _gathered(lhs: Any, rhs: Any, conv: _Conv, parts: int) -> Any:
    """Patches around every output, times the kernel."""
    matrix = jnp.moveaxis(rhs, 0, -2).reshape(-1, rhs.shape[-1])

    def part(lhs: Any) -> Any:
        pieces = _slices(lhs, conv.kernel, conv.dilation, conv.outputs, conv.strides)
        patches = jnp.concatenate(pieces, axis=-1)
        return conv.dot(patches, matrix, (((patches.ndim - 1,), (0,)), ((), ())))

    return _map(part, _once(_surrounded(lhs, conv)), parts)


def _correlated(lhs: Any, rhs: Any, conv: _Conv, parts: int) -> Any:
    """What is under the whole kernel for every output, times the kernel."""
    lhs = jnp.moveaxis(_once(_surrounded(lhs, conv)), (0, -1), (-1, 0))
    batch = lhs.shape[-1]
    inner = tuple(range(rhs.ndim - 1))

    def part(lhs: Any, rhs: Any) -> Any:
        pieces = _slices(lhs, conv.outputs, conv.strides, conv.kernel, conv.dilation)
        patches = jnp.concatenate([jnp.moveaxis(piece, -1, 0) for piece in pieces])
        return conv.dot(patches, rhs, ((tuple(i + 1 for i in inner), inner), ((), ())))

    result = _sum(part, lhs, rhs, parts).reshape(*conv.outputs, batch, -1)
    return jnp.moveaxis(result, -2, 0)


def _scattered(lhs: Any, rhs: Any, conv: _Conv, parts: int) -> Any:
    """Every input times the kernel, its products added up where they belong."""
    matrix, features = rhs.reshape(rhs.shape[0], -1), rhs.shape[-1]

    def pads(size: int, out: int, shift: int, low: int, spread: int) -> tuple[int, int, int]:
        return low - shift, out - (low - shift) - (size - 1) * spread - 1, spread - 1

    def part(lhs: Any) -> Any:
        products = conv.dot(lhs, matrix, (((lhs.ndim - 1,), (0,)), ((), ())))
        total = jnp.zeros((), lhs.dtype)
        for i, at in enumerate(_positions(conv.kernel)):
            shifts = [k * d for k, d in zip(at, conv.dilation, strict=True)]
            lows = [low for low, _ in conv.padding]
            around = map(pads, lhs.shape[1:-1], conv.outputs, shifts, lows, conv.spread)
            piece = products[..., i * features : (i + 1) * features]
            total = total + lax.pad(piece, _zero(piece), [(0, 0, 0), *around, (0, 0, 0)])
        return total

    return _once(_map(part, lhs, parts))


def _surrounded(lhs: Any, conv: _Conv) -> Any:
    """The inputs with their padding, and spread out."""
    pads = [(*pair, d - 1) for pair, d in zip(conv.padding, conv.spread, strict=True)]
    return lax.pad(lhs, _zero(lhs), [(0, 0, 0), *pads, (0, 0, 0)])


def _slices(
    x: Any, starts: Sequence[int], between: Sequence[int], size: Sequence[int], step: Sequence[int]
) -> list[Any]:
    """The slices of the positions of ``(·, *positions, ·)`` that begin at each of ``starts``."""
    slices = []
    for at in _positions(starts):
        first = [a * b for a, b in zip(at, between, strict=True)]
        stop = [a + (n - 1) * s + 1 for a, n, s in zip(first, size, step, strict=True)]
        slices.append(lax.slice(x, (0, *first, 0), (x.shape[0], *stop, x.shape[-1]), (1, *step, 1)))
    return slices


def _positions(shape: Sequence[int]) -> Iterable[tuple[int, ...]]:
    return itertools.product(*map(range, shape))


def _map(part: Step, x: Any, parts: int) -> Any:
    if parts == 1:
        return part(x)
    out = lax.map(part, x.reshape(parts, -1, *x.shape[1:]))
    return out.reshape(-1, *out.shape[2:])


def _sum(part: Step, x: Any, y: Any, parts: int) -> Any:
    if parts == 1:
        return part(x, y)
    x, y = x.reshape(parts, -1, *x.shape[1:]), y.reshape(parts, -1, *y.shape[1:])
    out = jax.eval_shape(part, x[0], y[0])
    start = jnp.zeros(out.shape, out.dtype)
    return lax.scan(lambda total, xy: (total + part(*xy), None), start, (x, y))[0]


def _zero(x: Any) -> Any:
    return jnp.zeros((), x.dtype)


# -- pooling


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
    return [m[0, ..., 0] for m in _slices(x[None, ..., None], window, ones, counts, window)]


def _pool(combine: Callable[[Any, Any], Any], nothing: float, eqn: JaxprEqn) -> Rule | None:
    p = eqn.params
    window, strides = p["window_dimensions"], p["window_strides"]
    base, between = p["base_dilation"], p["window_dilation"]
    out = eqn.outvars[0].aval.shape
    whole = not jnp.issubdtype(eqn.outvars[0].aval.dtype, jnp.floating)
    if whole or not 1 < math.prod(window) <= MOST_SLICES or math.prod(out) == 0:
        return None

    def pool(x: Any) -> list[Any]:
        pads = [(low, high, d - 1) for (low, high), d in zip(p["padding"], base, strict=True)]
        x = lax.pad(x, jnp.asarray(nothing, x.dtype), pads)
        members = _slices(x[None, ..., None], window, between, out, strides)
        return [_once(functools.reduce(combine, (m[0, ..., 0] for m in members)))]

    return pool


def _sum_pool(eqn: JaxprEqn) -> Rule | None:
    return _sum_gradient(eqn) or _pool(lax.add, 0.0, eqn)


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
            _spread(_once(x), window), [n for size, w in zip(shape, window, strict=True) for n in (size, w)]
        )
        return [_padded(wide.reshape([n * w for n, w in zip(shape, window, strict=True)]), out)]

    return gradient


def _max_gradient(eqn: JaxprEqn) -> Rule | None:
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
        hit = _spread(_once(winner), window) == member.reshape([n for w in window for n in (1, w)])
        spread = jnp.where(hit, _spread(_once(source), window), 0)
        spread = spread.reshape([n * w for n, w in zip(source.shape, window, strict=True)])
        return [_padded(spread, operand.shape)]

    return gradient


def _spread(x: Any, window: Sequence[int]) -> Any:
    """``(a, b, ...)`` to ``(a, 1, b, 1, ...)``."""
    return x.reshape([n for size in x.shape for n in (size, 1)])


def _padded(x: Any, shape: Sequence[int]) -> Any:
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, n - m, 0) for n, m in zip(shape, x.shape, strict=True)])


_RULES: dict[str, Callable[[JaxprEqn], Rule | None]] = {
    "random_bits": _random_bits,
    "random_split": _random_split,
    "threefry2x32": _threefry2x32,
    "conv_general_dilated": _convolution,
    "reduce_window_max": functools.partial(_pool, lax.max, -math.inf),
    "reduce_window_sum": _sum_pool,
    "select_and_scatter_add": _max_gradient,
}
