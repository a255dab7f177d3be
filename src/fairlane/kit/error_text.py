"""An exception → one line of text, without the colours and the long lists that Keras puts into some."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def one_line(error: BaseException) -> str:
    """``ValueError: the first line of its message``."""
    first = first_line(error)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of an error's message; of Keras's "Exception encountered when", the next line too."""
    lines = [line for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    wrapped = bool(lines) and lines[0].startswith("Exception encountered when")
    return " ".join(lines[: 1 + wrapped]).strip()
