"""``data=``: a function of hyperparameters makes the data."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.errors import StudyError

SERIES = np.random.RandomState(0).normal(size=60).cumsum().astype("float32")


def windows(window, scale=1.0):
    rows = np.stack([SERIES[i : i + window] for i in range(40)])
    return rows * scale, SERIES[window : 40 + window]


def build(window, learning_rate=0.01):
    model = keras.Sequential([keras.Input((window,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    return model


def own(trial):
    return {name: trial.hyperparameters[name] for name in ("window", "learning_rate")}


VARIANTS = {"window": [3, 4], "scale": [1.0, 0.1], "learning_rate": [0.01, 0.1]}


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_each_trial_is_trained_on_the_data_of_its_hyperparameters(engine):
    calls = []

    def data(window, scale):
        calls.append((window, scale))
        return windows(window, scale)

    variants = VARIANTS if engine == "lanes" else [{"window": 3, "scale": 0.1, "learning_rate": 0.1}]
    fit = {"epochs": 2, "validation_split": 0.25, "batch_size": 16}
    study = fl.compare(build, variants, data=data, engine=engine, verbose=0, **fit)
    assert len(calls) == len(set(calls)) == (4 if engine == "lanes" else 1)
    for record in list(study._store)[:: 3 if engine == "lanes" else 1]:
        trial = record.trial
        x, y = windows(trial.hyperparameters["window"], trial.hyperparameters["scale"])
        alone = keras_alone(build, own(trial), trial.seed, x, y, **fit)
        assert_logs_agree(history_of(study, trial.number), alone.logs, what=str(trial))
        np.testing.assert_allclose(study.model(trial).predict(x, verbose=0).shape, (40, 1))


def test_folds_cut_the_data_of_each_trial():
    study = fl.compare(build, {"window": [3, 4]}, data=windows, cv=2, epochs=2, verbose=0)
    for record in list(study._store)[1::2]:
        trial = record.trial
        x, y = windows(trial.hyperparameters["window"])
        training, validation = list(KFold(2).split(x))[trial.fold]
        held_out = (x[validation], y[validation])
        alone = keras_alone(
            *(build, {"window": trial.hyperparameters["window"]}, trial.seed, x[training], y[training]),
            epochs=2,
            validation_data=held_out,
        )
        assert_logs_agree(history_of(study, trial.number), alone.logs, what=str(trial))
    assert len(study.oof()) == 2 * 40


def test_a_function_may_take_seed_and_fold_and_draws_the_same_always():
    seen = {}

    def noisy(seed, fold):
        x, y = windows(3)
        seen[seed, fold] = np.random.normal(size=x.shape)  # noqa: NPY002
        return {"x": x + seen[seed, fold], "y": y}

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    fl.compare(build, [{"window": 3}], data=noisy, cv=2, seeds=2, verbose=0)
    first = dict(seen)
    assert sorted(first) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    np.random.normal(size=3)  # noqa: NPY002
    fl.compare(build, [{"window": 3}], data=noisy, cv=2, seeds=2, verbose=0)
    for key, drawn in first.items():
        np.testing.assert_array_equal(seen[key], drawn)
    assert not np.array_equal(first[0, 0], first[1, 0])


def test_a_search_makes_data_as_variants_begin_and_a_store_knows_the_function(tmp_path):
    arguments = {"trials": 3, "validation_split": 0.25, "epochs": 2, "verbose": 0}
    space = {"window": [3, 4], "scale": fl.Float(0.1, 1.0)}
    assert len(fl.search(build, space, data=windows, **arguments).summary()) == 3
    kept = {"validation_split": 0.25, "verbose": 0, "store": tmp_path / "runs.db", "name": "a"}
    fl.compare(build, {"window": [3]}, data=windows, epochs=1, **kept)
    study = fl.compare(build, {"window": [3]}, data=windows, epochs=2, **kept)
    assert study.trials["epochs"].tolist() == [2]
    with pytest.raises(StudyError, match=r"(?s)data function.*SERIES"):
        fl.compare(
            build, {"window": [3]}, data=lambda window: (SERIES[:9, None], SERIES[:9]), epochs=2, **kept
        )
    refitted = fl.compare(build, {"window": [3], "scale": [0.5]}, data=windows, verbose=0).refit(
        0, *windows(3), epochs=2, verbose=0
    )
    assert refitted.trials["epochs"].tolist() == [2]
    pd.testing.assert_index_equal(fl.open(tmp_path / "runs.db", "a").trials.columns, study.trials.columns)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (3, "data must be a function that returns"),
        (lambda window: None, r"called with window=3 for trial 0 .window=3, seed 0., must return \(x, y\)"),
        (lambda window, other: windows(window), "of the data needs 'other', which trial 0"),
        (lambda **names: windows(3), "takes \\*\\*names: which hyperparameters it depends on can't be known"),
        (lambda window: {"x": 1, "xx": 1}, "can't be Model.fit's data arguments: it has 'xx'"),
        (
            lambda window: 1 / 0,
            "called with window=3 for trial 0 .window=3, seed 0., raised ZeroDivisionError: division by zero",
        ),
    ],
)
def test_what_can_not_make_data_is_refused(data, said):
    with pytest.raises(StudyError, match=said):
        fl.compare(build, {"window": [3]}, data=data, verbose=0)


@pytest.mark.parametrize("cv", [None, 2])
def test_an_error_about_data_names_the_call_that_returned_them(cv):
    def short(window, fold=None):
        x, y = windows(window)
        return (x, y) if window == 3 else (x[:-1], y)

    named = (
        r"short\(\) of the data, called with window=4.* for trial \d \(window=4, .*, returned data that can't"
    )
    with pytest.raises(StudyError, match=named + ".*: .*(x and y have different|Keras can't use)") as caught:
        fl.compare(build, {"window": [3, 4]}, data=short, cv=cv, verbose=0)
    assert type(caught.value.__cause__) is (ValueError if cv is None else StudyError)


def test_the_error_of_a_function_is_the_cause():
    def broken(window):
        raise KeyError(window)

    with pytest.raises(StudyError, match=r"called with window=3 for trial 0 .* raised KeyError: 3") as caught:
        fl.search(build, {"window": [3]}, trials=1, data=broken, verbose=0)
    assert isinstance(caught.value.__cause__, KeyError)


def test_data_are_given_once():
    with pytest.raises(StudyError, match="x or y is given, and data too"):
        fl.compare(build, {"window": [3]}, *windows(3), data=windows, verbose=0)
    with pytest.raises(StudyError, match=r"'span' is neither an argument of the builder nor of Model.fit"):
        fl.compare(build, {"window": [3], "span": [1]}, data=windows, verbose=0)


def test_a_function_that_writes_over_what_it_returned_is_refused():
    buffer = np.zeros((40, 3), "float32")

    def overwrites(scale):
        buffer[:] = windows(3)[0] * scale
        return buffer, windows(3)[1]

    def views(scale):
        x, y = SERIES[:40].reshape(-1, 1), SERIES[:40]
        return (x if scale == 1 else x[::-1]), y

    with pytest.raises(StudyError, match=r"overwrites\(\) of the data has changed an array .* Return a copy"):
        fl.compare(lambda: build(3), {"scale": [1.0, 0.1]}, data=overwrites, verbose=0)
    fl.compare(lambda: build(1), {"scale": [1.0, 0.1]}, data=views, verbose=0)  # nothing was written

    frame = pd.DataFrame(windows(3)[0])

    def overwrites_frame(scale):
        frame.iloc[:, :] = windows(3)[0] * scale
        return frame, windows(3)[1].copy()

    with pytest.raises(
        StudyError, match=r"overwrites_frame\(\) of the data has changed an array .* Return a"
    ):
        fl.compare(lambda: build(3), {"scale": [1.0, 0.1]}, data=overwrites_frame, verbose=0)
