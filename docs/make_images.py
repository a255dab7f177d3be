"""Draws the images of the documents, with the library and with the documents' own code.

    python docs/make_images.py [FOLDER]

In: the documents' first blocks of Python, and an example. Out: the images, in the folder: by default
`docs/images`, which is kept in the repository; the build of the site draws them anew for itself.

`compare.png` is what the README's first example plots, `demo.png` the figure of ``fairlane demo``,
`two_learning_rates.png` what the example of that name draws, and the others are those of
`reading-results.md`. `report.png` of `report.md` takes Chromium; where there is none,
it is not drawn, which is said.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from fairlane import demo

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "docs" / "images"
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


def draw_compare(images: Path) -> None:
    """What the README's first example plots."""
    first_study("README.md").plot().savefig(images / "compare.png", dpi=DPI)


def draw_example(images: Path) -> None:
    """What the story's example draws, in the folder that it runs in."""
    subprocess.run([sys.executable, ROOT / "examples" / "two_learning_rates.py"], cwd=images, check=True)


def draw_results(images: Path) -> None:
    """The figures of reading-results.md."""
    study = first_study("docs/reading-results.md")
    figures = {
        "curves": study.plot(),
        "final": study.plot("final", metric="val_accuracy"),
        "sweep": study.plot("sweep", x="learning_rate"),
        "paired": study.plot("paired", baseline={"learning_rate": 1e-3}),
    }
    for name, figure in figures.items():
        figure.savefig(images / f"{name}.png", dpi=DPI)
    print(study.summary("test_accuracy").T)
    draw_report(study, images)


def draw_report(study: Any, images: Path) -> None:
    """The top of a study's report."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("report.png was not drawn; it takes: apt-get install --no-install-recommends chromium")
        return
    with tempfile.TemporaryDirectory() as folder:
        page = study.report(Path(folder) / "report.html")
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1010"]
        flags += [f"--user-data-dir={folder}/user", f"--screenshot={images / 'report.png'}"]
        subprocess.run([browser, *flags, page.as_uri()], check=True)


def main(images: Path = KEPT) -> None:
    """Draw all."""
    images.mkdir(exist_ok=True)
    draw_compare(images)
    draw_example(images)
    draw_results(images)
    demo.run(None, epochs=30, seeds=1, out=images / "demo.png", console=Console())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
