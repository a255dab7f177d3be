"""Models of different sizes are divided into groups where padding all of them would cost more than compiling."""

import itertools

import jax
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.engines.lanes import dividing
from fairlane.engines.lanes.dividing import SECONDS_PER_ELEMENT, SECONDS_PER_OPERATION, Size, cuts, parameters
from fairlane.engines.program.effort import work
from fairlane.trials import State


def size(units, batches, known=True):
    """A model of one matrix, whose batch costs as many elements as it has numbers."""
    state = State([np.zeros((4, units), "float32")], [], [], [])
    return Size(state, batches, 4.0 * units if known else None)


def cost(groups, operations):
    """What the groups take, by the definition."""
    compiling = len(groups) * SECONDS_PER_OPERATION * operations
    padded = sum(4 * max(units for units, _ in group) * sum(b for _, b in group) for group in groups)
    return compiling + padded * SECONDS_PER_ELEMENT


@given(
    st.dictionaries(st.integers(1, 60), st.integers(1, 10**9), min_size=1, max_size=7),
    st.integers(1, 1000),
    st.randoms(use_true_random=False),
)
def test_the_groups_are_the_cheapest_of_all(batches, operations, random):
    ordered = sorted(batches.items())
    sizes = [size(*one) for one in ordered]
    random.shuffle(sizes)
    found = cuts(sizes, operations)
    bounds = [0, *(next(i for i, (u, _) in enumerate(ordered) if 4 * u > cut) for cut in found), len(ordered)]
    groups = [ordered[a:b] for a, b in itertools.pairwise(bounds)]
    places = range(1, len(ordered))
    every = [
        [ordered[a:b] for a, b in itertools.pairwise([0, *some, len(ordered)])]
        for count in range(len(ordered))
        for some in itertools.combinations(places, count)
    ]
    assert cost(groups, operations) == pytest.approx(min(cost(one, operations) for one in every), rel=1e-6)


def test_what_a_batch_costs_follows_from_those_that_were_traced():
    sizes = [size(10, 1e9), size(20, 1e9, known=False), size(40, 1e9)]
    assert cuts(sizes, 1) == [40, 80]
    assert cuts(sizes, 10**6) == []


def test_models_with_equally_many_parameters_are_not_divided():
    wide, deep = (State([np.zeros(shape, "float32")], [], [], []) for shape in ((2, 30), (30, 2)))
    assert parameters(wide) == parameters(deep)
    assert cuts([Size(wide, 1e12, 60.0), Size(deep, 1e12, 60.0)], 1) == []


def test_a_convolution_sums_over_its_kernel_and_channels():
    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    shapes = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((2, 6, 6, 5), (3, 3, 5, 7))]
    assert work(jax.make_jaxpr(convolve)(*shapes)) == 2 * 4 * 4 * 7 * (1 + 3 * 3 * 5 / 8)


def build(units, learning_rate=0.1):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(units, "tanh"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


@pytest.fixture
def data():
    x = np.random.RandomState(0).normal(size=(20, 3)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


FIT = {"epochs": 2, "batch_size": 8, "validation_split": 0.2}


@pytest.mark.parametrize("cheap", [False, True])
def test_groups_are_fleets_and_each_model_is_keras_own(monkeypatch, data, cheap):
    if cheap:  # to compile, so that models of very different sizes are not padded together
        monkeypatch.setattr(dividing, "SECONDS_PER_OPERATION", 1e-9)
        monkeypatch.setattr(dividing, "SECONDS_PER_ELEMENT", 1e-12)
    units = [11, 90, 12, 13, 85, 80]
    study = fl.compare(build, {"units": units}, *data, verbose=0, **FIT)
    trials = study.trials
    assert set(trials["engine"]) == {"lanes"}
    assert trials["fleet"].nunique() == (2 if cheap else 1)
    if cheap:
        small = trials["units"] < 50
        assert trials.loc[small, "fleet"].nunique() == trials.loc[~small, "fleet"].nunique() == 1
        assert trials["loop"].str.endswith(", 3 sizes").all()
        assert trials["reason"].str.startswith("models of its kind are divided into groups of similar").all()
    for number in (0, 1, 5):
        alone = keras_alone(build, {"units": units[number]}, 0, *data, **FIT)
        assert_logs_agree(history_of(study, number), alone.logs)


def test_a_search_is_not_divided_since_more_sizes_are_to_come(monkeypatch, data):
    monkeypatch.setattr(dividing, "SECONDS_PER_OPERATION", 0.0)
    study = fl.search(build, {"units": fl.Int(11, 90)}, *data, trials=4, sampler="random", verbose=0, **FIT)
    assert study.trials["fleet"].nunique() == 1
