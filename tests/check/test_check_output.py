"""The command: its formats, its exit status, its pages, and what it does not load."""

import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import _processes
from fairlane.check import RULES, check_paths, check_text, output
from fairlane.cli import app

ROOT = Path(__file__).parents[2]
FAULT = """\
import keras
model = keras.Sequential([keras.layers.Dense(1)])
for rate in rates:
    model.compile(keras.optimizers.SGD(rate), "mse")
    model.fit(x, y)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text(FAULT)
    (tmp_path / "good.py").write_text("import keras\n")
    return tmp_path


def call(*arguments):
    result = CliRunner().invoke(app, ["check", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_lines_as_linters_write_them(folder):
    result = call("bad.py", "good.py")
    first, last = result.stdout.strip().split("\n")
    assert re.match(r"bad\.py:5:5: FL003 the model `model` built in line 2 is compiled and trained .+", first)
    assert last == "1 finding in 1 file (2 files checked)"
    assert result.exit_code == 1


def test_exit_status(folder):
    assert call("good.py").exit_code == 0
    assert "no findings (1 file checked)" in call("good.py").stdout
    assert call(".").exit_code == 1
    (folder / "broken.py").write_text("(")
    result = call(".")
    assert result.exit_code == 2
    assert "bad.py:5:5: FL003" in result.stdout
    assert re.search(r"broken\.py:1:1: error: syntax error", result.stderr)
    assert call("nowhere.py").exit_code == 2
    assert call().exit_code == 2


def test_select_and_ignore(folder):
    assert call("--select", "FL003", ".").exit_code == 1
    assert call("--select", "FL001,FL002", ".").exit_code == 0
    assert call("--ignore", "fl003", ".").exit_code == 0
    assert call("--ignore", "FL001", ".").exit_code == 1
    assert call("--select", "FL0", "--ignore", "FL003", ".").exit_code == 0
    result = call("--select", "E501", ".")
    assert result.exit_code == 2
    assert "is not a rule" in result.stderr


def test_json(folder):
    (folder / "broken.py").write_text("(")
    result = call("--format", "json", ".")
    read = json.loads(result.stdout)
    (finding,) = read["findings"]
    assert (finding["path"], finding["code"], finding["line"], finding["column"]) == ("bad.py", "FL003", 5, 5)
    assert {"end_line", "end_column", "cell", "message", "fix", "name", "related"} <= set(finding)
    assert [related["line"] for related in finding["related"]] == [2, 3, 4]
    assert [failure["path"] for failure in read["failures"]] == ["broken.py"]
    assert read["checked"] == 2


def test_sarif(folder):
    (folder / "broken.py").write_text("(")
    log = json.loads(call("--format", "sarif", ".").stdout)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "fairlane check"
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert all(rule["shortDescription"]["text"] and rule["help"]["markdown"] for rule in driver["rules"])
    (result,) = run["results"]
    assert result["ruleId"] == driver["rules"][result["ruleIndex"]]["id"] == "FL003"
    assert result["level"] == "error"
    assert result["message"]["text"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": "bad.py"}
    assert location["physicalLocation"]["region"] == {
        "startLine": 5,
        "startColumn": 5,
        "endLine": 5,
        "endColumn": 20,
    }
    for related in result["relatedLocations"]:
        assert isinstance(related["id"], int)
        assert related["message"]["text"]
        assert related["physicalLocation"]["region"]["startLine"] >= 1
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_names_both_trainings_of_an_alias():
    text = "import keras\nm = keras.Sequential([])\ndef f():\n    c = m\n    c.compile('sgd')\n    c.fit(x)\nf()\nf()\n"
    (result,) = json.loads(output.sarif(check_text(text, "a b/c.py"), "1"))["runs"][0]["results"]
    assert result["ruleId"] == "FL001"
    lines = [one["physicalLocation"]["region"]["startLine"] for one in result["relatedLocations"]]
    assert lines == [2, 7, 8, 5, 6]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/c.py"


def test_sarif_of_a_notebook_names_the_cell():
    cells = [{"cell_type": "code", "metadata": {}, "source": FAULT}]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    report = check_text(text, "nb.ipynb")
    (result,) = json.loads(output.sarif(report, "1"))["runs"][0]["results"]
    assert result["locations"][0]["logicalLocations"] == [{"name": "cell 1, line 5", "kind": "member"}]
    (line,) = output.plain(report)
    assert line.startswith("nb.ipynb:cell 1:5:5: FL003 ")
    assert next(output.github(report)).startswith("::error file=nb.ipynb,line=1,title=FL003")


def test_github(folder):
    line = call("--format", "github", ".").stdout.split("\n")[0]
    assert line.startswith(
        "::error file=bad.py,line=5,col=5,endLine=5,title=FL003 trained-in-loop::the model `model`"
    )


def test_github_escapes_what_would_end_a_command():
    assert output._escaped("50 %\na,b:c", True) == "50 %25%0Aa%2Cb%3Ac"


def test_the_frame_of_a_terminal():
    console = Console(width=200)
    with console.capture() as captured:
        for part in output.framed(check_text(FAULT, "bad.py")):
            console.print(part, soft_wrap=True)
    lines = captured.get().split("\n")
    assert lines[0].startswith("bad.py:5:5: FL003 ")
    assert lines[1] == "  5 |     model.fit(x, y)"
    assert lines[2] == "    |     ^^^^^^^^^^^^^^^"
    assert any("line 2: the model is built here" in line for line in lines)
    assert any("fix: build the model inside the loop" in line for line in lines)


# Pages


def blocks(page, heading, language):
    """The code blocks of a language under a heading of a page."""
    section = re.split(rf"^## {heading}$", page, flags=re.M)[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.M | re.S)


ENDINGS = {"python": "page.py", "r": "page.R"}


@pytest.mark.parametrize("code", RULES)
def test_the_page_of_a_rule_is_true(code):
    page = RULES[code].page
    title = RULES[code].title
    assert page.startswith(f"# {code}: {title[0].lower()}{title[1:]}\n")
    for heading in ("Bad", "Good", "Why", "Silence"):
        assert f"\n## {heading}\n" in page
    assert blocks(page, "Bad", "python")
    for language, name in ENDINGS.items():
        for block in blocks(page, "Bad", language):
            assert [finding.code for finding in check_text(block, name).findings] == [code]
        for block in blocks(page, "Good", language):
            assert check_text(block, name).findings == ()
            assert check_text(block, name).failures == ()


def test_every_rule_has_its_page_and_the_index_names_them():
    pages = ROOT / "src" / "fairlane" / "check" / "pages"
    assert sorted(path.stem for path in pages.iterdir()) == list(RULES)
    index = (ROOT / "docs" / "check" / "index.md").read_text(encoding="utf-8")
    for rule in RULES.values():
        assert f"| [{rule.code}](../../src/fairlane/check/pages/{rule.code}.md) | {rule.title} |" in index


def test_explain():
    result = call("--explain", "FL001")
    assert result.exit_code == 0
    assert result.stdout == RULES["FL001"].page
    assert call("--explain", "fl010").exit_code == 0
    result = call("--explain", "FL999")
    assert result.exit_code == 2
    assert "FL999 is not a rule" in result.stderr


# What surrounds it


def test_nothing_heavy_is_loaded(folder):
    code = f"""
import sys
from typer.testing import CliRunner
from fairlane.cli import app
(result := CliRunner().invoke(app, ["check", {str(folder)!r}]))
heavy = ("keras", "jax", "numpy", "pandas", "matplotlib", "sklearn", "tensorflow", "torch")
print(result.exit_code, [m for m in heavy if m in sys.modules])
"""
    result = _processes.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "1 []", result.stderr


def test_nothing_is_executed(folder):
    (folder / "evil.py").write_text("import keras\nopen('made', 'w').write('x')\nraise SystemExit(7)\n")
    assert call("evil.py").exit_code == 0
    assert not (folder / "made").exists()


def test_the_hook_for_pre_commit():
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^[- ] (\w+): (.+)$", text, flags=re.M))
    assert text.startswith("- id: fairlane-check\n")
    assert {"id", "name", "description", "entry", "language", "files"} <= set(fields)
    assert fields["entry"] == "fairlane check --force-exclude"
    assert fields["language"] == "python"
    pattern = re.compile(fields["files"])
    for name in ("a.py", "b/c.ipynb", "d.R", "e.r", "f.Rmd", "g.qmd", "h.md"):
        assert pattern.search(name)
    for name in ("a.pyc", "b.txt", "py", "c.rs"):
        assert not pattern.search(name)
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (wanted,) = re.findall(r'additional_dependencies: \["(.+)"\]', text)
    assert f'r = ["{wanted}"]' in extras


def test_the_repository_itself_is_clean():
    report = check_paths([ROOT / "src", ROOT / "benchmarks", ROOT / "docs"])
    bad_on_purpose = ROOT / "src" / "fairlane" / "check" / "pages"
    found = [f for f in report.findings if not f.path.startswith(str(bad_on_purpose))]
    assert [f"{finding.path}:{finding.place}: {finding.code}" for finding in found] == []
    assert report.failures == ()
