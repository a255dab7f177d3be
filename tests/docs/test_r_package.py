"""The package for R in ``r/``: installed, and run in R, with the page about it."""

import re

import pytest

import _processes
from _r import ROOT, environment, rscript

BLOCK = re.compile(r"^```r\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGE = ROOT / "docs" / "howto" / "r.md"


def exported():
    return set(re.findall(r"^export\((\w+)\)$", (ROOT / "r" / "NAMESPACE").read_text("utf-8"), re.MULTILINE))


def test_each_function_has_a_page_of_help_and_a_test():
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "r" / "man").glob("*.Rd"))
    tests = (ROOT / "r" / "tests" / "fairlane.R").read_text("utf-8")
    for name in exported() - {"fl"}:
        assert f"\\alias{{{name}}}" in pages
        assert f"{name}(" in tests
        assert f"{name}(" in PAGE.read_text("utf-8") or name == "fl_markers"


@pytest.mark.slow
def test_it_installs_and_holds_what_its_page_says(tmp_path):
    script, library = rscript(), tmp_path / "library"
    library.mkdir()
    install = ["R", "CMD", "INSTALL", "--no-test-load", f"--library={library}", ROOT / "r"]
    run = _processes.run(install, env=environment(library), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    page, install_block = (
        BLOCK.findall(PAGE.read_text("utf-8")),
        re.compile(r"install\.packages|use_virtualenv"),
    )
    shown = "".join(block for block in page if not install_block.search(block))
    assert "fl_compare(" in shown
    tests = (ROOT / "r" / "tests" / "fairlane.R").read_text("utf-8")
    (tmp_path / "all.R").write_text(f"{shown}\n{tests}", encoding="utf-8")
    run = _processes.run(
        [script, "all.R"], cwd=tmp_path, env=environment(library), capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.endswith("all of it holds\n")
    assert "continues from those weights" not in run.stderr  # of the guard, on the page that trains once
