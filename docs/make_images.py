"""Draws the images of the documents, with the library and with the documents' own code.

    python docs/make_images.py [FOLDER]

In: the documents' first blocks of Python, and an example. Out: the images, in the folder: by default
`docs/images`, which is kept in the repository; the build of the site draws them anew for itself.

`compare.png` is what the README's first example plots, `demo.png` the figure of ``fairlane demo``,
`two_learning_rates.png` what the example of that name draws, and the others are those of
`reading-results.md`. `report.png` of `report.md` and `ui.png` of `ui.md` take Chromium; where there is
none, they are not drawn, which is said.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from fairlane import demo, store
from fairlane.errors import StoreError

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "docs" / "images"
DPI = 110


def first_study(document: str, more: str = "", **names: Any) -> Any:
    """The study that a document's first block of Python makes, with more arguments than stand there."""
    text = (ROOT / document).read_text(encoding="utf-8")
    block = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block is not None, f"{document} has no Python example"
    code, places = re.subn(r"\bseeds=", f"{more}seeds=", block[1], count=1)
    assert places or not more, f"the first example of {document} has no seeds=, before which more would stand"
    exec(compile(code, f"<{document}>", "exec"), names)  # no file: lines of a document are not its source
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
    with tempfile.TemporaryDirectory() as folder:
        photograph(study.report(Path(folder) / "report.html").as_uri(), images / "report.png")


def photograph(address: str, image: Path) -> None:
    """The top of a page, as Chromium shows it."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print(f"{image.name} was not drawn; it takes: apt-get install --no-install-recommends chromium")
        return
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1010"]
        flags += [f"--user-data-dir={folder}", f"--screenshot={image}", "--virtual-time-budget=2000"]
        subprocess.run([browser, *flags, address], check=True)


def draw_ui(images: Path) -> None:
    """A study's live page, in the midst of its training, which waits for the picture."""
    import keras  # after Fairlane, which chooses the backend

    pictured = threading.Event()

    class Waits(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 20:
                pictured.wait()

    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "runs.db"
        asked = "store=kept, name='learning rates', callbacks=lambda: [Waits()], "
        names = {"kept": kept, "Waits": Waits}
        training = threading.Thread(target=first_study, args=("README.md", asked), kwargs=names)
        training.start()
        try:
            while not kept.exists() or not any(2 * row["epochs"] > row["planned"] for row in progress(kept)):
                assert training.is_alive(), "the training ended before it was half-way"
                time.sleep(0.1)
            photograph_live(kept, images)
        finally:
            pictured.set()
            training.join()


def photograph_live(kept: Path, images: Path) -> None:
    """The page of the study, as a server of its own shows it."""
    command = [sys.executable, "-m", "fairlane", "ui", str(kept), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search("http://[^ ]*", server.stdout.readline())
        assert found is not None, "fairlane ui says where it is"
        photograph(f"{found[0]}study?name=learning%20rates", images / "ui.png")
        server.terminate()


def progress(kept: Path) -> list[dict[str, Any]]:
    """How far the studies of a store are; nothing while it is being made."""
    try:
        return store.overview(kept)
    except StoreError:
        return []


def main(images: Path = KEPT) -> None:
    """Draw all."""
    images.mkdir(exist_ok=True)
    draw_compare(images)
    draw_example(images)
    draw_results(images)
    draw_ui(images)
    demo.run(None, epochs=30, seeds=1, out=images / "demo.png", console=Console())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
