"""Whether values are the same, and small conversions of them.

In: numbers, arrays, containers. Out: an answer, or the value in another form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays or numbers have the same dtype, shape and bits: NaN is itself, and -0.0 is not 0.0.

    Example:
        >>> same_bits(float("nan"), float("nan")), same_bits(0.0, -0.0), same_bits(1, 1.0)
        (True, False, False)
    """
    one, other = np.asarray(a), np.asarray(b)
    same_kind = one.shape == other.shape and one.dtype == other.dtype
    return same_kind and np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def same_values(a: Any, b: Any) -> bool:
    """Whether two arrays have the same shape and values: NaN is itself, and -0.0 is 0.0.

    Example:
        >>> same_values([float("nan"), 0.0], [float("nan"), -0.0]), same_values([1], [1, 1])
        (True, False)
    """
    one, other = np.asarray(a), np.asarray(b)
    # NumPy refuses `equal_nan` for values that are not numbers.
    return np.array_equal(one, other, equal_nan=np.issubdtype(one.dtype, np.inexact))


def same_trees(a: Any, b: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Whether two trees of lists, tuples and mappings have equal leaves at equal places.

    Args:
        a: a tree.
        b: another one; a list and a tuple of the same items are equal.
        same: whether two leaves are equal.
    """
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same_trees(x, y, same) for x, y in zip(a, b, strict=True))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_trees(a[key], b[key], same) for key in a)
    return same(a, b)


def as_python(value: Any) -> Any:
    """A scalar of NumPy as Python's own, which Keras requires of a learning rate; others as they are."""
    return value.item() if isinstance(value, np.generic) else value


def mapped(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """A tree of dicts, lists and tuples, with each leaf replaced; the containers are new.

    Args:
        value: the tree. Keras's own lists and dicts, which track what they hold, become plain ones.
        leaf: what is to stand for a leaf.

    Example:
        >>> mapped({"a": [1, (2,)]}, lambda leaf: leaf + 1)
        {'a': [2, (3,)]}
    """
    if isinstance(value, Mapping):
        return {key: mapped(inner, leaf) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        items = [mapped(inner, leaf) for inner in value]
        return tuple(items) if isinstance(value, tuple) else items
    return leaf(value)


def read_only(value: Any) -> Any:
    """An array that can't be written to through what is returned; it has the same memory.

    Args:
        value: a NumPy array; anything else is returned as it is.

    Example:
        >>> read_only(np.zeros(2)).flags.writeable
        False
    """
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
