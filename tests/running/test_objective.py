"""What a search looks for is checked before training, where it is known what will be logged."""

import keras
import numpy as np
import pytest

import fairlane as fl
from _alone import keras_alone
from fairlane.errors import StudyError
from fairlane.running.logged import logs_of

X = np.random.RandomState(0).normal(size=(12, 2)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def zork(y_true, y_pred):
    """A metric whose direction Keras does not know."""
    return keras.ops.abs(y_true - y_pred)


def build(learning_rate=0.1):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse", metrics=["mae", zork])
    return model


def two_outputs():
    x = keras.Input((2,))
    model = keras.Model(x, {"a": keras.layers.Dense(1, name="a")(x), "b": keras.layers.Dense(1, name="b")(x)})
    model.compile("sgd", {"a": "mse", "b": "mae"}, metrics={"a": ["mae"], "b": ["mse"]})
    return model


class OwnStep(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred, sample_weight) | {"extra": keras.ops.mean(y_pred)}


class Adds(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["added"] = 1.0


def own_step(learning_rate=0.1):
    model = OwnStep()
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


SPACE = {"learning_rate": fl.Float(0.01, 0.1)}


def search(objective, builder=build, **arguments):
    arguments = {"validation_split": 0.25, "trials": 2, "epochs": 1, "verbose": 0, **arguments}
    return fl.search(builder, SPACE, X, Y, objective=objective, **arguments)


@pytest.mark.parametrize("builder", [build, two_outputs])
@pytest.mark.parametrize("validates", [True, False])
def test_what_will_be_logged_is_what_keras_logs(builder, validates):
    y = {"a": Y, "b": Y} if builder is two_outputs else Y
    fit = {"validation_split": 0.25} if validates else {}
    callbacks = [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)]
    alone = keras_alone(builder, {}, 0, X, y, callbacks=callbacks, **fit)
    found = logs_of(builder(), (X, y), validates, callbacks)
    assert set(found) == set(alone.logs)


@pytest.mark.parametrize(
    ("objective", "options", "words"),
    [
        (
            "val_los",
            {},
            r"will not log it. Did you mean 'val_loss'. It will log loss, mae, zork, val_loss, val_m",
        ),
        ("val_accuracy", {}, r"objective='val_accuracy', and trial 0 \(.*\) will not log it"),
        ([("loss", "min"), "val_mea"], {}, "Did you mean 'val_mae'.* Nothing was trained"),
        ("val_los", {"callbacks": [keras.callbacks.EarlyStopping("val_loss")]}, "Did you mean 'val_loss'"),
        ("val_zork", {}, "it is not known whether small or large values of 'val_zork' are better"),
        ("mae_", {"validation_split": 0.0}, "Did you mean 'mae'. It will log loss, mae, zork. Nothing"),
    ],
)
def test_a_wrong_objective_is_refused_before_training(tmp_path, objective, options, words):
    with pytest.raises(StudyError, match=words):
        search(objective, store=tmp_path / "runs.db", name="a", **options)
    assert not list(tmp_path.iterdir())


def test_data_that_are_made_without_a_validation_are_known_before_training():
    with pytest.raises(StudyError, match="objective='val_loss' needs validation data"):
        fl.search(build, SPACE, data=lambda: (X, Y), trials=2, verbose=0)


def test_what_is_chosen_by_afterwards_must_be_logged():
    study = fl.compare(build, {"learning_rate": [0.1, 0.01]}, X, Y, validation_split=0.25, verbose=0)
    for choose in (study.ensemble, lambda objective: study.best_epochs(0, objective)):
        with pytest.raises(
            StudyError, match=r"no trial has logged a metric 'val_los'. Did you mean 'val_loss'"
        ):
            choose(objective="val_los")


def test_what_callbacks_or_a_step_of_ones_own_log_can_be_looked_for():
    assert len(search(("added", "min"), callbacks=[Adds()]).summary()) == 2
    assert len(search(("extra", "max"), builder=own_step).summary()) == 2
    with pytest.raises(StudyError, match=r"did not log it. Did you mean 'extra'"):
        search(("extr", "max"), builder=own_step)
