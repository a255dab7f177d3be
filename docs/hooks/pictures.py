"""The pictures of the documents, drawn by the library that is built for.

In: ``docs/make_images.py``. Out: its pictures, in the places of those that are kept in the repository for who
reads the documents there. While documents are written (``mkdocs serve``), those that are kept are shown.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

SCRIPT = Path(__file__).parents[1] / "make_images.py"

log = logging.getLogger("mkdocs.hooks.pictures")
_folder: tempfile.TemporaryDirectory[str] | None = None
_drawing: subprocess.Popen[str] | None = None


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Begin to draw, where the site is built to be kept."""
    global _folder, _drawing
    if command != "serve":
        _folder = tempfile.TemporaryDirectory(prefix="fairlane-pictures-")
        _drawing = subprocess.Popen(
            [sys.executable, str(SCRIPT), _folder.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put those that were drawn in the places of those that are kept."""
    if _folder is None or _drawing is None:
        return files
    said, _ = _drawing.communicate()
    if _drawing.returncode:
        raise PluginError(f"{SCRIPT.name} failed:\n{said}")
    kept = {file.src_uri for file in files.media_files() if file.src_uri.startswith("images/")}
    for picture in sorted(Path(_folder.name).glob("*.png")):
        place = f"images/{picture.name}"
        if place not in kept:
            raise PluginError(f"{place} is drawn but not kept; run `python docs/make_images.py`")
        files.remove(next(file for file in files if file.src_uri == place))
        files.append(File.generated(config, place, abs_src_path=str(picture)))
        kept.remove(place)
    for place in sorted(kept):
        log.info(f"{place} is the one that is kept, since {SCRIPT.name} did not draw it:\n{said}")
    return files


def on_shutdown() -> None:
    """Forget what was drawn."""
    if _drawing and _drawing.poll() is None:
        _drawing.kill()
    if _folder:
        _folder.cleanup()
