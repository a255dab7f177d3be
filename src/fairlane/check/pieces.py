"""Pieces of a program, such as a notebook's cells → one text, without those that can't be read.

In: pieces with their lines. Out: one text in which each piece stands at its place, and what was left out.
A piece that is not of its language is left out alone: in its place the names that it assigned become
unknown, so that nothing is claimed of what it may have made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fairlane.check import ipython, python, r
from fairlane.check.texts import Remark

_ASSIGNED = {
    "python": re.compile(r"^\s*([A-Za-z_]\w*)\s*=(?!=)|^\s*(?:for|def|class)\s+([A-Za-z_]\w*)"),
    "r": re.compile(r"^\s*([A-Za-z.][\w.]*)\s*(?:<-|=(?!=))"),
}
_RESETS = re.compile(r"load_(?:model_)?weights|set_weights|reset|reinit|restore")
_UNKNOWN = {"python": "{} = ...", "r": "{} <- unread()"}
_RESET = {"python": "unread.reset()", "r": "reset_unread()"}


@dataclass
class Pieces:
    """The pieces of one language, put together line by line.

    Args:
        language: ``python`` or ``r``.
    """

    language: str
    lines: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)

    def add(self, piece: Sequence[str], first: int | None = None, note: str = "") -> None:
        """Add a piece.

        Args:
            piece: its lines.
            first: the line at which it stands, from 1; by default after all others.
            note: the prose above it.
        """
        if first is not None:
            self.lines += [""] * (first - 1 - len(self.lines))
        start = len(self.lines)
        self.notes.append((start + 1, note))
        text = "\n".join(piece)
        if self.language == "python":
            text = ipython.to_python(text)
        error = (python if self.language == "python" else r).complaint(text)
        if error is None:
            self.lines += text.split("\n")
            return
        line = start + min(max(error.lineno or 1, 1), len(piece))
        self.remarks.append(Remark(line, max(error.offset or 1, 1), f"syntax error: {error.msg}"))
        self.lines += self._unknown(piece)

    def _unknown(self, piece: Sequence[str]) -> list[str]:
        """What stands for a piece that can't be read."""
        names = []
        for line in piece:
            match = _ASSIGNED[self.language].match(line)
            names += [name for name in match.groups() if name] if match else []
        statements = [_UNKNOWN[self.language].format(name) for name in dict.fromkeys(names)]
        if any(_RESETS.search(line) for line in piece):
            statements.append(_RESET[self.language])
        together = "; ".join(statements)
        readable = (python if self.language == "python" else r).complaint(together) is None
        return [together if readable else "", *[""] * (len(piece) - 1)]

    @property
    def text(self) -> str:
        """All pieces as one text."""
        return "\n".join(self.lines)
