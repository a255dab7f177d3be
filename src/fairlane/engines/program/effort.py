"""How hard XLA's CPU backend is to work at one batch of an epoch among many.

In: the traced program of the batch, and how many epochs there are. Out: compiler options. Where compiling
well takes longer than it can save, XLA is to be quick; its results are the same to float rounding. Whole
epochs are always compiled with XLA's own options, so that they round as Keras's own programs do.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax

from fairlane.engines.program.outline import programs_in

Options = dict[str, Any]

_QUICK: Options = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
_LESS: Options = {"xla_backend_optimization_level": 1}

_MOST_WORK = 2e6
"""Elements that a quickly compiled program may compute in all, for each of its operations. An element takes
0.2 to 0.7 ns longer, and an operation is compiled about 1.5 ms sooner (`benchmarks/NOTES.md`)."""

SECONDS_PER_ELEMENT = 2e-10
"""Processor time per element that a step computes, in a scan: 0.1 to 0.2 ns (`benchmarks/NOTES.md`)."""
SECONDS_PER_OPERATION = 12e-3
"""Processor time to compile a fleet's programs, per operation of its training step, as measured there."""

_PRODUCTS_PER_ELEMENT = 8
"""How many multiplications of a matrix product or a convolution count as one element."""


def effort(program: Any, epochs: float) -> Options:
    """Compiler options for the program of one batch.

    Args:
        program: a jaxpr.
        epochs: how often it will run.
    """
    seldom = work(program) * epochs <= _MOST_WORK * operations(program)
    return _QUICK if seldom and _knows_quick() else _LESS


def pays(step: Any, saved: float) -> bool:
    """Whether another set of programs, for fewer lanes, would save more than it costs to compile.

    Estimated, not measured: how fast a machine is at the moment, or whether a program was kept, must not
    decide which program trains a lane. Programs of two widths round differently.

    Args:
        step: the jaxpr of a training step.
        saved: for how many batches it would not be computed.

    Returns:
        Whether it would; False where the work is not known.
    """
    seconds = saved * work(step) * SECONDS_PER_ELEMENT
    return math.isfinite(seconds) and seconds > SECONDS_PER_OPERATION * operations(step)


def work(program: Any) -> float:
    """How many elements a traced program computes; infinite where a loop's end is not known beforehand.

    Args:
        program: a jaxpr.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> work(jax.make_jaxpr(lambda x: jnp.sin(x) + jnp.cos(x))(jnp.ones(10)))
        30.0
    """
    return sum(_work_of(eqn) for inner in programs_in(program) for eqn in inner.eqns)


def operations(program: Any) -> int:
    """How many operations a traced program has, each counted once wherever it stands.

    Args:
        program: a jaxpr.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> operations(jax.make_jaxpr(lambda x: jnp.sin(x) + jnp.cos(x))(jnp.ones(10)))
        3
    """
    return sum(
        operations(list(eqn.params.values())) or 1 for inner in programs_in(program) for eqn in inner.eqns
    )


def _work_of(eqn: Any) -> float:
    parts = list(eqn.params.values())
    if any(True for _ in programs_in(parts)):
        if eqn.primitive.name == "while":
            return math.inf
        return float(eqn.params.get("length", 1)) * work(parts)
    made = float(sum(math.prod(out.aval.shape) for out in eqn.outvars))
    return float(made * (1 + _products(eqn) / _PRODUCTS_PER_ELEMENT))


def _products(eqn: Any) -> int:
    """How many multiplications are summed for an element."""
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
    if eqn.primitive.name == "conv_general_dilated":
        kernel, features = eqn.invars[1].aval.shape, eqn.params["dimension_numbers"].rhs_spec[0]
        return int(math.prod(kernel) // kernel[features])
    return 0


@functools.cache
def _knows_quick() -> bool:
    """Whether this version of XLA has these options."""
    try:
        jax.jit(lambda x: x).lower(0.0).compile(compiler_options=_QUICK)
    except Exception:
        return False
    return True
