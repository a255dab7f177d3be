"""Which samples a model has seen: whether two trainings were of the same ones, of others, or of some of them.

In: what ``fit`` is given. Out: `Samples`, which are small whatever the data's size, and how two of them
relate. Each sample of an array has a number made of its values; of these the smallest are kept. What is not
an array is known by its identity alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from weakref import ReferenceType, ref

import keras
import numpy as np

KEPT = 1024
MOST_ROWS = 200_000
MOST_COLUMNS = 64
MOST_COPIED = 1 << 28
_ARRAYS_OF = frozenset({"pandas", "jax", "jaxlib"})


class Relation(Enum):
    """How the samples of two trainings relate."""

    SAME = auto()
    OTHERS = auto()
    SOME = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one training.

    Attributes:
        keys: the smallest of their numbers; empty where they have none.
        limit: numbers up to this one are all among the keys.
        source: the object that they came from, where it can be told apart later.
        target: what tells one kind of target from another.
    """

    keys: frozenset[int]
    limit: int
    source: ReferenceType[Any] | None
    target: object

    def within(self, other: Samples) -> float | None:
        """The share of these samples that the others have, too; None where that can't be told."""
        comparable = [key for key in self.keys if key <= other.limit]
        if not comparable or not other.keys:
            return None
        return sum(key in other.keys for key in comparable) / len(comparable)

    def relation(self, other: Samples) -> Relation:
        """How these samples relate to others."""
        if self.target != other.target:
            return Relation.OTHERS
        source = None if self.source is None else self.source()
        if source is not None and other.source is not None and source is other.source():
            return Relation.SAME
        there, back = self.within(other), other.within(self)
        if there is None or back is None:
            return Relation.UNKNOWN
        if min(there, back) > 0.98:
            return Relation.SAME
        return Relation.OTHERS if max(there, back) < 0.02 else Relation.SOME


def of(x: Any, y: Any = None) -> Samples:
    """The samples of a training, or of an evaluation.

    Args:
        x: the inputs.
        y: the targets, or None.

    Returns:
        the samples.
    """
    leaves = keras.tree.flatten(x) if isinstance(x, dict | list | tuple) else [x]
    first = leaves[0] if leaves else None
    numbers = _numbers(first)
    if numbers is None:
        return Samples(frozenset(), -1, _reference(x), _target(y))
    kept = np.unique(numbers)
    limit = int(kept[-1]) if len(kept) <= KEPT else int(kept[KEPT - 1])
    everything = (1 << 64) - 1 if len(kept) <= KEPT else limit
    return Samples(frozenset(map(int, kept[:KEPT])), everything, _reference(x), _target(y))


def _reference(thing: Any) -> ReferenceType[Any] | None:
    try:
        return ref(thing)
    except TypeError:
        return None


def _rows(values: Any) -> np.ndarray[Any, Any] | None:
    """An array with a row for each sample; None for what is not in memory as an array, or too large."""
    in_memory = isinstance(values, np.ndarray) and not isinstance(values, np.memmap)
    if not in_memory and type(values).__module__.partition(".")[0] not in _ARRAYS_OF:
        return None
    if not getattr(values, "shape", ()):
        return None
    count = int(values.shape[0] or 0)
    if not 0 < count <= MOST_ROWS:
        return None
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        return None
    if not array.flags.c_contiguous and array.nbytes > MOST_COPIED:
        return None
    rows = array.reshape(count, -1)
    if rows.shape[1] > MOST_COLUMNS:
        rows = rows[:, np.linspace(0, rows.shape[1] - 1, MOST_COLUMNS).astype(int)]
    return rows


def _numbers(values: Any) -> np.ndarray[Any, Any] | None:
    """A number for each sample; None where few samples differ, so that they would tell nothing."""
    rows = _rows(values)
    if rows is None:
        return None
    bits = np.ascontiguousarray(rows, dtype="float64").view("uint64")
    factors = np.random.default_rng(0).integers(1, 1 << 63, bits.shape[1], dtype="uint64") | np.uint64(1)
    with np.errstate(over="ignore"):
        mixed = ((bits ^ (bits >> np.uint64(29))) * factors).sum(axis=1, dtype="uint64")
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return mixed if len(np.unique(mixed)) > len(mixed) // 2 else None


def _target(y: Any) -> object:
    """What tells targets of one kind from those of another: the shape and type of a sample's."""
    leaves = keras.tree.flatten(y) if isinstance(y, dict | list | tuple) else [y]
    return tuple((tuple(leaf.shape[1:]), str(leaf.dtype)) for leaf in leaves if hasattr(leaf, "shape"))
