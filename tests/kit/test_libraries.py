"""Whose code is it: known libraries' or somebody else's?"""

from __future__ import annotations

import collections
import cProfile
import dataclasses
import functools
import sys

import jax
import keras
import numpy as np
import pytest

from fairlane.kit.libraries import is_foreign_class, is_foreign_code, is_foreign_file, watched


class Mine:
    def method(self):
        return 1


@dataclasses.dataclass
class Data:
    x: int = 1


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    "function",
    [
        keras.ops.relu,
        keras.layers.Dense.call,
        jax.numpy.ones,
        np.rot90,
        functools.wraps,
        dataclasses.dataclass,
    ],
)
def test_functions_of_known_libraries(function):
    code = getattr(function, "__wrapped__", function).__code__
    assert not is_foreign_code(code)


@pytest.mark.parametrize(
    "function", [Mine.method, lambda: 1, pytest.raises, test_functions_of_known_libraries]
)
def test_functions_of_others(function):
    assert is_foreign_code(function.__code__)


def test_classes():
    known = (keras.layers.Dense, int, dict, collections.OrderedDict, jax.Array, np.ndarray)
    assert not any(map(is_foreign_class, known))
    assert all(map(is_foreign_class, (Mine, Data, pytest.Item)))


def test_a_users_file_that_is_named_like_a_module_of_pythons_is_the_users():
    assert is_foreign_file("/home/somebody/profile.py", "profile")
    assert is_foreign_file("/home/somebody/keras/layers.py", "keras.layers")
    assert is_foreign_file("/somewhere/lib/python3/site-packages/keras_hub/layers.py", "keras_hub.layers")
    assert not is_foreign_file("<frozen importlib._bootstrap>")


def test_code_made_of_strings_belongs_to_its_module():
    made = {"__name__": "__main__"}
    exec("def f(): pass", made)
    assert is_foreign_code(made["f"].__code__, "__main__")
    assert not is_foreign_code(Pair.__new__.__code__, Pair.__new__.__globals__["__name__"])


def run_by(function):
    with watched() as witness:
        function()
    return witness.foreign


def test_who_ran():
    assert run_by(lambda: None) == "test_who_ran.<locals>.<lambda>"
    assert run_by(functools.partial(np.zeros, 3)) == ""
    keras.ops.relu(np.ones(3))  # the first call imports modules, by pytest's own hook
    assert run_by(functools.partial(keras.ops.relu, np.ones(3))) == ""
    assert run_by(functools.partial(sorted, [2, 1], key=lambda x: x)).endswith("<lambda>")


def test_a_profiler_that_was_on_is_on_afterwards():
    def profiler(frame, event, arg):
        return None

    before = sys.getprofile()
    sys.setprofile(profiler)
    try:
        with watched():
            pass
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(before)


def test_cprofile_that_was_on_is_on_afterwards():
    profile = cProfile.Profile()
    before = sys.getprofile()
    profile.enable()
    try:
        with watched() as witness:
            keras.ops.relu(np.ones(3))
        Mine().method()
    finally:
        profile.disable()
        sys.setprofile(before)
    profile.create_stats()
    assert "method" in {function for _, _, function in profile.stats}
    assert witness.foreign == ""
