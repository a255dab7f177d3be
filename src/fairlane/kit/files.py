"""Files that are written whole, or not at all.

In: a path, and a function that writes. Out: the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fairlane.errors import StudyError


def write_whole(path: str | os.PathLike[str], write: Callable[[Path], object]) -> Path:
    """Write a file; one that exists is replaced at the end, and stays where writing fails.

    Args:
        path: the file.
        write: writes to the path that it is called with.

    Returns:
        The file's path.

    Raises:
        StudyError: the file's folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StudyError(f"the folder {path.parent} does not exist")
    part = path.with_name(f"{path.name}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path
