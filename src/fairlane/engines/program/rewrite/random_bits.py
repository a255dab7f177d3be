"""Random bits, from arithmetic that XLA can vectorise; the same bits as JAX's own.

In: an operation of a traced program that draws bits or splits keys. Out: a rule, or None to leave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn

from fairlane.engines.program.rewrite.arrays import Rule, once

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def random_bits(eqn: JaxprEqn) -> Rule | None:
    """Bits from keys, where they are of Threefry."""
    keys = eqn.invars[0].aval
    shape, width = eqn.params["shape"], eqn.params["bit_width"]
    if str(keys.dtype) != "key<fry>" or not _counts_fit(shape) or width == 64:
        return None

    def bits(keys: Any) -> list[Any]:
        first, second = _hash_of_counts(keys, shape)
        return [lax.convert_element_type(once(first ^ second), eqn.outvars[0].aval.dtype)]

    return bits


def random_split(eqn: JaxprEqn) -> Rule | None:
    """New keys from keys, where they are of Threefry."""
    keys, shape = eqn.invars[0].aval, eqn.params["shape"]
    if str(keys.dtype) != "key<fry>" or not _counts_fit(shape):
        return None

    def split(keys: Any) -> list[Any]:
        new = jnp.stack(_hash_of_counts(keys, shape), axis=-1)
        return [jax.random.wrap_key_data(new, impl="threefry2x32")]

    return split


def _counts_fit(shape: Sequence[int]) -> bool:
    # without partitionable bits JAX pairs the counts in another way, which is rarely used
    return bool(jax.config.jax_threefry_partitionable) and math.prod(shape) < 2**32


def _hash_of_counts(keys: Any, shape: Sequence[int]) -> tuple[Any, Any]:
    """Threefry of the 64-bit numbers 0, 1, 2, ... in an array of a shape, for each of the keys."""
    return hash_of(keys, lax.iota(jnp.uint32, math.prod(shape)).reshape(shape))


def hash_of(keys: Any, numbers: Any) -> tuple[Any, Any]:
    """Threefry of 64-bit numbers, for each of the keys.

    Args:
        keys: of Threefry.
        numbers: less than 2³², uint32.
    """
    data = jax.random.key_data(keys)
    data = data.reshape(*data.shape[:-1], *(1 for _ in numbers.shape), 2)
    return _threefry(data[..., 0], data[..., 1], jnp.uint32(0), numbers)


def threefry2x32(eqn: JaxprEqn) -> Rule | None:
    """The hash itself, as raw keys (`jax.random.PRNGKey`) come to it."""
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
