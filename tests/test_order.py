"""The one-way order: each module imports only what stands above it, inside functions too."""

import ast
from pathlib import Path

import pytest

import fairlane

ORDER = (
    "_backend",
    "errors",
    "files",
    "check.forms",
    "check.known",
    "check.values",
    "check.events",
    "check.machine",
    "check.containers",
    "check.calls",
    "check.evaluate",
    "check.functions",
    "check.interpret",
    "check.python",
    "check.r",
    "check.sources",
    "check.rules",
    "check",
    "check.output",
    "trial",
    "stats",
    "_keras",
    "layer_state",
    "session",
    "isolation",
    "_config",
    "_rebuild",
    "places",
    "past",
    "copies",
    "watch",
    "template",
    "structure",
    "lift",
    "rewrite",
    "sources",
    "data",
    "program",
    "recall",
    "engine",
    "engine.memory",
    "engine.loops",
    "engine.lane",
    "engine.fleet",
    "engine.convoy",
    "engine.reference",
    "engine.lanes",
    "worker.parcel",
    "worker.recipe",
    "worker.messages",
    "worker.main",
    "worker.process",
    "worker",
    "plan",
    "callbacks",
    "testing",
    "fingerprint",
    "origin",
    "description",
    "store.extras",
    "store.records",
    "store.memory",
    "store.tree",
    "store.artifacts",
    "store.lease",
    "store.coding",
    "store.committer",
    "store.tables",
    "store.migrations",
    "store.migrations.versions",
    "store.migrations.versions.v1",
    "store.migrations.versions.v2",
    "store.rows",
    "store.database",
    "store.reading",
    "store.writing",
    "store.opening",
    "store",
    "frames",
    "comparison",
    "plots.colours",
    "plots.panels",
    "plots.lines",
    "plots.points",
    "plots.scatter",
    "plots",
    "trackers.contract",
    "trackers.mlflow",
    "trackers.telling",
    "trackers.tensorboard",
    "trackers.wandb",
    "trackers",
    "report.verdict",
    "report.facts",
    "report.page",
    "report",
    "progress",
    "jobs",
    "results",
    "driver",
    "study",
    "stored",
    "ui.board",
    "ui.pages",
    "ui.app",
    "ui.serving",
    "ui",
    "",  # fairlane/__init__.py, which names the public ones, to be loaded on first use
    "demo",
    "export",
    "cli",
    "__main__",
)
ROOT = Path(fairlane.__file__).parent


def name_of(path):
    """``engine.lane`` for ``engine/lane.py``, ``engine`` for ``engine/__init__.py``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in ROOT.rglob("*.py")}


def imported_by(tree, name, is_package):
    """Every module of fairlane that a module imports, wherever in it, as a name in `ORDER`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from within(alias.name)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(node, name, is_package)
            for alias in node.names:
                yield from within(f"{source}.{alias.name}")
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            yield from within(*(a.value for a in node.args[:1] if isinstance(a, ast.Constant)))


def within(*dotted):
    """The module of fairlane that a dotted name is, or lies in."""
    for text in dotted:
        first, *rest = text.split(".")
        if first == "fairlane":
            while rest and ".".join(rest) not in FILES:
                rest.pop()
            yield ".".join(rest)


def absolute(node, name, is_package):
    """What ``from ... import`` names, without leading dots."""
    if not node.level:
        return node.module
    package = ["fairlane", *(name.split(".") if name else [])]
    package = package[: len(package) - node.level + is_package]
    return ".".join([*package, *([node.module] if node.module else [])])


def called(node):
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def test_every_module_has_its_place():
    assert sorted(FILES) == sorted(ORDER)


@pytest.mark.parametrize("name", [name for name in ORDER if name])
def test_a_module_imports_only_what_stands_above_it(name):
    path = FILES[name]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    above = {*ORDER[: ORDER.index(name)], name}  # a package's modules may be named from within
    below = sorted(set(imported_by(tree, name, path.name == "__init__.py")) - above)
    assert not below, f"fairlane.{name} imports {below}, which stand below it"


def test_the_checker_stands_on_the_errors_alone():
    for name in ORDER:
        if name.partition(".")[0] == "check":
            tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
            found = set(imported_by(tree, name, FILES[name].name == "__init__.py"))
            assert {module for module in found if module.partition(".")[0] != "check"} <= {"errors"}


def test_the_package_itself_imports_no_more_than_the_backends_choice():
    tree = ast.parse(FILES[""].read_text(encoding="utf-8"))
    at_once = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert set(imported_by(at_once, "", True)) == {"_backend"}


@pytest.mark.parametrize("name", ORDER)
def test_only_one_module_knows_keras_from_inside(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    modules = [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    modules += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    private = [module for module in modules if module.startswith("keras.src")]
    assert name == "_keras" or not private


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import fairlane.store", ["store"]),
        ("from fairlane import store, __version__", ["store", ""]),
        ("from fairlane.engine.lane import Lane", ["engine.lane"]),
        ("from fairlane.engine import Job, lanes", ["engine", "engine.lanes"]),
        ("from . import loops", ["engine.loops"]),
        ("from .loops import Loop", ["engine.loops"]),
        ("from ..trial import Trial", ["trial"]),
        ("def f():\n    from fairlane import plots", ["plots"]),
        ("if TYPE_CHECKING:\n    from fairlane.study import Study", ["study"]),
        ("import_module('fairlane.study')", ["study"]),
        ("importlib.import_module('fairlane.study')", ["study"]),
        ("import keras, fairlanes\nfrom numpy import fairlane", []),
    ],
)
def test_imports_are_found(code, found):
    assert list(imported_by(ast.parse(code), "engine.lane", False)) == found
