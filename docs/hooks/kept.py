"""What a build has made, kept for the next build where nothing has changed that it depends on.

In: a name, the texts that something is made of, and a function that makes it in a folder. Out: that folder.
It is made again when one of these texts, Fairlane's source, Python or an installed package has changed. What
is kept lies in ``.cache/docs`` of the repository, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "docs"
SOURCE = ROOT / "src"


def kept(name: str, made_of: Iterable[str], make: Callable[[Path], None]) -> Path:
    """The folder with what ``make`` has made, now or in an earlier build. One that raises leaves nothing."""
    key = hashlib.sha256(_surroundings().encode())
    for text in made_of:
        key.update(hashlib.sha256(text.encode()).digest())
    folder = FOLDER / f"{name}-{key.hexdigest()[:32]}"
    if not folder.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=FOLDER, prefix=f"{name}-"))
        try:
            make(new)
            for old in set(FOLDER.glob(f"{name}-*")) - {new}:  # also what a build that was ended has left
                shutil.rmtree(old)
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return folder


@cache
def _surroundings() -> str:
    """A text that changes whenever Fairlane's source, Python or a package does."""
    source = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            source.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes() + b"\0")
    packages = sorted(f"{one.metadata['Name']}=={one.version}" for one in distributions())
    return "\n".join([source.hexdigest(), sys.version, *packages])
