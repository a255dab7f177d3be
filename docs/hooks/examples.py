"""The scripts of ``examples/`` in the pages that tell of them, and what they print.

In: a link to a script that stands alone in its paragraph, which is what a reader of the repository sees. Out:
the script itself and, where the link has the title "and what it prints", what a run of it prints. The scripts
run while the site is built, a few at a time, where something has changed since the last build; one that fails
stops the build. While documents are written (``mkdocs serve``), they are shown and not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from kept import kept
from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parents[2]
LINK = re.compile(
    r'^\[[^\]]*\]\((?:\.\./)+examples/(?P<name>[\w.]+)(?P<run> "and what it prints")?\)$', re.MULTILINE
)
WIDE = 120
"""Characters from which on a line is a sentence and no row of a table."""
LANGUAGES = {".py": "python", ".R": "r"}

_pool = ThreadPoolExecutor(os.cpu_count() or 1)
_runs: dict[str, Future[str]] = {}


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Begin to run the scripts that some page shows the output of."""
    if command == "serve":
        return
    pages = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md"))]
    for name in sorted({found["name"] for page in pages for found in LINK.finditer(page) if found["run"]}):
        _runs[name] = _pool.submit(output_of, ROOT / "examples" / name)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Show them."""
    return LINK.sub(lambda found: _shown(found["name"], bool(found["run"])), markdown)


def on_shutdown() -> None:
    """Begin no more of them."""
    _pool.shutdown(cancel_futures=True)


def _shown(name: str, run: bool) -> str:
    path = ROOT / "examples" / name
    if not path.exists():
        raise PluginError(f"there is no examples/{name}")
    text = path.read_text(encoding="utf-8")
    shown = f'```{LANGUAGES[path.suffix]} title="examples/{name}"\n{text}```\n'
    if run and name in _runs:
        output = _runs[name].result()
        kind = "text" if max(map(len, output.splitlines())) < WIDE else "{.text .prose}"
        shown += f"\nIt prints:\n\n```{kind}\n{output}```\n"
    return shown


def output_of(example: Path) -> str:
    """What a script prints, in this build or in an earlier one with the same script and library.

    Where ``FAIRLANE_EXAMPLES`` names a folder in which tests have just kept it, that is taken.
    """
    tested = Path(os.environ.get("FAIRLANE_EXAMPLES", "")) / f"{example.stem}.txt"
    if tested.is_file():
        return _clean(tested.read_text(encoding="utf-8"))

    def run(folder: Path) -> None:
        (folder / "output.txt").write_text(printed(example), encoding="utf-8")

    folder = kept(f"example-{example.stem}", [example.read_text(encoding="utf-8")], run)
    return (folder / "output.txt").read_text(encoding="utf-8")


def printed(example: Path) -> str:
    """What a script prints, run by itself in an empty folder, with this checkout's Fairlane."""
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [sys.executable, str(example)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": source},
            capture_output=True,
            text=True,
        )
    if run.returncode:
        raise PluginError(f"examples/{example.name} failed:\n{run.stderr}")
    return _clean(run.stdout)


def _clean(printed: str) -> str:
    """Without the place of this checkout."""
    return printed.replace(f"{ROOT}{os.sep}", "").strip("\n") + "\n"
