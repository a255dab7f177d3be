"""Sums over the last axis, of elements that are computed before.

In: a sum in a traced program. Out: a rule, or None to leave it.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from fairlane.engines.program.outline import bind
from fairlane.engines.program.rewrite.arrays import Rule, once

SMALLEST = 4096
"""Elements below which a sum is left to XLA: it takes no time that shows."""


def last_axis_sum(eqn: JaxprEqn) -> Rule | None:
    """A sum over the last axis, but not over all of them.

    XLA's CPU backend hands such a sum to a library, with all arithmetic around it, which the library does
    several times slower than XLA's own loops: the gradient of an attention's softmax was a third of a step.
    """
    x, axes = eqn.invars[0].aval, eqn.params["axes"]
    if not jnp.issubdtype(x.dtype, jnp.floating) or x.size < SMALLEST:
        return None
    if x.ndim - 1 not in axes or len(axes) == x.ndim:
        return None
    return lambda x: bind(eqn, [once(x)], eqn.params)
