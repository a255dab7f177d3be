"""The pictures of the documents, drawn by the library that is built for.

In: ``docs/make_images.py``. Out: its pictures, in the places of those that are kept in the repository for who
reads the documents there. While documents are written (``mkdocs serve``), those that are kept are shown.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

SCRIPT = Path(__file__).parents[1] / "make_images.py"

_folder: tempfile.TemporaryDirectory[str] | None = None


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Draw, once, where the site is built to be kept."""
    global _folder
    if command == "serve":
        return
    _folder = tempfile.TemporaryDirectory(prefix="fairlane-pictures-")
    run = subprocess.run([sys.executable, str(SCRIPT), _folder.name], capture_output=True, text=True)
    if run.returncode:
        raise PluginError(f"{SCRIPT.name} failed:\n{run.stdout}{run.stderr}")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put those that were drawn in the places of those that are kept."""
    kept = {file.src_uri for file in files.media_files() if file.src_uri.startswith("images/")}
    drawn = sorted(Path(_folder.name).glob("*.png")) if _folder else []
    for picture in drawn:
        place = f"images/{picture.name}"
        if place not in kept:
            raise PluginError(f"{place} is drawn but not kept; run `python docs/make_images.py`")
        files.remove(next(file for file in files if file.src_uri == place))
        files.append(File.generated(config, place, abs_src_path=str(picture)))
        kept.remove(place)
    if _folder and kept:
        raise PluginError(f"{', '.join(sorted(kept))}: kept, but {SCRIPT.name} does not draw it")
    return files


def on_shutdown() -> None:
    """Forget what was drawn."""
    if _folder:
        _folder.cleanup()
