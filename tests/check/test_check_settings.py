"""What users of linters expect of the command: settings of the project, patterns, streams, and counts."""

import json

import pytest
from typer.testing import CliRunner

from fairlane.check import settings
from fairlane.check.patterns import matches
from fairlane.cli import app

LOOP = "for rate in rates:\n    model.compile(keras.optimizers.SGD(rate), 'mse')\n    model.fit(x, y)\n"
FAULT = "import keras\nmodel = keras.Sequential([keras.layers.Dense(1)])\n" + LOOP
LIKELY = "import keras\nkeras.utils.set_random_seed(1)\n" + (
    "for units in (1, 2):\n    m = keras.Sequential([keras.layers.Dense(units)])\n"
    "    m.compile('sgd', 'mse')\n    m.fit(x, y)\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings.forget()
    yield tmp_path
    settings.forget()


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def call(*arguments, stdin=None):
    result = CliRunner().invoke(app, ["check", *map(str, arguments)], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def found(*arguments, **more):
    lines = call(*arguments, **more).stdout.splitlines()
    return sorted(f"{line.split(':')[0]} {line.split(': ')[1][:5]}" for line in lines if ": FL" in line)


# Confidence


def test_what_is_only_likely_is_a_note(folder):
    write(folder, a_py=LIKELY)
    result = call("a.py")
    assert "a.py:2:1: FL009 (likely) the seed is set once" in result.stdout
    assert "1 finding in 1 file, 1 of them only likely (1 file checked)" in result.stdout
    assert result.exit_code == 0
    assert call("--strict", "a.py").exit_code == 1
    assert json.loads(call("--format", "json", "a.py").stdout)["findings"][0]["confidence"] == "likely"
    (run,) = json.loads(call("--format", "sarif", "a.py").stdout)["runs"]
    assert [one["level"] for one in run["results"]] == ["note"]
    assert call("--format", "github", "a.py").stdout.startswith("::notice file=a.py,line=2")


def test_strict_takes_what_was_left_out_seriously(folder):
    (folder / "a.md").write_text("```python\nx = (\n```\n")
    result = call("a.md")
    assert result.exit_code == 0
    assert "a.md:2:5: note: left out: syntax error: '(' was never closed" in result.stderr
    assert call("--strict", "a.md").exit_code == 2


# pyproject.toml


def test_the_settings_of_a_project(folder):
    write(folder, a_py=FAULT, tests__b_py=FAULT, old__c_py=FAULT, d_py=LIKELY)
    assert found() == ["a.py FL003", "d.py FL009", "old/c.py FL003", "tests/b.py FL003"]
    table = '[tool.fairlane.check]\nignore = ["FL009"]\nexclude = ["old"]\n'
    table += '[tool.fairlane.check.per-file-ignores]\n"tests/*.py" = ["FL00"]\n'
    (folder / "pyproject.toml").write_text(table)
    settings.forget()
    assert found() == ["a.py FL003"]
    assert found("--ignore", "FL003") == ["d.py FL009"]  # what is said on the line counts instead
    (folder / "pyproject.toml").write_text('[tool.fairlane.check]\nselect = ["FL009"]\nstrict = true\n')
    settings.forget()
    assert found() == ["d.py FL009"]
    assert call("d.py").exit_code == 1
    assert found("--select", "ALL") == ["a.py FL003", "d.py FL009", "old/c.py FL003", "tests/b.py FL003"]


def test_the_nearest_settings_count(folder):
    write(folder, a_py=FAULT, inner__b_py=FAULT)
    (folder / "inner" / "pyproject.toml").write_text('[tool.fairlane.check]\nignore = ["FL003"]\n')
    assert found() == ["a.py FL003"]
    (folder / "inner" / "pyproject.toml").write_text("[tool.other]\n")
    settings.forget()
    assert found() == ["a.py FL003", "inner/b.py FL003"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("ignore = 'FL001'", "ignore must be a list of texts"),
        ("select = ['E501']", "select E501 is not a rule"),
        ("strict = 1", "strict must be true or false"),
        ("colour = true", "colour is not a setting; there are exclude, ignore"),
        ("per-file-ignores = []", "must be a table of patterns"),
        ("ignore = [", "can't be read"),
    ],
)
def test_settings_that_can_not_be_used(folder, table, words):
    (folder / "pyproject.toml").write_text(f"[tool.fairlane.check]\n{table}\n")
    result = call()
    assert result.exit_code == 2
    assert words in result.stderr
    assert "pyproject.toml" in result.stderr


# What is passed over


@pytest.mark.parametrize(
    ("pattern", "path", "is_meant"),
    [
        ("tests", "a/tests/b.py", True),
        ("tests/", "a/tests/b.py", True),
        ("tests/*.py", "tests/b.py", True),
        ("tests/*.py", "tests/a/b.py", False),
        ("tests/**/*.py", "tests/a/b.py", True),
        ("tests/**/*.py", "tests/b.py", True),
        ("*_old.py", "a/b_old.py", True),
        ("/a.py", "b/a.py", False),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("a?.py", "ab.py", True),
        ("a.py", "axpy", False),
        ("docs/**", "docs/a/b.py", True),
    ],
)
def test_patterns(tmp_path, pattern, path, is_meant):
    assert matches(tmp_path / path, [pattern], tmp_path) is is_meant


def test_exclude(folder):
    write(folder, a_py=FAULT, old__b_py=FAULT, old__deep__c_py=FAULT)
    assert found("--exclude", "old", ".") == ["a.py FL003"]
    assert found("--exclude", "old/deep,a.py") == ["old/b.py FL003"]
    assert found("--exclude", "a.py", "--exclude", "*/deep") == ["old/b.py FL003"]
    assert found("--exclude", "a.py", "a.py") == ["a.py FL003"]  # it is named
    assert found("--exclude", "a.py", "--force-exclude", "a.py") == []


def test_what_git_ignores(folder):
    write(folder, a_py=FAULT, out__b_py=FAULT, src__c_py=FAULT, src__d_py=FAULT, src__out__e_py=FAULT)
    (folder / ".gitignore").write_text("# made\n/out/\n*d.py\n!src/d.py\n")
    (folder / "src" / ".gitignore").write_text("c.py\n")
    assert found() == ["a.py FL003", "src/d.py FL003", "src/out/e.py FL003"]
    assert len(found("--no-respect-gitignore")) == 5
    assert found("src") == ["src/out/e.py FL003"] if (folder / ".git").exists() else True
    (folder / ".git").mkdir()
    assert found("src") == ["src/d.py FL003", "src/out/e.py FL003"]
    (folder / ".gitignore").write_text("src/out\n")
    assert found("src") == ["src/d.py FL003"]
    (folder / "pyproject.toml").write_text("[tool.fairlane.check]\nrespect-gitignore = false\n")
    settings.forget()
    assert len(found()) == 5


# Streams, files and counts


def test_the_standard_input(folder):
    assert found("-", stdin=FAULT) == ["stdin.py FL003"]
    text = (
        "model <- keras_model_sequential()\nfor (i in 1:2) {\n  compile(model, 'sgd')\n  fit(model, x)\n}\n"
    )
    assert found("-", "--stdin-filename", "a.R", stdin=text) == ["a.R FL003"]
    result = call("-", "a.py", stdin="")
    assert result.exit_code == 2
    assert "- stands alone" in result.stderr


def test_statistics_and_exit_zero(folder):
    write(folder, a_py=FAULT, b_py=FAULT, c_py=LIKELY)
    result = call("--statistics", "--exit-zero")
    assert result.exit_code == 0
    lines = [line.split()[:2] for line in result.stdout.splitlines()]
    assert lines[:2] == [["2", "FL003"], ["1", "FL009"]]
    (folder / "d.py").write_text("x = (\n")
    assert call("--exit-zero").exit_code == 2


def test_output_file(folder):
    write(folder, a_py=FAULT)
    result = call("--format", "json", "--output-file", "report.json", "a.py")
    assert result.exit_code == 1
    assert json.loads((folder / "report.json").read_text())["checked"] == 1
    assert result.stdout == ""
    result = call("-o", "nowhere/report.txt", "a.py")
    assert result.exit_code == 2
    assert "nowhere/report.txt can't be written" in result.stderr


# Comments


@pytest.mark.parametrize(
    ("text", "is_silent"),
    [
        (FAULT.replace("model.fit(x, y)", "model.fit(\n        x,  # noqa: FL003\n        y,\n    )"), True),
        (FAULT.replace("model.fit(x, y)", "h = (\n        model.fit(x, y)\n    )  # noqa"), True),
        (FAULT.replace("model.fit(x, y)", "model.fit(\n        x, y\n    )  # noqa: FL002"), False),
        (FAULT.replace("rates:", "rates:  # noqa"), False),  # another statement
        ("# fairlane: noqa\n" + FAULT, True),
        (FAULT + "# fairlane: noqa: FL001, FL003\n", True),
        ("# fairlane: noqa: FL001\n" + FAULT, False),
        ("# fairlane: noqa: nonsense\n" + FAULT, False),
        ("x = 1  # fairlane: noqa\n" + FAULT, False),  # not on a line of its own
        (FAULT + "# nolint\n", False),
    ],
)
def test_comments_in_python(folder, text, is_silent):
    assert found("-", stdin=text) == ([] if is_silent else ["stdin.py FL003"])


@pytest.mark.parametrize(
    ("before", "behind", "after", "is_silent"),
    [
        ("", "# nolint", "", True),
        ("", "# nolint: FL003.", "", True),
        ("", "# nolint: trained-in-loop, object_name_linter.", "", True),
        ("", "# nolint: trained_in_loop.", "", True),
        ("", "# nolint: line_length_linter.", "", False),
        ("", "# noqa: FL003", "", True),
        ("# nolint start", "", "# nolint end", True),
        ("# nolint start: FL003.", "", "", True),
        ("# nolint start: FL001.", "", "# nolint end", False),
        ("# nolint start\n# nolint end", "", "", False),
        ("# fairlane: noqa", "", "", True),
    ],
)
def test_comments_in_r(folder, before, behind, after, is_silent):
    text = f"model <- keras_model_sequential()\n{before}\nfor (i in 1:2) {{\n  model %>% compile('sgd')\n"
    text += f"  history <- model %>%\n    fit(x, y) {behind}\n}}\n{after}\n"
    assert found("-", "--stdin-filename", "a.R", stdin=text) == ([] if is_silent else ["a.R FL003"])
