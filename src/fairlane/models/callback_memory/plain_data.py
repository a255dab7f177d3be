"""Values as plain data, which a store can hold and which another process can read, and back.

In: a value. Out: a tree of dicts with strings as keys, lists, tuples, None, bools, numbers, strings and NumPy
arrays. What is none of these is a dict with a `TAG`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import keras
import numpy as np

from fairlane.kit.values import same_trees

TAG = "__fairlane__"
"""The key that marks a dict as another value, and says of which kind. It stands in stored data."""

COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal"})
"""Functions that Keras's callbacks choose between when they see the first logs."""
MODULES = (keras.ops, np)


class CannotTell(Exception):
    """Something can't be written as plain data; the message says what."""


class CannotGoOn(Exception):
    """A trial can't go on exactly where it was; the message says why."""


def plain(value: Any) -> Any:
    """A value as plain data.

    Raises:
        CannotTell: it, or something in it, is another object.

    Example:
        >>> restored(plain({1: (2.5, {"a"})}))
        {1: (2.5, {'a'})}
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is np.ndarray:
        if value.dtype.hasobject:
            raise CannotTell("an array of objects")
        return value.copy()  # who owns it may change it before it is written
    if kind in (list, tuple):
        return kind(plain(item) for item in value)
    if kind is dict:
        if all(type(key) is str for key in value) and TAG not in value:
            return {key: plain(item) for key, item in value.items()}
        return {TAG: "dict", "of": [[plain(k), plain(v)] for k, v in value.items()]}
    if kind in (set, frozenset):
        return {TAG: kind.__name__, "of": [plain(item) for item in value]}
    single = simple(value)
    if single is not None:
        return single
    raise CannotTell(f"a {kind.__name__}")


def restored(tree: Any) -> Any:
    """The value that `plain` made the tree of."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(restored(item) for item in tree)
    if not isinstance(tree, Mapping):
        return tree
    if TAG not in tree:
        return {key: restored(item) for key, item in tree.items()}
    kind, of = tree[TAG], tree["of"]
    match kind:
        case "dict":
            return {restored(key): restored(item) for key, item in of}
        case "set" | "frozenset":
            return {"set": set, "frozenset": frozenset}[kind](restored(item) for item in of)
    return from_simple(tree)


def same(a: Any, b: Any) -> bool:
    """Whether two trees of plain data are equal."""
    return same_trees(a, b, _same_leaf)


def _same_leaf(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    return bool(a == b)


def simple(value: Any) -> Any:
    """Values without parts, as plain data; None for others."""
    if isinstance(value, np.generic):
        return {TAG: "scalar", "of": np.array(value)}
    if isinstance(value, bytes):
        return {TAG: "bytes", "of": np.frombuffer(value, np.uint8)}
    if isinstance(value, PurePath):
        return {TAG: "path", "of": str(value)}
    name = getattr(value, "__name__", "")
    if name in COMPARISONS and any(value is getattr(module, name, None) for module in MODULES):
        return {TAG: "comparison", "of": [value.__module__.startswith("keras"), name]}
    if keras.ops.is_tensor(value):
        return {TAG: "tensor", "of": np.array(keras.ops.convert_to_numpy(value))}
    return None


def from_simple(tree: Mapping[str, Any]) -> Any:
    """The value that `simple` was given."""
    kind, of = tree[TAG], tree["of"]
    match kind:
        case "scalar":
            return np.asarray(of)[()]
        case "bytes":
            return bytes(of)
        case "path":
            return Path(of)
        case "comparison" if of[1] in COMPARISONS:
            return getattr(MODULES[0] if of[0] else MODULES[1], of[1])
        case "tensor":
            return keras.ops.convert_to_tensor(of)
    raise CannotGoOn(f"a checkpoint holds a {kind!r:.40}, which this version does not know")
