"""A tree of plain data → bytes, and exactly back; nothing in the bytes is ever executed.

In: dicts with strings as keys, lists, tuples, None, bools, ints, floats, strings, NumPy arrays and scalars
(also of bfloat16 and similar types), nested in any way. Out: a safetensors file, in which the arrays stand
one by one, and the tensor ``tree`` holds the rest as JSON. A value of any other type is refused when it is
written: pickle is never used.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fairlane.errors import StoreError
from fairlane.kit.extras import needed
from fairlane.trials import LONGEST_INTEGER

_TREE = "tree"
_NATIVE = frozenset({"f8", "f4", "f2", "i8", "u8", "i4", "u4", "i2", "u2", "i1", "u1", "b1"})
"""The types of little-endian arrays that safetensors knows; other arrays are stored as their bytes."""
_STANDARD = re.compile(r"[<>|=]?[biufcSUmM]\d+(\[\w+\])?")
_EXTENDED = re.compile(r"(bfloat16|float[468]_\w+|u?int[1-4])")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


_DEEPEST = 100
"""Levels of lists and dicts that are written and read."""


class NotPlain(StoreError):
    """A value that is not plain data."""


def to_bytes(tree: Any) -> bytes:
    """The tree as the bytes of a file.

    Raises:
        NotPlain: something in it is not plain data; what, and where.
    """
    numpy_format = needed("safetensors.numpy")
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    text = _dumped(tree, tensors, "the tree", separators=(",", ":"))
    tensors[_TREE] = np.frombuffer(text.encode("ascii"), np.uint8)
    return bytes(numpy_format.save(tensors))


def from_bytes(data: bytes) -> Any:
    """The tree that `to_bytes` was called with; its arrays are writeable copies.

    Raises:
        StoreError: the bytes are not such a file.
    """
    numpy_format = needed("safetensors.numpy")
    try:
        tensors = numpy_format.load(data)
        return _decoded(json.loads(bytes(tensors.pop(_TREE)).decode("ascii")), tensors)
    except StoreError:
        raise
    except Exception as error:  # the bytes may be anything
        raise StoreError(
            f"these {len(data)} bytes are not a file that Fairlane writes ({type(error).__name__}: {error})"
        ) from error


def to_text(tree: Any) -> str:
    """A tree without arrays as JSON text.

    Raises:
        NotPlain: something in it is not plain data, or is an array.
    """
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    text = _dumped(tree, tensors, "the value")
    if tensors:
        raise NotPlain("an array can't be stored as text")
    return text


def from_text(text: str) -> Any:
    """The tree that `to_text` was called with.

    Raises:
        StoreError: the text is something else.
    """
    try:
        return _decoded(json.loads(text), {})
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"{text[:60]!r} is not a value that Fairlane writes") from error


# Values → JSON


def _dumped(tree: Any, tensors: dict[str, np.ndarray[Any, Any]], where: str, **options: Any) -> str:
    if _is_deep(tree):
        raise NotPlain(f"{where} has more than {_DEEPEST} levels, or contains itself")
    return json.dumps(_encoded(tree, tensors, where), allow_nan=False, **options)


def _is_deep(tree: Any) -> bool:
    """Whether a tree has more levels than are read, or contains itself."""
    level: dict[int, Any] = {id(tree): tree}
    for _ in range(_DEEPEST):
        inside = (_inside(value) for value in level.values())
        level = {
            id(inner): inner
            for values in inside
            for inner in values
            if isinstance(inner, list | tuple | Mapping)
        }
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _encoded(value: Any, tensors: dict[str, np.ndarray[Any, Any]], where: str) -> Any:
    """As JSON: scalars and lists as they are, all else as a dict with one key that says what it is."""
    kind = type(value)
    if kind is int and value.bit_length() > LONGEST_INTEGER:  # Python refuses to write more in decimals
        return {"int": hex(value)}
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list or kind is tuple:
        items = [_encoded(item, tensors, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if kind is list else {"tuple": items}
    if isinstance(value, Mapping):
        return {"dict": _encoded_items(value, tensors, where)}
    if isinstance(value, np.ndarray | np.generic):
        return {"array" if isinstance(value, np.ndarray) else "scalar": _put(value, tensors, where)}
    raise NotPlain(
        f"{where} is of type {kind.__name__}, and plain data are dicts, lists, tuples, None, bools, numbers, "
        "strings and NumPy arrays"
    )


def _encoded_items(
    mapping: Mapping[Any, Any], tensors: dict[str, np.ndarray[Any, Any]], where: str
) -> dict[str, Any]:
    for key in mapping:
        if type(key) is not str:
            raise NotPlain(f"{where} has the key {key!r}, and the keys of plain data are strings")
    return {key: _encoded(value, tensors, f"{where}[{key!r}]") for key, value in mapping.items()}


def _put(value: Any, tensors: dict[str, np.ndarray[Any, Any]], where: str) -> list[Any]:
    """Add an array to the tensors; return its name, dtype and shape."""
    array = np.asarray(value, order="C")
    dtype = array.dtype.name if array.dtype.kind == "V" else array.dtype.str
    if _dtype(dtype) != array.dtype:
        raise NotPlain(f"{where} is an array of {array.dtype}, and arrays of plain data hold numbers or text")
    name = str(len(tensors))
    as_it_is = dtype[0] in "<|" and dtype[1:] in _NATIVE
    tensors[name] = array if as_it_is else np.frombuffer(array.tobytes(), np.uint8)
    return [name, dtype, list(array.shape)]


# JSON → values


def _decoded(value: Any, tensors: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    match kind:
        case "float":
            return _SPECIAL[inner]
        case "int":
            return int(inner, 16)
        case "tuple":
            return tuple(_decoded(item, tensors) for item in inner)
        case "dict":
            return {key: _decoded(item, tensors) for key, item in inner.items()}
        case "array":
            return _get(inner, tensors)
        case "scalar":
            return _get(inner, tensors)[()]
    raise StoreError(f"a tree can't hold a {kind!r}")


def _get(description: Any, tensors: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    name, text, shape = description
    dtype = _dtype(text)
    if dtype is None:
        raise StoreError(f"a tree can't hold arrays of {text!r}")
    flat = np.frombuffer(tensors[name].tobytes(), dtype)
    if any(n < 0 for n in shape):
        raise StoreError(f"a tree can't hold arrays of the shape {shape}")
    return flat.reshape([int(n) for n in shape]).copy()


def _dtype(text: str) -> np.dtype[Any] | None:
    """The dtype of a name if it holds plain data only; else None."""
    if _STANDARD.fullmatch(text):
        return np.dtype(text)
    if _EXTENDED.fullmatch(text):
        import ml_dtypes  # comes with JAX

        found = getattr(ml_dtypes, text, None)
        return None if found is None else np.dtype(found)
    return None
