"""Places in the objects under a model that another value can be put into for a while.

In: a container, tuple or outer variable, and where in it. Out: a `Slot`, which puts a value there and says
how to undo that.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable
from typing import Any


class Slot:
    """A place in a list or dict that another value can be put into."""

    def __init__(self, container: Any, key: Any) -> None:
        self._container, self._key = container, key

    @property
    def place(self) -> Hashable:
        """Equal for slots that are one place."""
        return id(self._container), self._key

    def get(self) -> Any:
        """The value that is there now."""
        return self._container[self._key]

    def put(self, value: Any) -> Callable[[], None]:
        """Put a value there; returns how to undo it."""
        before = self.get()
        self._set(value)
        return lambda: self._set(before)

    def _set(self, value: Any) -> None:
        # Keras's tracked containers refuse to be changed after the build; what is put here is put back.
        kind = dict if isinstance(self._container, dict) else list
        kind.__setitem__(self._container, self._key, value)


class TupleSlot(Slot):
    """A place in a tuple: putting something there replaces the tuple, as it is by then, in its own slot."""

    def __init__(self, whole: Slot, place: int) -> None:
        self._whole, self._place = whole, place

    @property
    def place(self) -> Hashable:
        """Equal for slots that are one place."""
        return self._whole.place, self._place

    def get(self) -> Any:
        """The value that is there now."""
        return self._whole.get()[self._place]

    def put(self, value: Any) -> Callable[[], None]:
        """Put a value there; returns how to undo it."""
        whole = self._whole.get()
        make = getattr(type(whole), "_make", tuple)  # a named tuple stays one
        return self._whole.put(make((*whole[: self._place], value, *whole[self._place + 1 :])))


class CellSlot(Slot):
    """A variable of an enclosing function."""

    def __init__(self, cell: types.CellType) -> None:
        self._cell = cell

    @property
    def place(self) -> Hashable:
        """Equal for slots that are one place."""
        return id(self._cell)

    def get(self) -> Any:
        """The variable's value."""
        return self._cell.cell_contents

    def _set(self, value: Any) -> None:
        self._cell.cell_contents = value
