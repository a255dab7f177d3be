"""An object on its way to a worker, as the worker sees it; and the shared memory that it is a view of."""

from __future__ import annotations

import gc
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Protocol


class Packed(Protocol):
    """An object, packed once for all workers; small itself."""

    def open(self) -> Any:
        """The object. Its arrays may be read-only views of memory that several processes share."""


_OPEN: list[SharedMemory] = []


def hold_open(shared: SharedMemory) -> None:
    """Keep shared memory open as long as an array may be a view of it."""
    _OPEN.append(shared)


def close_unused() -> None:
    """Close the shared memory that no array is a view of any more."""
    gc.collect()  # models are full of cycles, and may hold what they were trained on
    for shared in list(_OPEN):
        with suppress(BufferError):  # there is a view of it
            shared.close()
            _OPEN.remove(shared)
