"""An object on its way to a worker, as the worker sees it."""

from __future__ import annotations

from typing import Any, Protocol


class Packed(Protocol):
    """An object, packed once for all workers; small itself."""

    def open(self) -> Any:
        """The object. Its arrays may be read-only views of memory that several processes share."""
