"""``cv=``: which samples a fold trains on and validates on, and what is refused."""

import warnings

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold, TimeSeriesSplit

import fairlane as fl
from fairlane.errors import StudyError
from fairlane.running.folds import Folds, folds_of

X = np.zeros((12, 2), "float32")


def pairs(cv, y=None, groups=None, x=X):
    return [(f.training.tolist(), f.validation.tolist()) for f in folds_of(cv, groups, {"x": x, "y": y})]


def as_lists(split):
    return [(training.tolist(), validation.tolist()) for training, validation in split]


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(2, n))), st.randoms())
def test_a_number_cuts_as_scikit_learn_does(sizes, random):
    samples, folds = sizes
    x = np.zeros((samples, 1))
    real = np.linspace(0, 1, samples) + 0.5
    assert pairs(folds, real, x=x) == as_lists(KFold(folds).split(x))
    y = np.array([random.randint(0, 2) for _ in range(samples)])
    enough = np.unique(y, return_counts=True)[1].min() >= folds
    expected = StratifiedKFold(folds).split(x, y) if enough else KFold(folds).split(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fl.FairlaneWarning)
        assert pairs(folds, y, x=x) == as_lists(expected)


def test_a_class_with_fewer_samples_than_folds_is_said():
    y = np.repeat([0, 1, 2], [20, 18, 2])
    x = np.zeros((40, 1))
    with pytest.warns(fl.FairlaneWarning, match=r"not stratified: there are 2 samples of class 2, and cv=5"):
        assert pairs(5, y, x=x) == as_lists(KFold(5).split(x))
    pairs(5, np.arange(40), x=x)  # counts, or ages


@pytest.mark.parametrize(
    "y", [np.tile([0, 1], 6), np.tile([0.0, 1.0], 6)[:, None], np.eye(2)[np.tile([0, 1], 6)]]
)
def test_classes_in_each_form_are_stratified(y):
    assert pairs(3, y) == as_lists(StratifiedKFold(3).split(X, np.tile([0, 1], 6)))


def test_groups_are_not_divided():
    groups = np.repeat([3, 1, 2, 0], 3)
    assert pairs(4, None, groups) == as_lists(GroupKFold(4).split(X, None, groups))
    with pytest.raises(
        StudyError, match="cv=5: there must be at least 2 folds, and at most as many as groups"
    ):
        folds_of(5, groups, {"x": X, "y": None})


def test_splitters_and_pairs_are_taken_and_left_as_they_were():
    random = np.random.RandomState(3)
    splitter = ShuffleSplit(2, random_state=random)
    state, session = random.get_state()[1].copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    expected = as_lists(ShuffleSplit(2, random_state=np.random.RandomState(3)).split(X))
    assert pairs(splitter) == expected
    assert (random.get_state()[1] == state).all()
    assert (np.random.get_state()[1] == session).all()  # noqa: NPY002
    assert pairs([(np.arange(12) < 8, [8, 9])]) == [([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])]


def test_folds_of_a_time_series():
    assert pairs(Folds.expanding(3, gap=1)) == as_lists(TimeSeriesSplit(3, gap=1).split(X))
    sliding = pairs(fl.Folds.sliding(3, training=3, validation=2))
    assert sliding == [([3, 4, 5], [6, 7]), ([5, 6, 7], [8, 9]), ([7, 8, 9], [10, 11])]


@pytest.mark.parametrize(
    ("cv", "said"),
    [
        (1, "cv=1: there must be at least 2 folds, and at most as many as samples, 12"),
        (13, "cv=13: there must be at least 2 folds"),
        ("five", "cv must be a number of folds, such as 5"),
        ([], "cv has no folds"),
        ([[0, 1, 2]], "fold 0 of cv must be a pair of index arrays"),
        ([([0, 1], [1, 2])], "fold 0 of cv trains on samples that it validates on, such as sample 1"),
        ([([0, 1], [12])], "fold 0 of cv: there is no validation sample 12, only 0 to 11"),
        ([([0, -1], [2])], "there is no training sample -1"),
        ([([0, 1], [])], "the validation samples must be a list of sample numbers.*; there is none"),
        ([([0, 1], [2.0])], "these are 1 values of dtype float64"),
        ([([0, 1], np.ones(5, bool))], "a mask of 12 booleans.*; these are 5 booleans"),
        ([([0, 1], [[2], [3]])], "this array has 2 axes"),
        (KFold, r"cv is the class KFold; give a splitter, such as KFold\(5\)"),
        ([([0, 1], [2, 2])], "fold 0 of cv has a validation sample twice"),
        (KFold(13), "KFold can't cut these samples into folds: Cannot have number of splits n_splits=13"),
    ],
)
def test_what_is_no_fold_is_refused(cv, said):
    with pytest.raises(StudyError, match=said):
        folds_of(cv, None, {"x": X, "y": None})


def build(units=2):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"validation_split": 0.2}, "cv and validation_split are both given"),
        ({"validation_data": (X, X[:, 0])}, "cv and validation_data are both given"),
        ({"groups": [0, 1]}, "groups has 2 values for 12 samples"),
        ({"sample_weight": np.ones(3)}, "x and sample_weight have different numbers of samples, 12 and 3"),
    ],
)
def test_arguments_that_do_not_go_with_folds_are_refused(arguments, said):
    with pytest.raises(StudyError, match=said):
        fl.compare(build, [{}], X, X[:, 0], cv=3, verbose=0, **arguments)


def test_data_that_are_no_arrays_are_refused():
    with pytest.raises(StudyError, match="cv cuts arrays into folds, and x is"):
        fl.compare(build, [{}], ((X, X[:, 0]) for _ in range(3)), cv=3, verbose=0)
    with pytest.raises(StudyError, match="groups need cv"):
        fl.compare(build, [{}], X, X[:, 0], groups=np.zeros(12), verbose=0)
    with pytest.raises(StudyError, match=r"can't have the name 'fold': the results have a column"):
        fl.compare(lambda fold: build(), {"fold": [0, 1]}, X, X[:, 0], cv=3, verbose=0)


def test_without_cv_fold_is_a_name_like_any_other():
    study = fl.compare(lambda fold: build(), {"fold": [0, 1]}, X, X[:, 0], seeds=2, epochs=2, verbose=0)
    assert study.history.columns[:4].tolist() == ["trial", "fold", "seed", "epoch"]
    assert study.summary("loss")["fold"].tolist() in ([0, 1], [1, 0])
    assert study.evaluate(X, X[:, 0])["fold"].tolist() == [0, 0, 1, 1]
    study.plot("curves")
    with pytest.raises(StudyError, match="the study has no folds"):
        study.oof()


def test_a_search_means_over_its_folds_and_confirms_on_all(tmp_path):
    space = {"units": fl.Int(1, 4)}
    study = fl.search(
        *(build, space, X, X[:, 0]), trials=3, cv=3, epochs=4, stop="halving", confirm=(1, 2), verbose=0
    )
    trials = study.trials
    assert trials.groupby(["units", "seed"])["fold"].apply(list).map(lambda f: f == [0, 1, 2]).all()
    assert study.summary()[["seeds", "folds"]].values.tolist() == [[2, 3]]


def normalized(data):
    layer = keras.layers.Normalization()
    layer.adapt(data)
    model = keras.Sequential([keras.Input((2,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_a_layer_that_is_adapted_to_all_samples_is_warned_of():
    kinds = (keras.layers.Normalization, keras.layers.TextVectorization, keras.layers.StringLookup)
    before = [kind.adapt for kind in kinds]
    with pytest.warns(fl.errors.FairlaneWarning, match=r"adapts the layer 'normalization\w*' to 12 samples"):
        fl.compare(lambda: normalized(X), [{}], X, X[:, 0], cv=3, verbose=0)
    fl.compare(lambda x_train: normalized(x_train), [{}], X, X[:, 0], cv=3, verbose=0)
    fl.compare(lambda: normalized(X), [{}], X, X[:, 0], verbose=0)
    assert [kind.adapt for kind in kinds] == before


def test_data_are_cut_once_and_splits_may_be_an_iterator():
    cuts = []

    class Drawn:
        def split(self, x, y=None, groups=None):
            cuts.append(np.random.default_rng().permutation(12))  # other folds each time
            yield cuts[-1][:8], cuts[-1][8:]

    cv = Drawn()
    study = fl.compare(build, {"batch_size": [4, 6]}, X, X[:, 0], cv=cv, verbose=0)
    assert len(cuts) == 1
    assert study.oof()["sample"].tolist() == [*cuts[0][8:]] * 2
    study = fl.compare(build, {"batch_size": [4, 6]}, X, X[:, 0], cv=KFold(3).split(X), verbose=0)
    assert study.trials["fold"].tolist() == [0, 1, 2] * 2


def test_folds_that_are_missing_do_not_decide():
    """Fold 1 is the hard one; the second variant was interrupted before it."""
    x = np.concatenate([np.zeros((8, 2)), np.ones((8, 2))]).astype("float32")
    y = np.concatenate([np.zeros(8), np.full(8, 50.0)]).astype("float32")

    def make(rate):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    class Stops(keras.callbacks.Callback):
        def __init__(self, trial):
            super().__init__()
            self.number = trial.number

        def on_train_begin(self, logs=None):
            if self.number == 3:
                raise KeyboardInterrupt

    pairs = [(np.arange(8, 16), np.arange(8)), (np.arange(8), np.arange(8, 16))]
    given = {"cv": pairs, "engine": "reference", "callbacks": lambda trial: [Stops(trial)], "verbose": 0}
    with pytest.warns(fl.FairlaneWarning, match="interrupted"):
        study = fl.compare(make, {"rate": [1e-4, 1e-3]}, x, y, **given)
    values = study.trials["val_loss"].tolist()
    assert values[0] < values[2] < np.mean(values[:2])  # by all of its folds, the first would be the last
    with pytest.warns(fl.FairlaneWarning, match="ordered by the folds that all of them have"):
        assert study.best_variant().hyperparameters == {"rate": 1e-4}


def test_out_of_fold_predictions_are_for_the_samples_that_were_trained_on():
    x = np.random.default_rng(0).normal(size=(12, 2)).astype("float32")
    study = fl.compare(build, [{}], x, np.ones((12, 1), "float32"), cv=2, verbose=0)
    study.oof()
    x[3] += 1
    with pytest.raises(StudyError, match=r"has changed since the study was trained.*x.copy\(\)"):
        study.oof()


def test_stored_trials_that_a_call_does_not_name_are_told_of(tmp_path):
    x, given = X + 1, {"store": tmp_path / "runs.db", "name": "s", "verbose": 0}
    y = np.ones((12, 1), "float32")
    fl.compare(build, {"units": [2, 3]}, x, y, epochs=1, **given)
    with pytest.warns(
        fl.FairlaneWarning, match="has 1 trial that this call does not name.* for 1 epochs and not 2"
    ):
        fl.compare(build, {"units": [2]}, x, y, epochs=2, **given)


def test_groups_that_pairs_divide_are_refused():
    groups = np.repeat([0, 1, 2], 4)
    whole = [(np.arange(4, 12), np.arange(4))]
    assert len(folds_of(whole, groups, {"x": X, "y": None})) == 1
    with pytest.raises(
        StudyError, match=r"fold 0 of cv trains on samples of the group 0 and .* GroupKFold\(5\)"
    ):
        folds_of([(np.arange(3, 12), np.arange(3))], groups, {"x": X, "y": None})


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize("cv", [KFold(3, shuffle=True, random_state=0), Folds.expanding(3)])
def test_groups_that_a_splitter_does_not_look_at_are_refused(cv):
    groups = np.tile([0, 1, 2, 3], 3)
    with pytest.raises(
        StudyError, match=r"trains on samples of the group .* give a number of folds, or a sp"
    ):
        folds_of(cv, groups, {"x": X, "y": None})
    assert len(folds_of(GroupKFold(3), groups, {"x": X, "y": None})) == 3


def test_lists_are_to_be_arrays():
    with pytest.raises(StudyError, match=r"y is a list of values such as 1; .* \(np.asarray\(y\)\)"):
        folds_of(2, None, {"x": X, "y": [1] * 12})
    with pytest.raises(StudyError, match=r"x is a list of lists; give NumPy arrays \(np.asarray\(x\)\)"):
        folds_of(2, None, {"x": X.tolist(), "y": None})
    with pytest.raises(StudyError, match="x is a dict with 3 in it; give NumPy arrays"):
        folds_of(2, None, {"x": {"a": X, "b": 3}, "y": None})
