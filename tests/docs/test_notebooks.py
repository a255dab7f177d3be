"""The notebooks of ``examples/``: kept without outputs, run cell by cell, and one of them in a real kernel."""

import ast
import base64
import importlib.util
import warnings
from pathlib import Path

import nbformat
import pytest

import fairlane as fl

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("examples/*.ipynb"))
SLOW = pytest.mark.slow


def test_notebooks_are_found():
    assert [path.stem for path in NOTEBOOKS] == ["comparing", "searching", "the_mistake"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_is_in_the_documents(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    pages = [page.read_text(encoding="utf-8") for page in ROOT.glob("docs/**/*.md")]
    assert sum(f"examples/{path.name}" in page for page in pages) == 1


def run(path):
    """Run a notebook's cells; what the last expression of each gives."""
    names, values = {}, []
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{path.name}, cell {number}", "exec"), names)
        values.append(eval(compile(last, f"{path.name}, cell {number}", "eval"), names) if last else None)
    return values


@SLOW
def test_the_mistake_is_shown_as_what_it_is():
    path = ROOT / "examples" / "the_mistake.ipynb"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", fl.FairlaneWarning)
        _, curves, why, _, figure = run(path)
    first, second = curves.values()
    assert second[0] < first[0] / 2  # the second begins where the first has ended
    assert why.startswith("It is one model with two names")
    assert any("continues from those weights" in str(one.message) for one in said)
    assert figure.axes


@SLOW
def test_searching():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fl.FairlaneWarning)  # three seeds are too few for a p-value
        _, study, table, *figures = run(ROOT / "examples" / "searching.ipynb")
    assert "<table" in study._repr_html_()
    assert table["seeds"].tolist() == [3, 3]
    assert all(figure._repr_png_().startswith(b"\x89PNG") for figure in figures)


@SLOW
def test_comparing_in_a_kernel_as_jupyter_vs_code_and_colab_have_it(tmp_path, monkeypatch):
    for package in ("ipykernel", "nbclient"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the package {package}")
    import nbclient

    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"), prepend=":")
    notebook = nbformat.read(ROOT / "examples" / "comparing.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}})
    client.execute()
    _, compared, summary, curves, paired, history, predicted, explored = [
        cell.outputs for cell in notebook.cells if cell.cell_type == "code"
    ]
    progress, study = compared  # one line, which was replaced in place, and nothing on the streams
    assert progress.output_type == "display_data"
    assert list(progress.data) == ["text/plain"]
    assert "12 trials, 120 epochs in " in progress.data["text/plain"]
    assert "<table" in study.data["text/html"]
    for (figure,) in (curves, paired):
        assert base64.b64decode(figure.data["image/png"]).startswith(b"\x89PNG")
    for (frame,) in (summary, history):
        assert "learning_rate" in frame.data["text/html"]
    assert predicted[0].data["text/plain"].startswith("array([")
    assert "<iframe" in explored[0].data["text/html"]
