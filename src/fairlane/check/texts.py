"""A text of one language, and what is said of those that can't be read.

In: nothing; `sources`, `documents` and `notebooks` make these. Out: the values that
the checker works on.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from fairlane.check.forms import At
from fairlane.errors import FairlaneError


class Unreadable(FairlaneError):
    """A file can't be checked.

    Attributes:
        line: the line that is at fault, or None.
        column: its column, or None.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to say of a text that was read: a cell or a chunk is left out, or it is in another encoding.

    Attributes:
        line: the line of the whole text that it is about.
        column: its column.
        message: what is so.
    """

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A text of one language.

    Attributes:
        path: the file, as it was named.
        language: ``python`` or ``r``.
        text: the whole text; what is not of this language is blank.
        cells: for notebooks, the first line and the number of each cell.
        blocks: for Markdown, the first lines of its blocks of code, which need not belong together.
        notes: the prose above pieces of code, by the first line of the piece.
        remarks: what was left out of it, and the like.
    """

    path: str
    language: str
    text: str
    cells: tuple[tuple[int, int], ...] = ()
    blocks: tuple[int, ...] = ()
    notes: tuple[tuple[int, str], ...] = ()
    remarks: tuple[Remark, ...] = ()

    def place(self, line: int) -> tuple[int | None, int]:
        """The cell of a line, and the line in it; outside notebooks, None and the line."""
        index = bisect_right(self.cells, (line, 1 << 60)) - 1
        if index < 0:
            return None, line
        first, number = self.cells[index]
        return number, line - first + 1

    def where(self, at: At) -> str:
        """Words for a place: ``line 3``, or ``cell 2, line 3``."""
        cell, line = self.place(at.line)
        return f"line {line}" if cell is None else f"cell {cell}, line {line}"

    def block(self, line: int) -> int:
        """The number of a line's block; 0 where there are none."""
        return bisect_right(self.blocks, line)
