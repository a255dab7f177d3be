"""The public face: what can be imported, what an import costs, and the choice of Keras's backend."""

import ast
import inspect
import json
import os
import sys
from pathlib import Path

import pytest

import _processes
import fairlane


def python(code, **environment):
    """Run code in a fresh process; an environment variable that is None is not set there."""
    merged = {**os.environ, **environment}
    result = _processes.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={name: value for name, value in merged.items() if value is not None},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("name", fairlane.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(fairlane, name)
    if name != "__version__":
        assert inspect.getdoc(value), f"fairlane.{name} has no docstring"
        assert value.__module__.startswith("fairlane.")


def test_names_are_listed_in_order_and_completed():
    assert list(fairlane.__all__) == sorted(fairlane.__all__)
    assert set(fairlane.__all__) <= set(dir(fairlane))


def test_every_name_that_is_loaded_on_use_is_public():
    assert {*fairlane._HOMES, "__version__"} == set(fairlane.__all__)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(fairlane.__file__).read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    seen = {alias.name: n.module for n in block.body if isinstance(n, ast.ImportFrom) for alias in n.names}
    assert seen == {name: f"fairlane.{home}" for name, home in fairlane._HOMES.items()} | {
        "trackers": "fairlane"
    }


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'fairlane' has no attribute 'compere'"):
        _ = fairlane.compere


@pytest.mark.parametrize("name", sorted(set(fairlane.__all__) - {"__version__"}))
def test_every_public_method_is_documented(name):
    value = getattr(fairlane, name)
    if inspect.isclass(value):
        for attribute, member in inspect.getmembers(value):
            if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{attribute} has no docstring"


def test_an_import_loads_nothing_heavy():
    code = """
import sys, fairlane
heavy = "keras jax numpy pandas matplotlib scipy sklearn rich typer sqlalchemy fsspec".split()
print([name for name in heavy if name in sys.modules])
"""
    assert python(code) == "[]"


# The choice of a backend

CHOSEN = "import os, fairlane; print(os.environ.get('KERAS_BACKEND'))"


def keras_home(folder, **settings):
    (folder / "keras.json").write_text(json.dumps(settings))
    return str(folder)


def test_jax_where_nobody_has_chosen(tmp_path):
    assert python(CHOSEN, KERAS_BACKEND=None, KERAS_HOME=str(tmp_path)) == "jax"


def test_kerass_own_settings_file_is_no_choice(tmp_path):
    home = keras_home(tmp_path, floatx="float32", backend="tensorflow")
    assert python(CHOSEN, KERAS_BACKEND=None, KERAS_HOME=home) == "jax"


def test_another_backend_in_the_settings_file_is_a_choice(tmp_path):
    home = keras_home(tmp_path, backend="torch")
    assert python(CHOSEN, KERAS_BACKEND=None, KERAS_HOME=home) == "None"


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_broken_settings_file_is_no_choice(tmp_path, content):
    (tmp_path / "keras.json").write_text(content)
    assert python(CHOSEN, KERAS_BACKEND=None, KERAS_HOME=str(tmp_path)) == "jax"


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_the_environments_choice_stands(tmp_path, backend):
    assert python(CHOSEN, KERAS_BACKEND=backend, KERAS_HOME=str(tmp_path)) == backend


def test_a_loaded_keras_is_left_alone(tmp_path):
    code = f"import sys, types; sys.modules['keras'] = types.ModuleType('keras'); {CHOSEN}"
    assert python(code, KERAS_BACKEND=None, KERAS_HOME=str(tmp_path)) == "None"


def test_keras_takes_the_choice(tmp_path):
    home = keras_home(tmp_path, backend="tensorflow")
    code = "import fairlane, keras; print(keras.backend.backend())"
    assert python(code, KERAS_BACKEND=None, KERAS_HOME=home) == "jax"
