"""The page of the command line, made from the command line itself.

In: the typer app of ``fairlane.cli``. Out: ``api/cli.md``, as typer writes it.
"""

from __future__ import annotations

import re
import subprocess
import sys

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

COMMAND = [sys.executable, "-m", "typer", "fairlane.cli", "utils", "docs", "--name", "fairlane"]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, "api/cli.md", content=written()))
    return files


def written() -> str:
    """The commands, their arguments and options, in Markdown."""
    run = subprocess.run(COMMAND, capture_output=True, text=True)
    if run.returncode:
        raise PluginError(f"typer could not write the page of the command line:\n{run.stderr}")
    return re.sub(r"\A# .*\n", "# Command line\n", run.stdout)
