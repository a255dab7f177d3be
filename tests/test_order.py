"""The one-way order: a layer imports only the layers above it in the list, and inside a layer nothing goes in a
circle. Imports inside functions count."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fairlane

LAYERS = (
    "errors",
    "kit",
    "check",
    "trials",
    "models",
    "searching",
    "engines",
    "provenance",
    "store",
    "trackers",
    "results",
    "running",
    "kerastuner",
    "ui",
    "",  # fairlane/__init__.py, which names the public ones, to be loaded on first use
    "demo",
    "cli",
    "__main__",
)
ROOT = Path(fairlane.__file__).parent


def name_of(path):
    """``engines.reference`` for ``engines/reference.py``, ``engines`` for ``engines/__init__.py``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in ROOT.rglob("*.py")}


def layer_of(name):
    return name.partition(".")[0]


def imported_by(tree, name, is_package):
    """Every module of fairlane that a module imports, wherever in it, as a name in `FILES`."""
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


def imports_of(name):
    path = FILES[name]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return set(imported_by(tree, name, path.name == "__init__.py")) - {name}


IMPORTS = {name: imports_of(name) for name in FILES}


def test_every_module_lies_in_a_layer():
    assert {layer_of(name) for name in FILES} == set(LAYERS)


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer])
def test_a_layer_imports_only_those_above_it(layer):
    above = {*LAYERS[: LAYERS.index(layer)], layer}
    below = sorted(
        f"fairlane.{name} imports fairlane.{other}"
        for name in FILES
        if layer_of(name) == layer
        for other in IMPORTS[name]
        if layer_of(other) not in above
    )
    assert not below, f"{below}: they stand below it"


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer])
def test_nothing_goes_in_a_circle_inside_a_layer(layer):
    # A package's modules may name the package, which re-exports them: Python loads it first in any case.
    inside = {
        name: {
            other for other in IMPORTS[name] if layer_of(other) == layer and not name.startswith(f"{other}.")
        }
        for name in FILES
        if layer_of(name) == layer
    }
    try:
        list(TopologicalSorter(inside).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_the_checker_stands_on_the_errors_alone():
    for name in FILES:
        if layer_of(name) == "check":
            others = {module for module in IMPORTS[name] if layer_of(module) != "check"}
            assert others <= {"errors", "kit"} | {n for n in FILES if layer_of(n) == "kit"}, name


def test_the_package_itself_imports_no_more_than_the_backends_choice():
    tree = ast.parse(FILES[""].read_text(encoding="utf-8"))
    at_once = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert set(imported_by(at_once, "", True)) == {"kit.backend"}


def test_each_layer_says_in_one_sentence_what_it_is_for():
    for name, path in FILES.items():
        if path.name == "__init__.py" and name:
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert docstring, name
            assert docstring.splitlines()[0].endswith((".", ":")), (name, docstring)
