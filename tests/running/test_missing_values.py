"""Missing values in the data: refused where they can only be wrong, else as in Keras, and said."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.errors import FairlaneWarning, StudyError

X = np.random.RandomState(0).normal(size=(10, 2)).astype("float32")
VALUES = np.r_[np.nan, np.linspace(0, 1, 9)].astype("float32")
CLASSES = np.array([0, 1, np.nan, 0, 0, 0, 1, 1, 1, 1])
TEXTS = np.array(["a", "b", None, *"aaabbbb"], object)


def build(scale=1.0):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def masked(y_true, y_pred):
    known = keras.ops.logical_not(keras.ops.isnan(y_true))
    return keras.ops.square(keras.ops.where(known, y_true - y_pred, 0.0))


def build_masked():
    model = build()
    model.compile("sgd", masked)
    return model


@pytest.mark.parametrize("y", [CLASSES, TEXTS, pd.Series(CLASSES, dtype="Int64"), pd.Series(TEXTS)], ids=type)
def test_folds_are_not_stratified_by_classes_that_are_missing(y):
    said = r"y has missing values \(NaN\) in 1 of 10 samples, such as sample 2.*KFold\(2\)"
    with pytest.raises(StudyError, match=said):
        fl.compare(build, [{}], X, y, cv=2, verbose=0)


@pytest.mark.parametrize("y", [CLASSES, TEXTS])
def test_what_a_splitter_does_not_take_is_explained(y):
    said = r"StratifiedKFold can't cut .* y has missing values \(NaN\) in 1 of 10 samples, such as sample 2"
    with pytest.raises(StudyError, match=said):
        fl.compare(build, [{}], X, y, cv=StratifiedKFold(2), verbose=0)


def test_each_sample_has_a_group():
    with pytest.raises(
        StudyError, match=r"groups has missing values .* sample 1, so these belong to no group"
    ):
        fl.compare(build, [{}], X, VALUES, cv=2, groups=["a", None, *"bbbbcccc"], verbose=0)


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_loss_that_is_nan_from_the_beginning_is_explained(engine):
    said = r"trial \d \(.*\) is not finite from its first epoch on, as in Keras alone: y has missing values"
    with pytest.warns(FairlaneWarning, match=said) as caught:
        study = fl.compare(build, [{}], X, VALUES, seeds=3, epochs=2, engine=engine, verbose=0)
    (own,) = (one for one in caught if issubclass(one.category, FairlaneWarning))
    assert own.filename == __file__
    assert study.trials["state"].tolist() == ["diverged"] * 3
    assert study.history["loss"].isna().all()


def test_the_call_that_made_the_values_is_named_by_its_trial():
    def logarithm(scale):
        return np.log(np.abs(X) - (0.0 if scale < 5 else 10.0)), np.zeros(10)

    with (
        np.errstate(invalid="ignore"),
        pytest.warns(FairlaneWarning, match=r"trial 1 \(scale=9.*: x has miss"),
    ):
        fl.compare(build, {"scale": [1, 9]}, data=logarithm, verbose=0)


def test_a_loss_that_leaves_missing_values_out_trains_as_in_keras():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = fl.compare(build_masked, [{}], X, VALUES, cv=2, epochs=2, verbose=0)
    alone = keras_alone(build_masked, {}, 0, X[5:], VALUES[5:], epochs=2, validation_data=(X[:5], VALUES[:5]))
    assert_logs_agree(history_of(study, 0), alone.logs)
