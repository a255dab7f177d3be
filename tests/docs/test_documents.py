"""The Python in the documents: each page's blocks run, one after another, as its reader would run them.

What a page takes for granted (imports, `build`, `x`, `y`, a study) is what the README's first block makes. Studies
are cut down to two epochs and two seeds, since it is whether the blocks run that is tried here, and servers and
backends that are not here are others that are.
"""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import _processes
import fairlane as fl

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
README = ROOT / "README.md"
PAGES = [
    page for page in (README, *sorted(ROOT.glob("docs/**/*.md"))) if BLOCK.search(page.read_text("utf-8"))
]
NEEDS = {
    "tour.md": ("sqlalchemy", "safetensors", "tensorboard"),
    "store.md": ("sqlalchemy", "safetensors"),
    "trackers.md": ("tensorboard", "mlflow", "alembic", "wandb"),
    "other-backends.md": ("tensorflow",),
}
INSTEAD = {"http://localhost:5000": "sqlite:///live.db"}


LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<path>[^)#\s:]*)(?:#(?P<anchor>[^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *sorted(ROOT.glob("docs/**/*.md"))]
MADE = {"cli.md"}
"""Pages that only the site has."""


def anchors(page):
    """What the headings of a page can be linked to by."""
    headings = re.findall(r"^#+ (.*)", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_what_is_there(page):
    for found in LINK.finditer(FENCED.sub("", page.read_text(encoding="utf-8"))):
        target = (page.parent / found["path"]).resolve() if found["path"] else page
        assert target.exists() or target.name in MADE, found[0]
        assert not found["anchor"] or found["anchor"] in anchors(target), found[0]


def blocks(page):
    """A page's blocks, each on the lines that it has in the page, so that errors name them."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        code = found[1]
        for there, here in INSTEAD.items():
            code = code.replace(there, here)
        yield compile("\n" * (text[: found.start()].count("\n") + 1) + code, str(page), "exec")


def brief(function):
    """`compare` or `fit`, of two epochs and two seeds at most."""

    def call(*args, **arguments):
        if "epochs" in arguments:
            arguments["epochs"] = min(arguments["epochs"], 2)
        if isinstance(arguments.get("seeds"), int):
            arguments["seeds"] = min(arguments["seeds"], 2)
        return function(*args, **arguments, **({} if "verbose" in arguments else {"verbose": 0}))

    return call


@pytest.fixture(scope="module")
def granted():
    """The names that the README's first block leaves behind, cut down."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fl, "compare", brief(fl.compare))
        exec(next(blocks(README)), names)
    x, y = names["x"] / 16, names["y"]
    return {**names, "x": x, "y": y, "np": np, "model": names["build"](1e-3)}


def test_the_readmes_first_screen_has_what_why_code_and_picture():
    lines = README.read_text("utf-8").splitlines()
    first = "\n".join(lines[:30])
    for part in ("pip install", "```python", "fl.compare(", "![", "docs/index.md#the-mistake"):
        assert part in first
    assert len(BLOCK.findall("\n".join(lines))) == 1  # the rest is in the documents


def test_pages_with_python_are_found():
    assert {"README.md", "tour.md", "store.md", "reading-results.md", "trackers.md"} <= {
        page.name for page in PAGES
    }


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated"
)  # MLflow with SQLAlchemy 2.1
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_pages_blocks_run(page, granted, tmp_path, monkeypatch):
    for package in NEEDS.get(page.name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    if page.name == "other-backends.md":
        return in_a_session_of_its_own(page, tmp_path)
    for variable in ("MLFLOW_DISABLE_TELEMETRY", "WANDB_SILENT"):
        monkeypatch.setenv(variable, "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fl, "compare", brief(fl.compare))
    monkeypatch.setattr(fl, "fit", brief(fl.fit))
    names = dict(granted)
    for block in blocks(page):
        exec(block, names)


def in_a_session_of_its_own(page, folder):
    """Run a page's blocks where Keras is on another backend."""
    code = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    data = "import numpy as np\nx, y = np.ones((8, 2)), np.ones((8, 1))\n"
    (folder / "page.py").write_text(data + code.replace("epochs=20", "epochs=2, verbose=0"), encoding="utf-8")
    run = _processes.run([sys.executable, "page.py"], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
