"""What ``--fix`` changes, and what it leaves."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlane.check import check_text, fixing
from fairlane.cli import app

ALIAS = """\
import numpy as np
import keras

x, y = np.ones((6, 2)), np.ones((6, 1))
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
losses = []
for size in (2, 3):
    candidate = model
    losses.append(candidate.fit(x, y, batch_size=size, verbose=0))
"""


def call(*arguments, stdin=None):
    result = CliRunner().invoke(app, ["check", *map(str, arguments)], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def mended(text, name="a.py"):
    return fixing.fixed(text, name, check_text(text, name).findings)


def test_a_second_name_becomes_a_copy():
    text, count = mended(ALIAS)
    assert count == 1
    assert "    candidate = fairlane.copy(model)\n" in text
    assert text.startswith("import numpy as np\nimport keras\nimport fairlane\n")
    assert check_text(text, "a.py").findings == ()
    assert mended(text) == (text, 0)


BUILT = """\
import numpy as np
import keras

UNITS = 2
x, y = np.ones((6, 2)), np.ones((6, 1))
def build(units):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)])
model = build(UNITS)
other = model
model.compile("sgd", "mse")
first_history = model.fit(x, y, verbose=0)
other.compile("adam", "mse")
other_history = other.fit(x, y, verbose=0)
"""


def test_a_second_name_of_what_a_function_built_is_built_again():
    text, count = mended(BUILT)
    assert count == 1
    assert "\nother = build(UNITS)\n" in text
    assert "fairlane" not in text
    assert check_text(text, "a.py").findings == ()


def test_in_a_loop_what_a_function_built_is_built_again():
    text, count = mended(
        ALIAS.replace("model = keras.Sequential", "def build(rate):\n    m = keras.Sequential").replace(
            'model.compile("sgd", "mse")', '    m.compile("sgd", "mse")\n    return m\nmodel = build(0.1)'
        )
    )
    assert count == 1
    assert "    candidate = build(0.1)\n" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("other = model", "model.compile('adam', 'mse')\nother = model"),
        ("other = model", "model.layers[0].trainable = False\nother = model"),
        ("other = model", "model.load_weights('a.weights.h5')\nother = model"),
        ("other = model", "UNITS = 3\nother = model"),
        ("other = model", "build = list\nother = model"),
        ("    return", "    np.random.shuffle(x)\n    return"),
        ("    return", "    global UNITS\n    return"),
        ("def build", "@keras.saving.register_keras_serializable()\ndef build"),
        ("model = build(UNITS)", "model = build(len(x))"),
        ("Dense(units)", "Dense(units, kernel_initializer=first)"),
    ],
)
def test_what_may_be_built_otherwise_is_copied(old, new):
    assert old in BUILT
    text = "first = print()\n" + BUILT.replace(old, new)
    assert "\nother = fairlane.copy(model)\n" in mended(text)[0]


def test_what_was_mended_trains_models_that_do_not_depend_on_each_other():
    space = {}
    exec(compile(mended(ALIAS)[0], "mended.py", "exec"), space)
    untouched = space["model"].get_weights()
    first, second = (history.model for history in space["losses"])
    assert first is not second
    assert not np.array_equal(first.get_weights()[0], untouched[0])
    assert not np.array_equal(second.get_weights()[0], untouched[0])


@pytest.mark.parametrize(
    ("head", "name", "start"),
    [
        ("import fairlane as fl\n", "fl", "import fairlane as fl\n"),
        ("import fairlane\n", "fairlane", "import fairlane\n"),
        (
            '"""Words."""\n\n',
            "fairlane",
            '"""Words."""\n\nimport numpy as np\nimport keras\nimport fairlane\n',
        ),
        (
            "# coding: utf-8\n",
            "fairlane",
            "# coding: utf-8\nimport numpy as np\nimport keras\nimport fairlane\n",
        ),
        (
            "from __future__ import annotations\n",
            "fairlane",
            "from __future__ import annotations\nimport numpy",
        ),
    ],
)
def test_the_import(head, name, start):
    text, count = mended(head + ALIAS)
    assert count == 1
    assert f"candidate = {name}.copy(model)" in text
    assert text.startswith(start)
    assert text.count("import fairlane") == 1


def test_two_names_in_one_file():
    text, count = mended(
        ALIAS + "\nfor size in (2, 3):\n    other = model\n    other.fit(x, y, batch_size=size)\n"
    )
    assert count == 2
    assert text.count("fairlane.copy(model)") == 2
    assert text.count("import fairlane") == 1


def test_a_notebook_keeps_the_rest():
    source = ALIAS.splitlines(keepends=True)
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Titel: Ä"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 3, "source": source[:7]},
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": 4,
            "source": "".join(source[7:]),
        },
    ]
    notebook = {"cells": cells, "metadata": {"a": 1}, "nbformat": 4, "nbformat_minor": 5}
    for indent, end in ((1, "\n"), (2, ""), (None, "")):
        old = json.dumps(notebook, indent=indent, ensure_ascii=False) + end
        text, count = mended(old, "a.ipynb")
        assert count == 1
        new = json.loads(text)
        assert "candidate = fairlane.copy(model)" in new["cells"][2]["source"]
        assert new["cells"][2]["source"].startswith("import fairlane\n")
        new["cells"][2]["source"] = notebook["cells"][2]["source"]
        assert new == notebook
        back = text.replace("fairlane.copy(model)", "model").replace("import fairlane\\n", "")
        assert back == old
        assert check_text(text, "a.ipynb").findings == ()


def test_what_is_not_sure_is_left(tmp_path):
    likely = "import keras\nm = keras.Sequential()\nm.compile('sgd', 'mse')\nm2 = m\n" + (
        "for a, b in stream:\n    n = m\n    n.fit(a, b)\n"
    )
    assert mended(likely) == (likely, 0)
    r = "m <- keras_model_sequential()\nfor (i in 1:2) {\n  n <- m\n  n |> compile('sgd')\n  n |> fit(x, y)\n}\n"
    assert mended(r, "a.R") == (r, 0)
    document = f"```python\n{ALIAS}```\n"
    assert mended(document, "a.md") == (document, 0)


def test_a_place_that_has_changed_is_left():
    findings = check_text(ALIAS, "a.py").findings
    changed = ALIAS.replace("candidate = model", "candidate = build()")
    assert fixing.fixed(changed, "a.py", findings) == (changed, 0)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.py"
    path.write_bytes(ALIAS.replace("\n", "\r\n").encode())
    result = call("--diff", "a.py")
    assert "-    candidate = model" in result.stdout
    assert "+    candidate = fairlane.copy(model)" in result.stdout
    assert "+import fairlane" in result.stdout
    assert result.exit_code == 1
    assert "1 finding would be fixed" in result.stderr
    assert b"candidate = model" in path.read_bytes()
    result = call("--fix", "a.py")
    assert result.exit_code == 0
    assert "1 finding fixed" in result.stderr
    assert path.read_bytes() == mended(ALIAS)[0].replace("\n", "\r\n").encode()
    assert call("--diff", "a.py").exit_code == 0


def test_the_standard_input():
    assert call("-", "--fix", stdin=ALIAS).stdout == mended(ALIAS)[0]
    assert "+import fairlane" in call("-", "--diff", stdin=ALIAS).stdout


def test_ignored_findings_are_not_fixed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(ALIAS)
    call("--fix", "--ignore", "FL001", "a.py")
    assert (tmp_path / "a.py").read_text() == ALIAS
