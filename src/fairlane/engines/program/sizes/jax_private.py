"""JAX's private names for symbolic dimensions: their values, and how they were compared.

In: a dimension of a program that was traced with symbolic dimensions. Out: a whole number. JAX takes two
dimensions for unequal where it does not know it, and any for true. `taken_for_unequal` finds where that was
asked of dimensions of one scope: others are compared as well, in JAX's caches, in Keras's own traces and in
other threads. Tried with jax 0.10; `tests/engines/test_uniform.py` notices where JAX has other names.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

try:
    from jax._src import tree_util
    from jax._src.export.shape_poly import _DimExpr
except ImportError:  # a JAX with other names: `taken_for_unequal` refuses
    _DimExpr = None


def is_symbolic(value: Any) -> bool:
    """Whether a value is a symbolic dimension."""
    return bool(jax.export.is_symbolic_dim(value))


def value_at(dimension: Any, env: Mapping[str, int]) -> int:
    """The value of a symbolic dimension."""
    return int(np.asarray(dimension._evaluate(env)))


_ALONE = threading.Lock()
"""One thread at a time: what is replaced in JAX's class is put back."""


@contextmanager
def taken_for_unequal(symbols: Iterable[Any]) -> Iterator[list[tuple[Any, Any]]]:
    """Record what is compared with symbolic dimensions and taken for unequal, inside of the context.

    Args:
        symbols: dimensions of one scope; nothing is recorded of dimensions of other scopes.

    Raises:
        NotImplementedError: this JAX has other names; then each size is traced.
    """
    if _DimExpr is None:
        raise NotImplementedError("JAX's class of symbolic dimensions has another name")
    with _ALONE:
        yield from _recorded({id(symbol.scope) for symbol in symbols})


def _recorded(scopes: Set[int]) -> Iterator[list[tuple[Any, Any]]]:
    found: list[tuple[Any, Any]] = []

    def is_ours(value: Any) -> bool:
        return (
            id(value.scope) in scopes if isinstance(value, _DimExpr) else isinstance(value, int | np.integer)
        )

    plain, bools = _DimExpr.__eq__, _DimExpr.__dict__.get("__bool__")

    def equal(self: Any, other: Any) -> bool:
        same = bool(plain(self, other))
        if not same and is_ours(self) and is_ours(other):
            asked_by = sys._getframe(1).f_code
            # What JAX has traced before is looked up by trees of arguments: where these differ, it traces.
            if (asked_by.co_filename, asked_by.co_name) != (tree_util.__file__, "__eq__"):
                found.append((self, other))
        return same

    def true(self: Any) -> bool:
        if is_ours(self):
            found.append((self, 0))
        return True

    _DimExpr.__eq__, _DimExpr.__bool__ = equal, true
    try:
        yield found
    finally:
        _DimExpr.__eq__ = plain
        if bools is None:
            del _DimExpr.__bool__
        else:
            _DimExpr.__bool__ = bools
