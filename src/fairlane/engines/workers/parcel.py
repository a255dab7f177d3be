"""Python objects and arrays on their way to another process and back.

In: any object, or a list of arrays. Out: a `Parcel` or `Slots`, small values that a pipe can carry, while
the arrays themselves lie in shared memory; and, on the other side, the same again.

Every segment of shared memory belongs to the process that made it, a `Segments`, which unlinks it whatever
becomes of the other side. Where the system has not enough room for one, its bytes go through the pipe.
"""

from __future__ import annotations

import io
import pickle
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import keras
import numpy as np

FOREIGN = frozenset({"tensorflow", "torch"})
"""Packages whose operations JAX can't trace."""

PLAIN = (bool, int, float, str, type(None))
"""Values that go as they are; others are packed once for all jobs that have them."""

_ALIGNED = 64
_FOLDER = Path("/dev/shm")
"""Where Linux keeps shared memory; in a container it is often small, and writing past its end kills."""


@dataclass(frozen=True)
class Parcel:
    """An object, packed.

    Attributes:
        pickled: the object without the contents of its arrays.
        sizes: of the arrays' contents, in bytes.
        segment: the name of the shared memory that holds them one after the other; None if ``inline`` does.
        inline: the contents themselves.
        foreign: packages among `FOREIGN` that the object names.
    """

    pickled: bytes
    sizes: tuple[int, ...]
    segment: str | None
    inline: tuple[bytes, ...] = ()
    foreign: frozenset[str] = frozenset()

    def open(self) -> Any:
        """The object; its arrays are copies, so that the segment may go."""
        if self.segment is None:
            return pickle.loads(self.pickled, buffers=[bytearray(part) for part in self.inline])
        shared = attached(self.segment)
        try:
            buffers, offset = [], 0
            memory = _memory(shared)
            for size in self.sizes:
                buffers.append(bytearray(memory[offset : offset + size]))
                offset += aligned(size)
        finally:
            shared.close()
        return pickle.loads(self.pickled, buffers=buffers)

    def view(self, shared: SharedMemory) -> Any:
        """The object; its arrays are read-only views of the segment, which must stay open as long as they."""
        memory, offset = _memory(shared).toreadonly(), 0
        buffers = []
        for size in self.sizes:
            buffers.append(memory[offset : offset + size])
            offset += aligned(size)
        return pickle.loads(self.pickled, buffers=buffers)


@dataclass(frozen=True)
class Slots:
    """Places for arrays, to be read and written by both sides.

    Attributes:
        shapes: of the arrays.
        dtypes: of the arrays.
        segment: the name of the shared memory that holds them; None if ``inline`` does.
        inline: the arrays themselves.
    """

    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]
    segment: str | None
    inline: tuple[Any, ...] = ()

    def read(self) -> list[Any]:
        """Copies of the arrays, on the other side."""
        if self.segment is None:
            return self.copies(None)
        shared = attached(self.segment)
        try:
            return self.copies(shared)
        finally:
            shared.close()

    def copies(self, shared: SharedMemory | None) -> list[Any]:
        """Copies of the arrays in a segment, or of those inline."""
        return [np.array(a) for a in (self.inline if shared is None else self.places(shared))]

    def write(self, arrays: Sequence[Any]) -> Slots:
        """Put other arrays of these shapes into the places, and return what to read them from."""
        if self.segment is None:
            pairs = zip(arrays, self.dtypes, strict=True)
            return Slots(self.shapes, self.dtypes, None, tuple(np.asarray(a, dtype) for a, dtype in pairs))
        shared = attached(self.segment)
        try:
            self.fill(shared, arrays)
        finally:
            shared.close()
        return self

    def fill(self, shared: SharedMemory, arrays: Sequence[Any]) -> None:
        """Write arrays into a segment laid out so."""
        for place, array in zip(self.places(shared), arrays, strict=True):
            place[...] = array

    def places(self, shared: SharedMemory) -> list[Any]:
        """The arrays in a segment, as views."""
        views, offset = [], 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            view: Any = np.ndarray(shape, dtype, _memory(shared), offset)
            views.append(view)
            offset += aligned(view.nbytes)
        return views


class Segments:
    """The shared memory that this process has made, and must unlink."""

    def __init__(self) -> None:
        self._made: dict[str, SharedMemory] = {}

    def pack(self, value: Any) -> Parcel:
        """Pack an object: functions and classes of ``__main__`` by value, tensors as NumPy arrays.

        Raises:
            Exception: whatever pickling raises for it.
        """
        file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
        pickler = _Pickler(file, protocol=5, buffer_callback=buffers.append)
        pickler.dump(value)
        parts = [buffer.raw() for buffer in buffers]
        sizes = tuple(part.nbytes for part in parts)
        foreign = frozenset(pickler.foreign)
        shared = self._make(sum(map(aligned, sizes)))
        if shared is None:
            return Parcel(file.getvalue(), sizes, None, tuple(map(bytes, parts)), foreign)
        offset, memory = 0, _memory(shared)
        for part in parts:
            memory[offset : offset + part.nbytes] = part
            offset += aligned(part.nbytes)
        return Parcel(file.getvalue(), sizes, shared.name, foreign=foreign)

    def slots(self, arrays: Sequence[Any]) -> Slots:
        """Places that hold ``arrays`` at first."""
        arrays = [np.asarray(a) for a in arrays]
        shapes, dtypes = tuple(a.shape for a in arrays), tuple(a.dtype for a in arrays)
        shared = self._make(sum(aligned(a.nbytes) for a in arrays))
        if shared is None:
            return Slots(shapes, dtypes, None, tuple(arrays))
        slots = Slots(shapes, dtypes, shared.name)
        slots.fill(shared, arrays)
        return slots

    def read(self, slots: Slots) -> list[Any]:
        """Copies of the arrays in slots made here."""
        return slots.copies(None if slots.segment is None else self._made[slots.segment])

    def release(self, packed: Parcel | Slots) -> None:
        """Unlink what holds it; the other side's copies stay."""
        shared = self._made.pop(packed.segment, None) if packed.segment is not None else None
        if shared is not None:
            shared.close()
            with suppress(FileNotFoundError):
                shared.unlink()

    def close(self) -> None:
        """Unlink all that is left."""
        for name in list(self._made):
            self.release(Parcel(b"", (), name))

    def _make(self, size: int) -> SharedMemory | None:
        """A segment; None where there is nothing to hold, or no room for it."""
        if size == 0 or (_FOLDER.is_dir() and shutil.disk_usage(_FOLDER).free < size):
            return None
        try:
            shared = SharedMemory(create=True, size=size)
        except OSError:
            return None
        self._made[shared.name] = shared
        return shared


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Cloudpickle, with tensors as NumPy arrays, and an eye on `FOREIGN` packages."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.foreign: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        root = _root(value)
        if root in FOREIGN:
            if is_tensor(value):
                return np.asarray, (keras.ops.convert_to_numpy(value),)
            self.foreign.add(root)
        return super().reducer_override(value)


def is_tensor(value: Any) -> bool:
    """Whether it is an array of TensorFlow's or torch's."""
    return not isinstance(value, type) and hasattr(value, "__array__") and hasattr(value, "dtype")


def _root(value: Any) -> str:
    """The package that a module, class or function is of, or that an object's class is of."""
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0]
    named = value if hasattr(value, "__qualname__") else type(value)
    return str(getattr(named, "__module__", "") or "").partition(".")[0]


def _memory(shared: SharedMemory) -> memoryview:
    assert shared.buf is not None, "the segment is closed"
    return shared.buf


def attached(name: str) -> SharedMemory:
    """A segment that another process has made, and unlinks."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    shared = SharedMemory(name)
    # Before Python 3.13, this process's tracker would unlink at its end what is not its own.
    resource_tracker.unregister(shared._name, "shared_memory")  # type: ignore[attr-defined]
    return shared


def aligned(size: int) -> int:
    """A size, rounded up."""
    return -(-size // _ALIGNED) * _ALIGNED
