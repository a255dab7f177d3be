"""The reference: every public name has an entry, and a docstring that says all and whose example runs."""

import ast
import doctest
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import fairlane
from fairlane import trackers

API = Path(__file__).parents[2] / "docs" / "api"
ENTRIES = [
    name
    for page in sorted(API.glob("*.md"))
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]
NEEDS = {"Study": ("tensorboard", "mlflow", "alembic", "wandb"), "studies": ("sqlalchemy", "safetensors")}
NEEDS["open"] = NEEDS["studies"]


def resolved(name):
    """What a dotted name names: a module's attribute, or an attribute of that."""
    module, *rest = name.split(".")
    value = importlib.import_module(module)
    for part in rest:
        value = getattr(value, part)
    return value


ENTERED = [resolved(entry) for entry in ENTRIES]


def parts(cls):
    """A class and those of its bases in Fairlane that have no entry of their own."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("fairlane.")]
    return [base for base in ours if base is cls or base not in ENTERED]


def members(cls):
    """The public members that a class of Fairlane, or a part of it, defines: functions and properties, by name."""
    return {
        name: member
        for part in parts(cls)
        for name, member in vars(part).items()
        if (not name.startswith("_") or (name == "__call__" and cls.__name__ == "Guard"))
        and (inspect.isfunction(member) or isinstance(member, property))
    }


ALONE = (fairlane.Float, fairlane.Int, fairlane.Choice, fairlane.When, fairlane.Space)
"""Who writes a space needs these classes, and their pages list no members: samplers call those."""

DOCUMENTED = {}
for entry in ENTRIES:
    DOCUMENTED[entry] = resolved(entry)
    if inspect.isclass(DOCUMENTED[entry]) and DOCUMENTED[entry] not in ALONE:
        for _name, _member in members(DOCUMENTED[entry]).items():
            DOCUMENTED[f"{entry}.{_name}"] = _member
FUNCTIONS = {name: function for name, function in DOCUMENTED.items() if inspect.isfunction(function)}
SHORT = re.compile(r"\.(TensorBoard|MLflow|Tracker)\.(begin|take|conclude|end)$")
"""Called by Fairlane and not by people: they say what they do, and need no example."""


def section(documented, title):
    """The text of a docstring's section; empty where there is none."""
    found = re.search(rf"^{title}:\n((?:[ ]+.*\n?|\n)*)", inspect.getdoc(documented) or "", re.MULTILINE)
    return textwrap.dedent(found[1]) if found else ""


def test_every_public_name_has_an_entry():
    public = {f"fairlane.{name}" for name in fairlane.__all__ if name != "__version__"}
    assert public <= set(ENTRIES)
    assert "`fairlane.__version__`" in (API / "index.md").read_text(encoding="utf-8")


def test_so_have_the_trackers_that_compare_takes():
    classes = [value for value in vars(trackers).values() if inspect.isclass(value)]
    taken = [cls for cls in classes if issubclass(cls, trackers.Tracker) and cls.live]
    assert len(taken) == 3
    assert {f"fairlane.trackers.{cls.__name__}" for cls in taken} <= set(ENTRIES)


def test_entries_are_there_once():
    assert len(set(ENTRIES)) == len(ENTRIES)


def test_the_page_of_studies_lists_all_that_a_study_has():
    listed = re.findall(r"^ +- (\w+)$", (API / "study.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(members(fairlane.Study))


def test_the_overview_names_every_entry_of_the_package_itself():
    overview = (API / "index.md").read_text(encoding="utf-8")
    errors = {n for n in fairlane.__all__ if n.endswith(("Error", "Warning"))}
    for name in set(fairlane.__all__) - errors - {"__version__"}:
        assert f"`{name}`" in overview


@pytest.mark.parametrize("name", DOCUMENTED)
def test_it_is_documented(name):
    text = (
        inspect.getdoc(DOCUMENTED[name]) if name != "fairlane.guard" else inspect.getdoc(type(fairlane.guard))
    )
    assert text
    assert text.split("\n", 1)[0].rstrip().endswith((".", ":"))  # one line says what it is


@pytest.mark.parametrize("name", FUNCTIONS)
def test_its_arguments_are_documented_and_no_others(name):
    parameters = {
        f"{'*' * {p.VAR_POSITIONAL: 1, p.VAR_KEYWORD: 2}.get(p.kind, 0)}{p.name}"
        for p in inspect.signature(FUNCTIONS[name]).parameters.values()
        if p.name != "self"
    }
    told = set(re.findall(r"^(\*{0,2}\w+):", section(FUNCTIONS[name], "Args"), re.MULTILINE))
    if SHORT.search(name) and not told:  # as the class that it is inherited from says
        return
    assert told == parameters


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_it_returns_is_documented(name):
    returned = inspect.signature(FUNCTIONS[name]).return_annotation
    gives = returned not in ("None", "Iterator[None]", inspect.Signature.empty)
    assert bool(section(FUNCTIONS[name], "Returns")) == gives


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_it_raises_is_documented(name):
    tree = ast.parse(textwrap.dedent(inspect.getsource(FUNCTIONS[name])))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    told = set(re.findall(r"^(\w+):", section(FUNCTIONS[name], "Raises"), re.MULTILINE))
    assert raised <= told


def needs_an_example(name):
    member = isinstance(DOCUMENTED[name], property) and not name.startswith("fairlane.Study.")
    return name != "fairlane.guard" and not member and not SHORT.search(name)


@pytest.mark.parametrize("name", [name for name in DOCUMENTED if needs_an_example(name)])
def test_it_has_an_example(name):
    assert ">>> " in section(DOCUMENTED[name], "Example")


def examples_of(documented, name, module):
    """The examples of a function or class, and of the class's parts, in the order of the source."""
    finder, found = doctest.DocTestFinder(exclude_empty=True), []
    for part in parts(documented) if inspect.isclass(documented) else [documented]:
        home = module if part is documented else importlib.import_module(part.__module__)
        order = [name, *(f"{name}.{member}" for member in getattr(part, "__dict__", ()))]
        found += sorted(finder.find(part, name, home), key=lambda test: order.index(test.name))
    return found


# The examples of a study's methods continue that of its class.
EXAMPLES = [name for name in ENTRIES if name != "fairlane.guard"]


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated"
)  # MLflow with SQLAlchemy 2.1
@pytest.mark.parametrize("name", EXAMPLES)
def test_its_examples_hold(name, tmp_path, monkeypatch, capsys):
    documented = DOCUMENTED[name]
    for package in NEEDS.get(documented.__name__, ()):
        pytest.importorskip(package, reason=f"needs an extra that brings {package!r}")
    for variable in ("MLFLOW_DISABLE_TELEMETRY", "WANDB_SILENT"):
        monkeypatch.setenv(variable, "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(documented.__module__)
    runner, names = doctest.DocTestRunner(), {}
    for test in examples_of(documented, name, module):
        test.globs = {**vars(module), **names}
        runner.run(test, clear_globs=False)
        names |= {n: v for n, v in test.globs.items() if n not in vars(module)}
    assert runner.summarize(verbose=False).attempted
    assert not runner.summarize(verbose=False).failed, capsys.readouterr().out
