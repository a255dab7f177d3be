"""Spaces: what they give, and what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairlane as fl
from fairlane.searching.samplers import GridSampler, RandomSampler, SobolSampler, unseen

units = st.floats(0, 1, exclude_max=True)


@given(units, st.integers(-50, 50), st.integers(0, 90), st.sampled_from([None, 1, 3]))
def test_an_int_is_in_its_range_and_found_again(unit, low, width, step):
    domain = fl.Int(low, low + width, step=step)
    value = domain.value(unit)
    assert domain.contains(value)
    assert domain.value(domain.unit(value)) == value
    assert len(domain.values()) == domain.size == len(range(low, low + width + 1, step or 1))


@given(units, st.floats(1e-6, 1e3), st.floats(1, 1e4), st.booleans())
def test_a_float_is_in_its_range_and_found_again(unit, low, factor, log):
    domain = fl.Float(low, low * factor, log=log)
    value = domain.value(unit)
    assert domain.contains(value)
    assert math.isclose(domain.value(domain.unit(value)), value, rel_tol=1e-9)


def test_every_number_of_a_logarithmic_range_can_be_drawn():
    domain = fl.Int(1, 9, log=True)
    drawn = [domain.value(unit) for unit in np.linspace(0, 1, 2000, endpoint=False)]
    assert sorted(set(drawn)) == list(range(1, 10))
    assert drawn.count(1) > drawn.count(9)


def test_a_condition_decides_what_a_variant_has():
    space = fl.Space({"optimizer": ["sgd", "adam"], "momentum": fl.When({"optimizer": "sgd"}, [0.0, 0.9])})
    assert list(space.grid()) == [
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam"},
    ]
    assert space.size == 3
    assert str(space).splitlines()[1] == "momentum   Choice([0.0, 0.9], ordered=True), where optimizer is sgd"


def test_a_fixed_value_may_have_a_condition():
    space = fl.Space({"nesterov": fl.When({"optimizer": "sgd"}, True), "optimizer": ["sgd", "adam"]})
    assert list(space.grid()) == [{"nesterov": True, "optimizer": "sgd"}, {"optimizer": "adam"}]


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"rate": fl.Float(1, 0)}, "the space of 'rate' is not possible: Float(1, 0) has no value"),
        ({"rate": fl.Float(0, 1, log=True)}, "low must be larger than 0"),
        ({"units": fl.Int(1, 2.5)}, "'units'.*2.5, which is not a whole number"),
        ({"units": []}, "'units'.*its list of values is empty"),
        ({"units": [8, 8]}, "has the value 8 twice"),
        ({"units": fl.Int(1, 9, step=0)}, "a step must be larger than 0"),
        ({"a": fl.When({"b": 1}, [1, 2])}, "'a' depends on 'b', which is not in the space"),
        ({"a": fl.When({"b": 3}, [1, 2]), "b": [1, 2]}, "the space of 'b' has no such value"),
        ({"a": fl.When({"b": 1}, [1]), "b": fl.When({"a": 1}, [1])}, "depend on each other in a circle"),
        ([1, 2], "a space must be a dict"),
    ],
)
def test_an_impossible_space_is_refused_with_the_name(space, words):
    with pytest.raises(fl.StudyError, match=words.replace("(1, 0)", r"\(1, 0\)")):
        fl.Space(space)


SPACE = fl.Space({"rate": fl.Float(1e-4, 1e-1, log=True), "units": fl.Int(8, 64), "act": ["relu", "gelu"]})


@pytest.mark.parametrize("kind", [RandomSampler, SobolSampler])
def test_a_sampler_proposes_the_same_again(kind):
    first, second = kind(3, 32), kind(3, 32)
    proposals = [first.propose(SPACE, i, []) for i in range(8)]
    assert proposals == [second.propose(SPACE, i, []) for i in range(8)]
    assert proposals != [kind(4, 32).propose(SPACE, i, []) for i in range(8)]
    assert len({p["rate"] for p in proposals}) == 8
    assert len({p["units"] for p in proposals}) > 4


@pytest.mark.parametrize("kind", [RandomSampler, SobolSampler])
def test_four_in_a_row_share_a_structure_where_there_are_many(kind):
    """Sizes don't count: models of different sizes mostly share a program."""
    space = fl.Space(
        {"rate": fl.Float(0.1, 0.5), "units": fl.Int(8, 64), "act": [f"f{i}" for i in range(20)]}
    )
    proposals = [kind(3, 32).propose(space, i, []) for i in range(8)]
    assert len({p["act"] for p in proposals}) == 2
    assert len({p["rate"] for p in proposals}) == 8
    assert len({p["units"] for p in proposals}) > 4
    assert len({kind(3, 31).propose(space, i, [])["act"] for i in range(8)}) > 4  # a short search


def test_no_variant_is_proposed_twice_until_the_space_is_exhausted():
    space = fl.Space({"units": [1, 2, 3], "act": ["relu", "gelu"]})
    taken, asked, found = set(), 0, []
    while True:
        variant, asked = unseen(RandomSampler(0, 6), space, asked, [], taken)
        if variant is None:
            break
        taken.add(space.key(variant))
        found.append(variant)
    assert len(found) == len(taken) == 6


def test_a_grid_needs_an_end():
    with pytest.raises(fl.StudyError, match="a grid needs a list of values for 'rate'"):
        GridSampler().check(SPACE, 1)
