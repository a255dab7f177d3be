"""Data that a callback or a builder writes to while lanes train on a copy of them."""

import keras
import numpy as np
import pytest

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(16, 2)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def build(rate=0.1):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


class Reweighs(keras.callbacks.Callback):
    """The weights of the samples follow from the training, as in boosting."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def on_epoch_end(self, epoch, logs=None):
        self.weights[: epoch + 1] = 0


def test_weights_that_a_callback_writes_are_not_left_out_in_silence():
    weights = np.ones(16, "float32")
    with pytest.warns(fl.FairlaneWarning, match="read-only"):
        study = fl.compare(
            *(build, [{}], X, Y),
            sample_weight=weights,
            epochs=3,
            callbacks=lambda: [Reweighs(weights)],
            verbose=0,
        )
    assert study.trials["state"].tolist() == ["failed"]
    assert (
        "read-only (x, y and the other data can't be written to during training" in study.trials["error"][0]
    )
    assert weights.flags.writeable
    assert (weights == 1).all()


def test_the_reference_engine_reads_what_is_written():
    ours, alone = np.ones(16, "float32"), np.ones(16, "float32")
    given = {"epochs": 3, "shuffle": False}
    study = fl.compare(
        *(build, [{}], X, Y),
        **given,
        sample_weight=ours,
        callbacks=lambda: [Reweighs(ours)],
        engine="reference",
        verbose=0,
    )
    expected = keras_alone(build, {}, 0, X, Y, sample_weight=alone, callbacks=[Reweighs(alone)], **given)
    assert_logs_agree(history_of(study, 0), expected.logs)


def test_a_builder_does_not_write_to_all_samples():
    x = X + 5

    def scales(x_train):
        x_train -= x_train.mean(axis=0)
        return build()

    with pytest.warns(fl.FairlaneWarning, match="read-only"):
        study = fl.compare(scales, [{}], x, Y, verbose=0)
    assert "read-only (x, y and the other data" in study.trials["error"][0]
    assert (x == X + 5).all()


def test_views_and_arrays_are_left_as_they_were():
    x = X.copy()
    frozen = Y.copy()
    frozen.flags.writeable = False
    with pytest.raises(fl.TrialError, match="read-only"):
        fl.compare(
            *(build, [{}], x, frozen),
            validation_data=(x[:4], frozen[:4]),
            callbacks=lambda: [Reweighs(x)],
            on_error="raise",
            verbose=0,
        )
    assert x.flags.writeable
    assert not frozen.flags.writeable
