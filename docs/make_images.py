"""Draws the images of the documents, with the library and with the documents' own code.

    python docs/make_images.py

`compare.png` is what the README's first example plots, `demo.png` the figure of ``fairlane demo``, and the
others are those of `reading-results.md`, `report.png` of `report.md` among them, for which it takes Chromium.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from fairlane import demo

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
DPI = 110


def first_study(document: str) -> Any:
    """The study that a document's first block of Python makes."""
    text = (ROOT / document).read_text(encoding="utf-8")
    block = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block is not None, f"{document} has no Python example"
    names: dict[str, Any] = {}
    exec(compile(block[1], document, "exec"), names)
    print(names["study"])
    return names["study"]


def draw_compare() -> None:
    """What the README's first example plots."""
    first_study("README.md").plot().savefig(IMAGES / "compare.png", dpi=DPI)


def draw_results() -> None:
    """The figures of reading-results.md."""
    study = first_study("docs/reading-results.md")
    figures = {
        "curves": study.plot(),
        "final": study.plot("final", metric="val_accuracy"),
        "sweep": study.plot("sweep", x="learning_rate"),
        "paired": study.plot("paired", baseline={"learning_rate": 1e-3}),
    }
    for name, figure in figures.items():
        figure.savefig(IMAGES / f"{name}.png", dpi=DPI)
    print(study.summary("test_accuracy").T)
    draw_report(study)


def draw_report(study: Any) -> None:
    """The top of a study's report."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser is not None, "apt-get install --no-install-recommends chromium"
    with tempfile.TemporaryDirectory() as folder:
        page = study.report(Path(folder) / "report.html")
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1010"]
        flags += [f"--user-data-dir={folder}/user", f"--screenshot={IMAGES / 'report.png'}"]
        subprocess.run([browser, *flags, page.as_uri()], check=True)


def main() -> None:
    """Draw all."""
    IMAGES.mkdir(exist_ok=True)
    draw_compare()
    draw_results()
    demo.run(None, epochs=30, seeds=1, out=IMAGES / "demo.png", console=Console())


if __name__ == "__main__":
    main()
