"""Words in messages, and whether values are the same."""

import doctest
import importlib

import numpy as np
import pytest

from fairlane.kit import text, values


@pytest.mark.parametrize("name", ["text", "values"])
def test_doctests(name):
    results = doctest.testmod(importlib.import_module(f"fairlane.kit.{name}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_the_nearest_word_depends_on_how_alike_it_must_be():
    assert text.nearest("dense_9", ["dense", "dropout"]) == "dense"
    assert text.nearest("lr", ["learning_rate"]) == ""
    assert text.nearest("lr", ["learning_rate"], likeness=0.1) == "learning_rate"
    assert text.nearest(3, ["3"]) == "3"


@pytest.mark.parametrize(
    ("a", "b", "bits", "numbers"),
    [
        (np.float32(1), np.float64(1), False, True),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), True, True),
        (np.array([0.0]), np.array([-0.0]), False, True),
        (np.zeros((2, 1)), np.zeros((1, 2)), False, False),
        (np.array(["a"]), np.array(["a"]), True, True),
        (np.array([1j, complex(np.nan)]), np.array([1j, complex(np.nan)]), True, True),
    ],
)
def test_same_bits_are_more_than_same_values(a, b, bits, numbers):
    assert values.same_bits(a, b) is bits
    assert values.same_values(a, b) is numbers


def test_trees_are_the_same_where_all_leaves_are():
    def same(a, b):
        return values.same_trees(a, b, lambda x, y: x == y)

    assert same({"a": [1, (2, 3)]}, {"a": (1, [2, 3])})
    assert not same({"a": [1]}, {"a": [1, 2]})
    assert not same({"a": 1}, {"b": 1})
    assert not same([1], {"a": 1})


def test_a_mapped_tree_has_containers_of_its_own():
    tree = {"a": [1, (2.5, None)], "b": np.float32(0.5)}
    other = values.mapped(tree, values.as_python)
    assert other == {"a": [1, (2.5, None)], "b": 0.5}
    assert type(other["b"]) is float
    assert other["a"] is not tree["a"]
