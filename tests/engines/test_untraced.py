"""Models of other sizes are built without a trace: what lanes train is what Keras alone trains."""

import keras
import numpy as np
import pytest
from keras import layers

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.engines.lanes import untraced
from fairlane.models import keras_private

RNG = np.random.default_rng(8)
X = RNG.normal(size=(40, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
FIT = {"epochs": 1, "batch_size": 30, "validation_split": 0.25}
RAGGED = {"batch_size": 25}
"""A last batch of 5, for which there is one more program."""
UNITS = [7, 9, 12, 14, 17]


def compiled(model, **given):
    given = {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["accuracy", "AUC"], **given}
    model.compile(**given)
    return model


def sequential(units):
    return compiled(
        keras.Sequential([keras.Input((6,)), layers.Dense(units, "relu"), layers.Dense(1, "sigmoid")])
    )


def functional(units):
    i = keras.Input((6,))
    hidden = layers.BatchNormalization()(layers.Dense(units, "relu", kernel_regularizer="l2")(i))
    hidden = layers.Dropout(0.25)(layers.concatenate([hidden, i]))
    return compiled(
        keras.Model(i, layers.Dense(1, "sigmoid")(hidden)), optimizer=keras.optimizers.SGD(0.1, momentum=0.5)
    )


def with_f1(units):
    """This metric makes its variables when it is called."""
    metrics = [keras.metrics.F1Score(threshold=0.5)]
    return compiled(sequential(units), metrics=metrics)


def two_outputs(units):
    i = keras.Input((6,))
    hidden = layers.Dense(units, "relu")(i)
    outputs = [layers.Dense(1, "sigmoid")(hidden), layers.Dense(1, "sigmoid")(hidden)]
    return compiled(keras.Model(i, outputs), metrics=None)


def outputs_differ(units):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(units, "softmax")])
    return compiled(model, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


class Own(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden, self.last = layers.Dense(units, "relu"), layers.Dense(1, "sigmoid")

    def build(self, shape):
        self.hidden.build(shape)
        self.last.build((None, self.hidden.units))

    def call(self, x):
        return self.last(self.hidden(x))


def subclassed(units):
    model = compiled(Own(units))
    model.build((None, 6))
    return model


@pytest.fixture
def built(monkeypatch):
    """How many models Keras has built without a trace, for lanes."""
    made = []
    build = keras_private.build_for_output
    monkeypatch.setattr(keras_private, "build_for_output", lambda *parts: made.append(parts) or build(*parts))
    return made


def trained(build, y=Y, **fit):
    return fl.compare(build, {"units": UNITS}, X, y, engine="lanes", verbose=0, **{**FIT, **fit})


def assert_alone(build, study, **fit):
    for number in (2, 4):
        trial = study.trials.loc[number]
        alone = keras_alone(build, {"units": int(trial["units"])}, int(trial["seed"]), X, Y, **{**FIT, **fit})
        assert_logs_agree(history_of(study, number), alone.logs)


@pytest.mark.parametrize(
    ("build", "fit"), [(sequential, RAGGED), (functional, {})], ids=["sequential", "functional"]
)
def test_from_the_fourth_size_on_nothing_is_traced(build, fit, built):
    assert_alone(build, trained(build, **fit), **fit)
    assert len(built) == 1 + 2  # one more for the proof


@pytest.mark.parametrize("build", [with_f1, two_outputs, outputs_differ, subclassed])
def test_other_models_are_traced(build, built):
    trained(build, [Y, Y] if build is two_outputs else Y)
    assert len(built) <= 1  # it was tried, and gave another model


def test_a_metric_that_stumbles_is_traced(monkeypatch, built):
    monkeypatch.setattr(
        untraced.keras_private, "build_for_output", lambda *parts: built.append(parts) or 1 / 0
    )
    trained(sequential)
    assert len(built) == 1
