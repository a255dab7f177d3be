"""Notebooks and documents are read as IPython, knitr and readers read them; no piece takes the others with it."""

import json

import pytest

from fairlane.check import check_paths, check_text, ipython

START = "import keras\nmodel = keras.Sequential([keras.layers.Dense(1)])"
AGAIN = "for rate in (0.01, 0.1):\n    model.compile(keras.optimizers.SGD(rate), 'mse')\n    model.fit(x, y)"


def notebook(*cells):
    made = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": cell} for cell in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def checked(*cells):
    report = check_text(notebook(*cells), "a.ipynb")
    assert report.failures == ()
    return report


def codes(report):
    return [(finding.code, finding.place.cell) for finding in report.findings]


@pytest.mark.parametrize(
    "cell",
    [
        "!pip install \\\n   keras \\\n   numpy",
        "!!ls",
        "names = !ls \\\n  -l",
        "    a = 1\n    b = 2\n    if a:\n        b = 3",
        "\n\n  a = 1\n  b = 2",
        "%timeit -n 5 x",
        "%timeit -n5 -r 2 -o f(x,\n    y)",
        "t = %timeit -o f(x)",
        "%prun -l 3 -s time f(x)",
        "%%timeit -n 2\nf(x)",
        "%%capture out\n%%time\nf(x)",
        "%%time h = f(x)",
        "%time h = f(x)",
        "pip install -q keras",
        "cd ..\nls -la\nx = 1",
        "matplotlib inline\nload_ext autoreload\nautoreload 2",
        "conda install -c conda-forge keras",
        "f??",
        "f.g?\nx = 1",
        "x = f?",
        "?f.g",
        "%matplotlib?",
        "text = '''\n!not a command\n%neither\n'''\n!ls",
        "x = (7\n% 2)\n!ls",
        "if x:\n    %cd a\nelse:\n    !ls",
        ">>> a = 1\n>>> if a:\n...     b = 2\n>>> b\n2",
        "In [3]: a = 1\n   ...: b = 2",
        "%sql select a\nfrom b",
        "x = 1  # what is it?\n!ls",
        ",f a b\n;f a b\n/f a",
        "a = 'it''s'  # don't\n%pwd",
        "%load_ext tensorboard\n%tensorboard --logdir logs",
        "files, n = %sx ls",
        "raise SystemExit('here the first half ends')",
        "\ufeffimport os",
    ],
)
def test_what_ipython_takes_is_read(cell):
    report = checked(START, cell, AGAIN)
    assert report.remarks == ()
    assert codes(report) == [("FL003", 3)]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("y = ??", "invalid syntax"),
        ("# your code\nloss = ", "invalid syntax"),
        ("print 'hello'", "Python 2 (`print`"),
        ("def f(:\n  pass", "invalid syntax"),
        ("x = [1, 2", "was never closed"),
        ("  x = 1\n   y = 2", "unexpected indent"),
        ("for i in range(3):", "expected an indented block"),
    ],
)
def test_a_cell_that_is_not_python_is_left_out_and_named(cell, words):
    report = checked(START, cell, AGAIN)
    (remark,) = report.remarks
    assert remark.place.cell == 2
    assert words in remark.message
    assert codes(report) == [("FL003", 3)]
    assert report.status == 1


@pytest.mark.parametrize("cell", ["model = build(\n", "print 'again'\nmodel.load_weights('first.h5')"])
def test_what_a_cell_that_is_left_out_may_have_done_counts(cell):
    one = "model.compile('sgd', 'mse')\nmodel.fit(x, y)"
    assert codes(checked(START, one, "print 'again'", one)) == [("FL002", 4)]
    assert codes(checked(START, one, cell, one)) == []


def test_timed_training_counts():
    assert codes(checked(START, AGAIN.replace("model.fit", "%time model.fit"))) == [("FL003", 2)]
    one = "model.compile('sgd', 'mse')\n"
    cells = ("%%time\n" + one + "model.fit(x, y)", one + "%time h = model.fit(x, y)")
    assert codes(checked(START, *cells)) == [("FL002", 3)]


def test_prose_above_a_cell_says_what_is_meant():
    train = "model.compile('sgd', 'mse')\nmodel.fit(x, y)"
    made = json.loads(notebook(START, train, "# ", train))
    assert [f.code for f in check_text(json.dumps(made), "a.ipynb").findings] == ["FL002"]
    made["cells"][2] = {"cell_type": "markdown", "metadata": {}, "source": ["## Fine-", "tuning"]}
    assert check_text(json.dumps(made), "a.ipynb").findings == ()
    document = f"```python\n{START}\n{train}\n```\n{{}}\n```python\n{train}\n```\n"
    assert [f.code for f in check_text(document.format("Again:"), "a.md").findings] == ["FL002"]
    assert check_text(document.format("Now we continue with SGD."), "a.md").findings == ()


def test_a_cell_keeps_its_lines():
    for text in (
        "!a \\\n b \\\n c\nx = 1",
        "%%time\n\nx = 1",
        "%%bash\na\nb",
        "  a\n  b\n  !c",
        ">>> a\n1\n",
    ):
        assert ipython.to_python(text).count("\n") == text.count("\n")


def test_a_chunk_that_is_not_r_is_left_out_and_named():
    model = "```{r}\nmodel <- keras_model_sequential()\n```\n"
    bad = "```{r}\nx <- function( {\n```\n"
    loop = "```{r}\nfor (i in 1:2) {\n  model |> compile('sgd', 'mse')\n  model |> fit(x, y)\n}\n```\n"
    report = check_text(f"{model}Text.\n{bad}\n{loop}", "a.Rmd")
    assert report.failures == ()
    assert [remark.place.line for remark in report.remarks] == [6]
    assert [(finding.code, finding.place.line) for finding in report.findings] == [("FL003", 12)]


@pytest.mark.parametrize(
    "fence",
    [
        "```python",
        "~~~ py",
        "````python title='a.py'",
        "``` {.python .numberLines}",
        "```{python}",
        "```{code-cell} ipython3",
    ],
)
def test_code_in_markdown(fence):
    ticks = fence[: 4 if fence.startswith("````") else 3]
    text = f"# Title\n\n{fence}\n{START}\n{AGAIN}\n{ticks}\n\n```console\n$ ls\n```\n"
    report = check_text(text, "README.md")
    assert [(finding.code, finding.place.line) for finding in report.findings] == [("FL003", 8)]
    quoted = "".join(f"> {line}\n" for line in text.splitlines())
    assert [finding.place.line for finding in check_text(quoted, "README.md").findings] == [8]


def test_a_block_of_markdown_that_is_not_python_is_left_out():
    text = f"```python\nmodel.fit(..., epochs=\n```\n\n```python\n{START}\n{AGAIN}\n```\n"
    report = check_text(text, "README.md")
    assert [remark.place.line for remark in report.remarks] == [2]
    assert [finding.code for finding in report.findings] == ["FL003"]


def test_r_in_latin_1_is_read_and_said(tmp_path):
    path = tmp_path / "a.R"
    lines = "# données\nmodel <- keras_model_sequential()\nfor (i in 1:2) {\n  compile(model, 'sgd')\n  fit(model, x)\n}\n"
    path.write_bytes(lines.encode("latin-1"))
    report = check_paths([path])
    assert [remark.message for remark in report.remarks] == ["not UTF-8: it was read as Latin-1"]
    assert [(finding.code, finding.place.line) for finding in report.findings] == [("FL003", 5)]
