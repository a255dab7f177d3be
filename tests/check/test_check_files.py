"""Files, notebooks and documents: what is read, what can't be, and where findings are."""

import json
import sys

import pytest

from fairlane.check import check_paths, check_text, r

FAULT = """\
import keras
model = keras.Sequential([keras.layers.Dense(1)])
for rate in rates:
    model.compile(keras.optimizers.SGD(rate), "mse")
    model.fit(x, y)
"""


def notebook(*cells, metadata=None):
    made = [{"cell_type": kind, "metadata": {}, "source": source} for kind, source in cells]
    return json.dumps({"cells": made, "metadata": metadata or {}, "nbformat": 4, "nbformat_minor": 5})


def places(text, name):
    report = check_text(text, name)
    assert report.failures == ()
    return [f"{finding.place}: {finding.code}" for finding in report.findings]


def test_columns_count_characters():
    text = FAULT.replace("    model.fit", "    'é𝒳'; model.fit")
    assert places(text, "unicode.py") == ["5:11: FL003"]
    in_r = "model <- keras_model_sequential()\nfor (i in 1:2) { 'é𝒳'; compile(model); fit(model, x) }"
    assert places(in_r, "unicode.R") == ["2:40: FL003"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines(end, tmp_path):
    path = tmp_path / "program.py"
    path.write_bytes(FAULT.replace("\n", end).encode())
    (finding,) = check_paths([path]).findings
    assert finding.place.line == 5


def test_encodings(tmp_path):
    latin = tmp_path / "latin.py"
    latin.write_bytes(b"# coding: latin-1\n# caf\xe9\n" + FAULT.encode())
    marked = tmp_path / "marked.py"
    marked.write_bytes(b"\xef\xbb\xbf" + FAULT.encode())
    report = check_paths([latin, marked])
    assert [finding.place.line for finding in report.findings] == [7, 5]


def test_notebooks_name_cell_and_line():
    cells = [("markdown", "# Text"), ("code", FAULT.partition("for")[0]), ("code", "x = 1")]
    cells.append(("code", ["\n", "!ls\n", *FAULT.splitlines(keepends=True)[2:]]))
    (finding,) = check_text(notebook(*cells), "nb.ipynb").findings
    assert str(finding.place) == "cell 4:5:5"
    assert "cell 4, line 3" in finding.message
    assert "cell 2, line 2" in finding.message


def test_notebooks_of_r():
    kernel = {"kernelspec": {"name": "ir", "language": "R"}, "language_info": {"name": "R"}}
    loop = "for (i in 1:2) {\n  model %>% compile('adam', 'mse')\n  model %>% fit(x, y)\n}"
    text = notebook(("code", "model <- keras_model_sequential()"), ("code", loop), metadata=kernel)
    assert places(text, "r.ipynb") == ["cell 2:3:13: FL003"]


def test_notebooks_of_other_languages_are_left_alone():
    text = notebook(
        ("code", "this is no Python"), metadata={"kernelspec": {"name": "julia", "language": "julia"}}
    )
    assert check_text(text, "julia.ipynb").checked == 1


@pytest.mark.parametrize(
    "magic",
    [
        "%matplotlib inline",
        "!pip install keras",
        "%%bash\nls | grep",
        "model?",
        "?model",
        "files = !ls",
        "x = %pwd",
        "%time model.summary()",
        "%%time\nmodel.summary()",
        "if x:\n    !ls",
        "%cd ..\n%pwd",
        "await f()",
    ],
)
def test_ipython_in_notebooks(magic):
    text = notebook(
        ("code", FAULT.partition("for")[0]), ("code", magic), ("code", "for" + FAULT.partition("for")[2])
    )
    assert places(text, "magic.ipynb") == ["cell 3:3:5: FL003"]


def test_documents_keep_their_lines():
    text = "Text\n\n```{r}\nlibrary(keras)\nmodel <- keras_model_sequential()\n```\n\nMore.\n\n```{r loop}\n"
    text += "for (i in 1:2) {\n  compile(model, 'sgd')\n  fit(model, x, y)\n}\n```\n"
    for name in ("report.Rmd", "report.qmd", "REPORT.RMD"):
        assert places(text, name) == ["13:3: FL003"]
    assert places(text.replace("{r loop}", "{r loop, eval = FALSE}"), "report.Rmd") == []
    assert places(text.replace("{r loop}\n", "{r loop}\n#| eval: false\n"), "report.qmd") == []


def test_directories(tmp_path):
    for name in ("a.py", "b/c.R", "b/d.txt", ".git/e.py", "venv/f.py", "env2/pyvenv.cfg", "env2/g.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "h.ipynb").write_text("nothing")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "i.py").write_text("(")
    report = check_paths([tmp_path, tmp_path / "a.py"])
    assert (report.checked, report.failures, report.status) == (2, (), 0)


@pytest.mark.parametrize(
    ("name", "data", "words", "line"),
    [
        ("broken.py", b"x = (\n", "syntax error", 1),
        ("broken.R", b"x <- 1\nf <- function( {\n", "syntax error: invalid R syntax", 2),
        ("bytes.py", b"x = 1\ny = '\xff'\n", "not utf-8 text", 2),
        ("coded.py", b"# coding: klingon\n", "encoding", None),
        ("null.py", b"x = 1\0\n", "null byte", None),
        ("broken.ipynb", b"{", "not a notebook", 1),
        ("list.ipynb", b"[]", "no cells", None),
        ("text.txt", b"", "not a kind of file", None),
        ("deep.py", b"(" * 3000 + b")" * 3000, "syntax error", None),
        ("latin.py", "x = 1\ny = 2\nz = 'é'\n".encode("latin-1"), "looks like Latin-1", 3),
        ("latin1.py", "# été\nx = 1\n".encode("latin-1"), "looks like Latin-1", 1),
        ("wide.py", "x = 'é'\n".encode("utf-16"), "UTF-16", 1),
        ("old.py", b"import keras\nprint 'loss', x\n", "Python 2 (`print`", 2),
        ("old.py", b"try:\n    f()\nexcept IOError, e:\n    pass\n", "Python 2 (`except", 3),
        ("old.py", b"x = 0777\n", "Python 2 (an octal", 1),
        ("old.py", b"if a <> b:\n    pass\n", "Python 2 (`<>`", 1),
        ("old.py", b"if a:\n        f()\n\tg()\n", "Python 2 (tabs", 3),
    ],
)
def test_what_can_not_be_read_is_named_and_the_rest_checked(tmp_path, name, data, words, line):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "good.py").write_text(FAULT)
    report = check_paths([tmp_path / name, tmp_path / "good.py"])
    (failure,) = report.failures
    assert failure.path == str(tmp_path / name)
    assert words in failure.message
    if line is not None:
        assert failure.place.line == line
    assert (report.status, report.checked) == (2, 1)
    assert [finding.code for finding in report.findings] == ["FL003"]


def test_no_such_file(tmp_path):
    (failure,) = check_paths([tmp_path / "nowhere.py"]).failures
    assert "No such file" in failure.message


def test_r_without_its_grammar(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    with pytest.raises(r.MissingGrammar):
        r.parse("x <- 1")
    (tmp_path / "a.R").write_text("x <- 1\n")
    (tmp_path / "b.py").write_text(FAULT)
    report = check_paths([tmp_path])
    (failure,) = report.failures
    assert "pip install 'fairlane[r]'" in failure.message
    assert report.status == 2
    assert [finding.code for finding in report.findings] == ["FL003"]


@pytest.mark.parametrize(
    ("comment", "silent"),
    [
        ("# noqa", True),
        ("# NOQA", True),
        ("#noqa", True),
        ("# noqa: FL003", True),
        ("# noqa: FL001,FL003", True),
        ("# noqa: FL001 FL003", True),
        ("# noqa:E501, fl003", True),
        ("# type: ignore  # noqa: FL003", True),
        ("# noqa: FL001", False),
        ("# noqa: E501", False),
        ("# noqa: ???", False),
        ("# a comment", False),
    ],
)
def test_noqa(comment, silent):
    assert (places(FAULT.rstrip() + f"  {comment}\n", "noqa.py") == []) is silent
    in_r = (
        f"model <- keras_model_sequential()\nfor (i in 1:2) {{\n compile(model)\n fit(model, x) {comment}\n}}"
    )
    assert (places(in_r, "noqa.R") == []) is silent
