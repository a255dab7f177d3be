"""JAX's private name for symbolic dimensions: their value, where the symbols have values.

In: a dimension of a program that was traced with symbolic dimensions. Out: a whole number. Tried with jax
0.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def is_symbolic(value: Any) -> bool:
    """Whether a value is a symbolic dimension."""
    return bool(jax.export.is_symbolic_dim(value))


def value_at(dimension: Any, env: Mapping[str, int]) -> int:
    """The value of a symbolic dimension."""
    return int(np.asarray(dimension._evaluate(env)))
