"""Goes through a traced program and puts other operations in the place of those that are slow on a CPU.

In: a traced function of arrays, such as ``Model.train_step``, and arrays. Out: its results, for which random
bits, convolutions, poolings and sums are computed in other ways: random bits are the same bit for bit,
everything else to float rounding. It can be traced under ``jit``, ``vmap`` and ``scan``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from fairlane.engines.program.outline import bind, programs_in
from fairlane.engines.program.rewrite.arrays import Rule
from fairlane.engines.program.rewrite.convolutions import convolution
from fairlane.engines.program.rewrite.pooling import max_gradient, pool, sum_pool
from fairlane.engines.program.rewrite.random_bits import random_bits, random_split, threefry2x32
from fairlane.engines.program.rewrite.sums import last_axis_sum

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
"""Operations with programs inside them, which are rewritten too."""

_RULES: dict[str, Callable[[JaxprEqn], Rule | None]] = {
    "random_bits": random_bits,
    "random_split": random_split,
    "threefry2x32": threefry2x32,
    "conv_general_dilated": convolution,
    "reduce_sum": last_axis_sum,
    "reduce_window_max": functools.partial(pool, lax.max, -math.inf),
    "reduce_window_sum": sum_pool,
    "select_and_scatter_add": max_gradient,
}
"""Name of an operation → what finds its rule."""


def slow_in_loops(program: Any) -> bool:
    """Whether a traced program has what XLA's CPU backend runs several times slower inside a loop.

    Args:
        program: a jaxpr.
    """
    return any(
        eqn.primitive.name == "conv_general_dilated"
        or any(map(slow_in_loops, programs_in([*eqn.params.values()])))
        for inner in programs_in(program)
        for eqn in inner.eqns
    )


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
        for program in programs_in(list(eqn.params.values()))
        for inner in program.eqns
    )


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
