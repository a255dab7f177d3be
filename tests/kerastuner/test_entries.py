"""The same requests of KerasTuner's `HyperParameters` and of ours: the same space, values and conditions."""

import keras_tuner
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane import kerastuner as kt
from fairlane.errors import StudyError
from fairlane.kerastuner.discovery import discovered
from fairlane.kerastuner.hypermodel import hypermodel_of
from fairlane.kerastuner.translation import Translation
from fairlane.searching.space import Space


def requests(hp):
    hp.Int("int", 3, 20)
    hp.Int("int_step", 6, 13, step=3)
    hp.Int("int_log", 2, 300, sampling="log")
    hp.Int("int_log_step", 2, 32, step=2, sampling="log")
    hp.Int("int_reverse", 2, 300, sampling="reverse_log", default=7)
    hp.Float("float", 0.1, 0.9)
    hp.Float("float_step", 0.1, 0.9, step=0.1)
    hp.Float("float_log", 1e-4, 1e-1, sampling="log")
    hp.Float("float_log_step", 0.001, 10, step=10, sampling="log")
    hp.Float("float_reverse", 1.0, 100.0, sampling="reverse_log")
    hp.Choice("number", [16, 32, 64], default=32)
    hp.Choice("text", ["a", "b", "c"])
    hp.Boolean("boolean")
    hp.Fixed("fixed", 0.5)
    with hp.name_scope("scope"):
        hp.Boolean("inner", default=True)
    with hp.conditional_scope("text", ["b", "c"]):
        hp.Int("units", 1, 3)
        kind = hp.Choice("kind", ["x", "y"])
        with hp.conditional_scope("kind", ["y"]):
            hp.Float("rate", 0.0, 0.5)
    with hp.conditional_scope("text", ["a"]):
        hp.Int("units", 10, 30)
    return kind


@pytest.fixture(scope="module")
def both():
    ours, theirs = kt.HyperParameters(), keras_tuner.HyperParameters()
    requests(ours)
    requests(theirs)
    return ours, theirs


def test_the_space_and_the_defaults_are_the_same(both):
    ours, theirs = both
    assert [e.name for e in ours.space] == [e.name for e in theirs.space]
    assert [e.default for e in ours.space] == [e.default for e in theirs.space]
    assert ours.values == theirs.values
    for own, other in zip(ours.space, theirs.space, strict=True):
        assert own.get_config() == other.get_config()


def test_the_active_scopes_are_the_same(both):
    for name in ("active_scopes", "inactive_scopes"):
        ours, theirs = (
            [[(c.name, list(c.values)) for c in scope] for scope in getattr(hp, name)] for hp in both
        )
        assert ours == theirs


@given(prob=st.floats(0, 1 - 1e-9))  # nearer to 1, rounding leads KerasTuner out of the range
def test_a_draw_gives_the_same_value(both, prob):
    for own, other in zip(both[0].space, both[1].space, strict=True):
        assert own.prob_to_value(prob) == other.prob_to_value(prob), own.name


def test_a_seed_gives_the_same_sample(both):
    for own, other in zip(both[0].space, both[1].space, strict=True):
        assert [own.random_sample(i) for i in range(20)] == [other.random_sample(i) for i in range(20)]


@given(data=st.data())
@settings(deadline=None)
def test_every_configuration_is_valid_there(both, data):
    ours, theirs = both
    translation = Translation(ours)
    space = Space(translation.space())
    point = [data.draw(st.floats(0, 1, exclude_max=True)) for _ in space.domains]
    values = translation.hyperparameters(space.at(point)).values
    there = theirs.copy()
    there.values = dict(values)
    assert set(values) == {entry.name for entry in there.space if there.is_active(entry)}
    for entry in there.space:
        if there.is_active(entry):
            value = values[entry.name]
            assert 0 <= entry.value_to_prob(value) <= 1 + 1e-12
            if entry.name == "units":
                assert value in entry.values
            if hasattr(entry, "min_value"):
                assert entry.min_value <= value <= entry.max_value + 1e-9


def test_names_that_are_taken_get_longer_ones(both):
    assert "units (text=a)" in Translation(both[0]).space()


def test_discovery_goes_through_every_scope_and_loop():
    def build(hp):
        for i in range(hp.Int("layers", 1, 3)):
            hp.Int(f"units_{i}", 8, 64)
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            if kind == "b":
                hp.Boolean("deep")

    found = discovered(hypermodel_of(build), None, True, True)
    assert [e.name for e in found.space] == ["layers", "units_0", "kind", "deep", "units_1", "units_2"]
    assert found.values == {"layers": 1, "units_0": 8, "kind": "a", "units_1": 8, "units_2": 8}


@pytest.mark.parametrize(
    ("request_it", "words"),
    [
        (lambda hp: hp.Int("a", 5, 1), "hp.Int.'a'. has no value: min_value=5 is larger than max_value=1"),
        (lambda hp: hp.Int("a", 1, 2.5), "max_value must be a whole number, not 2.5"),
        (lambda hp: hp.Float("a", 0, 1, sampling="log"), "needs a min_value larger than 0"),
        (lambda hp: hp.Float("a", 0, 1, sampling="lag"), "must be one of 'linear', 'log', 'reverse_log'"),
        (lambda hp: hp.Choice("a", []), "needs a list of values"),
        (lambda hp: hp.Choice("a", [1, "b"]), "all values must be of one type"),
        (lambda hp: hp.get("a"), "there is no hyperparameter 'a'"),
    ],
)
def test_what_is_not_possible_is_refused_with_the_name(request_it, words):
    with pytest.raises(StudyError, match=words):
        request_it(kt.HyperParameters())


def test_scopes_of_a_boolean_and_names_of_columns():
    hp = kt.HyperParameters()
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [1]):
        hp.Int("seed", 1, 3)
    space = Space(Translation(hp).space())
    assert str(space).splitlines()[1].endswith("Int(1, 3), where deep is True")
    assert space.at([0.9, 0.0]) == {"deep": True, "seed (deep=1)": 1}
    assert Translation(hp).hyperparameters({"deep": True, "seed (deep=1)": 1}).values == {
        "deep": True,
        "seed": 1,
    }
