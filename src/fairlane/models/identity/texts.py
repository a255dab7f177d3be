"""Constants, arrays and containers of texts, as text: what one line of a description looks like.

In: a value that says all of itself, or texts. Out: a text; the same in every process for the same value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

Tree = str | dict[str, Any]

UNKNOWN = "can't be read: "
"""What the text of a value begins with that could not be read."""

_PLAIN = (str, int, float, bool, type(None), bytes, complex)
_LONGEST = 2000


def is_constant(value: Any) -> bool:
    """Whether it is a plain constant, whose ``repr`` says all."""
    exact = type(value) in _PLAIN or isinstance(value, np.float64 | np.complex128 | np.str_ | np.bytes_)
    return exact or (type(value) is tuple and all(map(is_constant, value)))


def is_unknown(text: str) -> bool:
    """Whether the text of a value, or of a part of it, says that it could not be read."""
    return text.startswith(UNKNOWN)


def in_words(unknown: str) -> str:
    """What could not be read, and where."""
    return unknown.removeprefix(UNKNOWN)


def text_of(tree: Tree) -> str:
    """A tree as one line."""
    return tree if isinstance(tree, str) else json.dumps(tree)


def hashed(data: Any) -> str:
    """A hash, short enough for a line."""
    return hashlib.sha256(data).hexdigest()[:32]


def array_text(value: Any) -> str:
    """An array's dtype and shape, and a hash of its content."""
    array = value if isinstance(value, np.ndarray) else _as_array(value)
    if array.dtype.hasobject:
        digest = hashed(repr(array.tolist()).encode())
    else:
        digest = hashed(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return f"{array.dtype} {array.shape}, SHA-256 {digest}"


def _as_array(value: Any) -> np.ndarray[Any, Any]:
    if str(getattr(value, "dtype", "")).startswith("key<"):  # a key of jax.random
        import jax

        value = jax.random.key_data(value)
    return np.asarray(keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value)


def flat(kind: type, read: Mapping[str, Tree]) -> str | None:
    """A container whose items are all single texts, as one text; None for others."""
    items = [item for item in read.values() if isinstance(item, str)]
    if len(items) < len(read):
        return None
    if kind is dict:
        return shortened("{" + ", ".join(f"{k}: {v}" for k, v in read.items()) + "}")
    if kind in (set, frozenset):
        return shortened("{" + ", ".join(items) + ",}")
    inside = ", ".join(items)
    return shortened(f"[{inside}]" if kind is list else f"({inside},)")


def shortened(text: str) -> str:
    """A text that is too long for a line, by its beginning and its hash."""
    return text if len(text) <= _LONGEST else f"{text[:200]}... SHA-256 {hashed(text.encode())}"


def class_name(kind: type) -> str:
    """A class by its module and name; of Python's own classes, the name alone."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
