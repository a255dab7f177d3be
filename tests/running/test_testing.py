"""Test data: evaluated once, after all training, as Keras alone evaluates; and what happens where that fails."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest

import fairlane as fl
from _trial import FIT, X, Y, alone, build

TEST = (X[:12], Y[:12])


def compare(variants, builder=build, test_data=TEST, **arguments):
    given = {**FIT, "epochs": 2, **arguments}
    return fl.compare(builder, variants, X, Y, verbose=0, test_data=test_data, **given)


@pytest.fixture(scope="module")
def study():
    return compare({"lr": [0.05, 0.01]}, seeds=2)


def test_the_values_are_those_of_keras_alone(study):
    trials = study.trials
    columns = list(trials.columns)
    assert columns[columns.index("val_mae") + 1 :][:2] == ["test_loss", "test_mae"]
    for _, row in trials.iterrows():
        trained = alone({"lr": row["lr"]}, row["seed"], epochs=2).model
        expected = trained.evaluate(*TEST, batch_size=FIT["batch_size"], verbose=0, return_dict=True)
        assert row["test_loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert row["test_mae"] == pytest.approx(expected["mae"], rel=1e-4)


def test_they_are_in_the_trials_and_not_in_the_history(study):
    assert not [name for name in study.history.columns if "test" in name]
    assert "test" not in repr(study)


def test_the_summary_reports_them_and_selects_by_validation(study):
    frame = study.summary("test_loss")
    assert set(frame["selected_by"]) == {"val_loss"}
    assert frame["selected"].is_monotonic_increasing
    means = study.trials.groupby("lr")[["test_loss", "val_loss"]].mean().loc[frame["lr"]]
    np.testing.assert_allclose(frame[["mean", "selected"]], means)
    pd.testing.assert_frame_equal(frame, study.summary(select="val_loss", report="test_loss"))
    assert study.plot("final", metric="test_loss").axes[0].get_xlabel() == "test_loss (test data)"
    with pytest.raises(fl.StudyError, match="it no longer tests the choice"):
        study.best("test_loss")


def test_with_sample_weights_and_with_a_dataset():
    weights = np.linspace(0, 1, 12)
    study = compare([{}], test_data=(*TEST, weights), epochs=1)
    model = study.model(0)
    expected = model.evaluate(*TEST, sample_weight=weights, batch_size=8, verbose=0, return_dict=True)
    assert study.trials.loc[0, "test_loss"] == pytest.approx(expected["loss"], rel=1e-5)

    class Halves(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return X[6 * i : 6 * i + 6], Y[6 * i : 6 * i + 6]

    study = compare([{}], test_data=Halves(), epochs=1)
    expected = study.model(0).evaluate(*TEST, batch_size=6, verbose=0, return_dict=True)
    assert study.trials.loc[0, "test_loss"] == pytest.approx(expected["loss"], rel=1e-5)


class Fragile(keras.layers.Layer):
    """Raises where it evaluates 12 samples at once, which no batch of the training has."""

    def call(self, x):
        if x.shape[0] == 12:
            raise ValueError("no dozens")
        return x


def fragile(bad):
    layers = [Fragile()] if bad else []
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1), *layers])
    model.compile("sgd", "mse")
    return model


def test_what_fails_to_evaluate_is_that_trials_note_alone():
    study = compare({"bad": [False, True]}, fragile, epochs=1, batch_size=16, validation_split=0.0)
    assert study.trials["state"].tolist() == ["done", "done"]
    assert study.trials["test_loss"].isna().tolist() == [False, True]
    none, error = study.trials["error"]
    assert error.startswith("the test data could not be evaluated: ValueError")
    assert "no dozens" in error
    assert none == ""
    assert isinstance(study.model(1), keras.Model)
    assert study.summary("test_loss")[["seeds", "failed"]].to_numpy().tolist() == [[1, 0], [0, 1]]


def test_on_error_raise_raises_it():
    with pytest.raises(fl.TrialError, match=r"trial 1 .*: the test data could not be evaluated: .*no dozens"):
        compare(
            {"bad": [False, True]}, fragile, epochs=1, batch_size=16, validation_split=0.0, on_error="raise"
        )


def test_only_finished_trials_are_evaluated_and_none_twice(monkeypatch):
    seen = []
    evaluate = keras.Model.evaluate

    def counted(self, x=None, *arguments, **options):
        if options.get("return_dict") and x is TEST[0]:
            seen.append(self.name)
        return evaluate(self, x, *arguments, **options)

    monkeypatch.setattr(keras.Model, "evaluate", counted)

    def builder(lr):
        if lr == 0:
            raise ValueError("no rate")
        return build(lr)

    study = compare({"lr": [0.05, 0, 1e30]}, builder)
    assert study.trials["state"].tolist() == ["done", "failed", "diverged"]
    assert study.trials["test_loss"].isna().tolist() == [False, True, True]
    assert len(seen) == 1
    study.summary("test_loss")
    assert len(seen) == 1


def test_the_session_is_left_as_found():
    keras.utils.set_random_seed(5)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    name = keras.layers.Dense(1).name
    compare([{}], epochs=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    number = int(keras.layers.Dense(1).name.rpartition("_")[2])
    assert number == (int(name.rpartition("_")[2]) if "_" in name else 0) + 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ((X, Y, None, None), "not a tuple of length 4"),
        ((X[:5], Y[:6]), "same"),
        (
            ((x, y) for x, y in [TEST]),
            "test_data is a generator, which can be read once, and there are 2 trials",
        ),
    ],
)
def test_wrong_test_data_are_refused_before_any_training(wrong, words):
    built = []

    def builder(lr):
        built.append(lr)
        return build(lr)

    with pytest.raises(ValueError, match=words):
        compare({"lr": [0.05, 0.01]}, builder, test_data=wrong)
    assert not built


def test_ctrl_c_while_evaluating_keeps_the_rest(monkeypatch):
    def stop(self, *arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "evaluate", stop)
    with pytest.warns(fl.FairlaneWarning, match="interrupted while evaluating on test_data"):
        study = compare([{}], epochs=1, validation_split=0.0)
    assert study.trials["state"].tolist() == ["done"]
    assert "test_loss" not in study.trials
