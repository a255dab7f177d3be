"""The pictures of the documents, drawn by the library that is built for.

In: ``docs/make_images.py``. Out: its pictures, in the places of those that are kept in the repository for who
reads the documents there. While documents are written (``mkdocs serve``), those that are kept are shown.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from kept import kept
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "make_images.py"
PROGRAMS = ("README.md", "docs/reading-results.md", "examples/two_learning_rates.py")
"""Whose programs the script runs."""
BLOCK = re.compile(r"^```python\n.*?^```", re.MULTILINE | re.DOTALL)
SAID = "said.txt"

log = logging.getLogger("mkdocs.hooks.pictures")
_pool = ThreadPoolExecutor(1)
_drawn: Future[Path] | None = None


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Begin to draw, where the site is built to be kept."""
    global _drawn
    if command != "serve":
        _drawn = _pool.submit(kept, "pictures", list(made_of()), draw)


def made_of() -> Iterator[str]:
    """The script, and the programs that it takes from other files."""
    for path in (SCRIPT, *(ROOT / name for name in PROGRAMS)):
        text = path.read_text(encoding="utf-8")
        yield from BLOCK.findall(text) if path.suffix == ".md" else [text]


def draw(folder: Path) -> None:
    """Draw all pictures into a folder, with what the script has said."""
    run = subprocess.run([sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True)
    said = run.stdout + run.stderr
    if run.returncode:
        raise PluginError(f"{SCRIPT.name} failed:\n{said}")
    (folder / SAID).write_text(said, encoding="utf-8")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put those that were drawn in the places of those that are kept in the repository."""
    if _drawn is None:
        return files
    folder = _drawn.result()
    said = (folder / SAID).read_text(encoding="utf-8")
    there = {file.src_uri for file in files.media_files() if file.src_uri.startswith("images/")}
    for picture in sorted(folder.glob("*.png")):
        place = f"images/{picture.name}"
        if place not in there:
            raise PluginError(f"{place} is drawn but not kept; run `python docs/make_images.py`")
        files.remove(next(file for file in files if file.src_uri == place))
        files.append(File.generated(config, place, abs_src_path=str(picture)))
        there.remove(place)
    for place in sorted(there):
        log.info(f"{place} is the one that is kept, since {SCRIPT.name} did not draw it:\n{said}")
    return files


def on_shutdown() -> None:
    """Begin nothing more."""
    _pool.shutdown(cancel_futures=True)
