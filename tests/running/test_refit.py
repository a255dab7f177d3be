"""A chosen variant trained again on all data, as Keras alone trains it."""

import keras
import numpy as np
import pytest

import fairlane as fl
from _trial import X, Y, alone, build, check


@pytest.fixture(scope="module")
def study() -> fl.Study:
    given = {"epochs": 4, "batch_size": 8, "validation_split": 0.25, "verbose": 0}
    return fl.compare(build, {"lr": [0.05, 0.01], "units": [4]}, X, Y, seeds=3, **given)


def test_the_epochs_are_the_median_of_the_best(study):
    curves = study.history.query("lr == 0.05").groupby("seed")["val_loss"]
    best = [int(np.argmin(values)) + 1 for _, values in curves]
    assert study.best_epochs({"lr": 0.05}) == int(np.median(best))
    worst = [
        int(np.argmax(values)) + 1
        for _, values in study.history.query("lr == 0.05").groupby("seed")["val_mae"]
    ]
    assert study.best_epochs(0, "val_mae", mode="max") == int(np.median(worst))


def test_half_an_epoch_is_rounded_up():
    peaks = {0: 1, 1: 2}  # the best epoch of each seed

    class Peak(keras.callbacks.Callback):
        def __init__(self, trial):
            super().__init__()
            self.best = peaks[trial.seed]

        def on_epoch_end(self, epoch, logs=None):
            logs["val_score"] = -abs(epoch + 1 - self.best)

    found = fl.compare(
        build, [{}], X, Y, seeds=2, epochs=3, validation_split=0.25, callbacks=lambda t: [Peak(t)], verbose=0
    )
    assert found.best_epochs(0, "val_score", mode="max") == 2


def test_a_variant_is_trained_on_all_data_as_keras_alone_does(study):
    again = study.refit({"lr": 0.01}, X, Y, seeds=2, epochs=2, verbose=0)
    expected = [
        alone({"lr": 0.01, "units": 4}, seed, epochs=2, batch_size=8, validation_split=0.0)
        for seed in range(2)
    ]
    check(again, expected)
    assert "val_loss" not in again.history
    by_best = study.refit(study.best_variant(), X, Y, verbose=0)
    assert by_best.trials["epochs"].item() == study.best_epochs(study.best_variant())


def test_arguments_of_fit_that_vary_are_the_variants():
    varied = fl.compare(build, [{"batch_size": 16, "epochs": 2, "validation_split": 0.25}], X, Y, verbose=0)
    again = varied.refit(0, X, Y, epochs=1, verbose=0)
    check(again, [alone(epochs=1, batch_size=16, validation_split=0.0)])


def test_what_can_not_be_trained_again_is_refused(study, tmp_path):
    with pytest.raises(fl.StudyError, match="variant must be one of the study's"):
        study.refit(None, X, Y)
    with pytest.raises(
        fl.StudyError, match="epochs must be a whole number, 1 or more, or 'best', not 'most'"
    ):
        study.refit(0, X, Y, epochs="most")
    with pytest.raises(fl.StudyError, match="needs a metric of the validation, and 'loss' is none"):
        study.best_epochs(0, "loss")
    weighted = fl.compare(
        build, [{}], X, Y, sample_weight=np.ones(42), store=tmp_path / "runs.db", name="a", verbose=0
    )
    with pytest.raises(fl.StudyError, match="the study was trained with sample_weight"):
        weighted.refit(0, X, Y, epochs=1)
    assert weighted.refit(0, X, Y, epochs=1, sample_weight=None, verbose=0).trials["state"].tolist() == [
        "done"
    ]
    with pytest.raises(fl.StudyError, match=r"opened from a store has no builder; train with fl\.compare"):
        fl.open(tmp_path / "runs.db", "a").refit(0, X, Y, epochs=1)
