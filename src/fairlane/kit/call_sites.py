"""Lines of the user's program: where Fairlane was called from, and warnings that point there.

In: nothing but the stack. Out: a `Place`, and warnings shown as if that line had given them.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_INSIDE = ("fairlane", "keras", "contextlib", "runpy", "importlib")
"""The top-level modules that are never the user's program."""


class Place(NamedTuple):
    """A line of a program."""

    file: str
    line: int

    def __str__(self) -> str:
        """As editors and terminals take it: ``train.py:12``; a notebook's cell by its own name."""
        path = Path(self.file)
        try:
            shown = path.relative_to(Path.cwd()) if path.is_absolute() else path
        except (ValueError, OSError):
            shown = path
        return f"{shown}:{self.line}"


def caller() -> Place:
    """The innermost line on the stack that is neither Fairlane's nor Keras's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _inside(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


def callers() -> list[Place]:
    """The lines of the user's file that called, one through the other, the innermost first."""
    place, found = caller(), list[Place]()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == place.file:
            found.append(Place(place.file, frame.f_lineno))
        frame = frame.f_back
    return found


def warn_at(place: Place, message: str, category: type[Warning]) -> None:
    """Give a warning that is shown at a place."""
    warnings.warn_explicit(message, category, place.file, place.line)


def _inside(module: str) -> bool:
    return module.partition(".")[0] in _INSIDE
