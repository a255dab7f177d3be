"""Models that differ in numbers alone are not built by Keras again: what lanes train is what Keras alone trains."""

import random

import keras
import numpy as np
import pytest
from keras import layers

import fairlane as fl
from fairlane.engines.lanes.prebuilt import Known, Prebuilt
from fairlane.engines.program.expressions import CannotLift
from fairlane.engines.program.lift import Lift
from fairlane.engines.program.structure import structure

RNG = np.random.default_rng(8)
X = RNG.normal(size=(50, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")
FIT = {"epochs": 2, "batch_size": 25}
RATES = [0.1, 0.3, 0.2, 0.45]


def compiled(inner, optimizer=None, loss="binary_crossentropy", metrics=("accuracy",)):
    model = keras.Sequential([keras.Input((6,)), *inner, layers.Dense(1, "sigmoid")])
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, metrics=list(metrics))
    return model


def plain(optimizer=None, dropout=0.3, **compile_arguments):
    inner = [layers.Dense(5, "relu"), layers.Dropout(dropout)]
    return compiled(inner, optimizer, **compile_arguments)


def learning_rate(rate):
    return plain(keras.optimizers.RMSprop(rate))


def dropout(rate):
    return plain(dropout=rate)


def both(rate):
    return plain(keras.optimizers.RMSprop(rate / 10), rate)


def averaged(rate):
    return plain(keras.optimizers.Adam(rate / 10, use_ema=True, ema_momentum=rate, ema_overwrite_frequency=2))


def penalty(rate):
    regularizer = keras.regularizers.L1L2(rate / 10, rate / 20)
    return compiled([layers.Dense(5, kernel_regularizer=regularizer)])


def momentum(rate):
    return plain(keras.optimizers.SGD(0.1, momentum=rate))


def scheduled(rate):
    return plain(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(rate, 4, 0.5)))


def scaled(rate):
    model = plain()
    model.layers[0].kernel.assign(model.layers[0].kernel * rate)
    return model


def in_half_precision(rate):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, "relu", dtype="mixed_float16"),
            layers.Dropout(rate, dtype="mixed_float16"),
            layers.Dense(1, "sigmoid", dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    return model


KNOWN = [
    *(learning_rate, dropout, both, averaged, penalty, momentum, scheduled, scaled, in_half_precision),
]


def accumulators(rate):
    return plain(keras.optimizers.Adagrad(0.1, initial_accumulator_value=rate))


def of_a_metric(rate):
    return plain(metrics=[keras.metrics.BinaryAccuracy(threshold=rate)])


def smoothed(rate):
    return plain(loss=keras.losses.BinaryCrossentropy(label_smoothing=rate))


def own_loss(rate):
    return plain(loss=lambda y, p: keras.ops.mean(rate * (y - p) ** 2))


def unbuilt(rate):
    model = keras.Sequential([layers.Dense(5, "relu"), layers.Dropout(rate), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def never_alike(rate):
    return compiled([layers.Dense(5), layers.Rescaling(1, offset=np.full(5, rate))])


NOT_KNOWN = [accumulators, of_a_metric, smoothed, own_loss, unbuilt, never_alike]


def compare(build, rates=RATES, **changes):
    arguments = {**FIT, "seeds": 1, "verbose": 0, "engine": "lanes", **changes}
    return fl.compare(build, {"rate": list(rates)}, X, Y, **arguments)


def assert_alone(build, study, *numbers):
    """Trials of a study have the history and weights that Keras alone gives."""
    of_each = study.trials.set_index("trial")
    for number in numbers:
        rate, seed = float(of_each["rate"][number]), int(of_each["seed"][number])
        keras.utils.set_random_seed(seed)
        model = build(rate)
        alone = model.fit(X, Y, verbose=0, **FIT).history
        found = study.history[study.history["trial"] == number]
        loose = build is in_half_precision
        for name, values in alone.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-2 if loose else 2e-5, atol=1e-6)
        if not loose:
            for a, b in zip(study.model(number).get_weights(), model.get_weights(), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.fixture
def known(monkeypatch):
    """Of which models of a run it was known what Keras would build."""
    found = []
    find = Prebuilt.find

    def spy(self, job, data, unbuilt):
        one = find(self, job, data, unbuilt)
        found.append(one is not None)
        return one

    monkeypatch.setattr(Prebuilt, "find", spy)
    return found


@pytest.mark.parametrize("build", KNOWN)
def test_keras_builds_two_models_of_a_structure(build, known):
    assert_alone(build, compare(build), 2)
    assert known == [False, False, True, True]  # the first is looked at, the second compared


@pytest.mark.parametrize("build", NOT_KNOWN)
def test_other_models_are_built(build, known):
    assert_alone(build, compare(build), 3)
    assert not any(known)


def test_a_number_that_keras_decides_by_has_to_decide_alike(known):
    """SGD makes moments only where ``momentum != 0``, though both models look alike when they are unbuilt."""
    assert_alone(momentum, compare(momentum, [0.9, 0.5, 0.0, 0.7]), 2, 3)
    assert known == [False, False, False, True]


def test_numbers_that_are_new_are_proven_together_with_those_before(known):
    def build(rate):
        return plain(keras.optimizers.Adam(0.01, beta_1=0.5 + max(rate, 0.25)), min(rate, 0.25))

    assert_alone(build, compare(build, [0.2, 0.1, 0.15, 0.3, 0.4, 0.22]), 5)
    assert known == [False, False, True, False, True, True]


def test_a_builder_that_branches_gives_other_structures(known):
    def build(rate):
        return compiled([layers.Dense(5, "relu" if rate > 0.25 else "tanh"), layers.Dropout(rate)])

    assert_alone(build, compare(build, [0.1, 0.3, 0.2, 0.4, 0.15, 0.35]), 4, 5)
    assert known == [False, False, False, False, True, True]


def test_of_many_sizes_one_is_proven_when_it_has_come_often(known):
    def build(rate):
        return compiled([layers.Dense(round(rate * 100), "relu"), layers.Dropout(rate)])

    assert_alone(build, compare(build, [0.05, 0.06, 0.07, 0.08, 0.09, 0.051, 0.049, 0.052]), 5, 7)
    assert known == [False] * 7 + [True]  # a proof builds one more model, and most sizes come once


def test_names_of_metrics_depend_on_what_a_builder_has_made_and_dropped(known):
    def build(rate):
        if rate > 0.25:
            keras.metrics.AUC()
        return plain(dropout=rate, metrics=["AUC"])

    study = compare(build, [0.1, 0.2, 0.15, 0.3])
    assert_alone(build, study, 2, 3)
    assert known == [False, False, True, False]


def test_further_seeds_of_such_a_variant_are_not_built(known):
    """Of each variant, two builders are called; Keras builds what is left of three models."""
    assert_alone(both, compare(both, seeds=3), 8, 11)
    assert len(known) == 2 * len(RATES)
    assert known.count(False) == 3


def test_a_builder_whose_models_differ_by_seed_is_compared(known):
    def build(rate):
        return compiled([layers.Dense(5, random.choice(["relu", "tanh"])), layers.Dropout(rate)])

    assert_alone(build, compare(build, RATES[:3], seeds=2), 2, 3, 4, 5)


def test_a_slot_that_begins_with_weights_is_noticed(monkeypatch, known):
    """It is the same in two variants of one seed, so a model of another seed has to show it."""

    def build(self, variables):
        built(self, variables)
        for moment, variable in zip(self._velocities, variables, strict=True):
            moment.assign(variable)

    built = keras.optimizers.RMSprop.build
    monkeypatch.setattr(keras.optimizers.RMSprop, "build", build)
    compare(learning_rate)
    assert not any(known)


def test_with_callbacks_each_model_is_built(known):
    compare(dropout, callbacks=lambda trial: [keras.callbacks.EarlyStopping("loss")])
    assert not any(known)


def test_what_is_not_proven_is_not_taken():
    first = structure(dropout(0.1))
    one = Known(None, first, [], [], {})
    assert not one.takes(None)


def read_as(use):
    model = dropout(0.25)
    first = structure(model)
    lift = Lift.of([first.numbers, structure(dropout(0.5)).numbers])
    with lift.watched([first.numbers], first):
        use(model.layers[1].rate)
    return lift


@pytest.mark.parametrize(
    "use",
    [float, int, str, "{:.2f}".format, lambda rate: rate * np.ones(3)],
    ids=["float", "int", "str", "format", "array"],
)
def test_a_number_that_is_read_is_refused(use):
    with pytest.raises(CannotLift, match="rate"):
        read_as(use)


def test_a_comparison_is_remembered():
    def use(rate):
        assert isinstance(rate, float)
        assert not isinstance(rate, int)
        assert 0.75 - rate > 0.25
        assert rate != 0

    lift = read_as(use)
    numbers = structure(dropout(0.4)).numbers
    path = lift.paths[0]
    assert [lift.agrees([{**numbers, path: rate}]) for rate in (0.4, 0.6, 0.0)] == [True, False, False]


def test_a_model_has_its_structures_numbers_for_a_while():
    model = dropout(0.25)
    first = structure(model)
    path = next(path for path in first.numbers if path[-1] == "rate")
    other = first.with_numbers({path: 0.5})
    assert (first.numbers[path], other.numbers[path]) == (0.25, 0.5)
    assert list(other.numbers) == list(first.numbers)
    with other.its_own_numbers():
        assert model.layers[1].rate == 0.5
    assert model.layers[1].rate == 0.25
