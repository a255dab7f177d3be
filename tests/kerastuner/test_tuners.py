"""The tuners: what they request of `fairlane.search`, and its study in KerasTuner's words."""

import sys
from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pytest

import fairlane as fl
from fairlane import kerastuner as kt
from fairlane.errors import StudyError

X, Y = np.linspace(-1, 1, 16).reshape(8, 2), np.linspace(0, 1, 8).reshape(8, 1)


def build(hp):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    hp.Choice("batch_size", [4, 8])  # a name that Model.fit has, too
    model.compile(keras.optimizers.SGD(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")), loss="mse")
    return model


@pytest.fixture
def asked(monkeypatch):
    """What was requested of `fairlane.search`, which is called all the same."""
    calls, real = [], fl.search

    def search(model, space, x=None, y=None, **options):
        calls.append(options)
        return real(model, space, x, y, **options)

    monkeypatch.setitem(sys.modules, "fairlane.running.search", SimpleNamespace(search=search))
    return calls


def test_hyperband_stops_trials_and_gives_the_best_epochs_weights():
    x, y = np.linspace(-1, 1, 64).reshape(32, 2), np.linspace(0, 1, 32).reshape(32, 1)
    tuner = kt.Hyperband(build, objective="val_loss", max_epochs=4, factor=2, seed=0)
    tuner.search(x, y, validation_split=0.25, verbose=0)
    states = tuner.study.trials["state"]
    assert len(states) == sum(bracket.sizes[0] for bracket in tuner.brackets)
    assert {"done", "stopped"} == set(states)
    (model,) = tuner.get_best_models()
    assert model.evaluate(x[24:], y[24:], verbose=0) == pytest.approx(
        tuner.study.history["val_loss"].min(), rel=1e-4
    )


def test_a_trial_is_what_keras_alone_gives_for_its_configuration():
    tuner = kt.RandomSearch(build, objective="loss", max_trials=2, seed=5)
    tuner.search(X, Y, epochs=3, verbose=0)
    for place, found in enumerate(tuner.get_best_hyperparameters(2)):
        theirs = keras_tuner.HyperParameters()
        theirs.values = dict(found.values)
        keras.utils.set_random_seed(0)
        history = build(theirs).fit(X, Y, epochs=3, verbose=0).history["loss"]
        ours = tuner.study.history
        ours = ours[np.isclose(ours["learning_rate"], found["learning_rate"])]["loss"].tolist()
        assert ours == pytest.approx(history, rel=1e-5), place


def test_random_search_gives_the_best_in_kerastuners_words(asked, capsys):
    tuner = kt.RandomSearch(build, objective="loss", max_trials=3, executions_per_trial=2, seed=1)
    tuner.search(X, Y, epochs=2, verbose=0)
    assert {k: asked[0][k] for k in ("trials", "objective", "sampler", "stop", "seeds")} == {
        "trials": 3,
        "objective": "loss",
        "sampler": "random",
        "stop": None,
        "seeds": 2,
    }
    best = tuner.get_best_hyperparameters(3)
    history = (
        tuner.study.history.groupby(["learning_rate", "seed"])["loss"].min().groupby("learning_rate").mean()
    )
    assert [hp.get("learning_rate") for hp in best] == history.sort_values().index.tolist()
    (model,) = tuner.get_best_models()
    assert model.evaluate(X, Y, verbose=0) <= tuner.study.history["loss"].min() * 1.01
    assert float(tuner.hypermodel.build(best[0]).optimizer.learning_rate) == pytest.approx(
        best[0]["learning_rate"]
    )
    tuner.results_summary(1)
    tuner.search_space_summary()
    shown = capsys.readouterr().out
    assert 'Objective(name="loss"' in shown
    assert "Score: " in shown
    assert "Default search space size: 2" in shown


@pytest.mark.parametrize(("epochs", "factor"), [(27, 3), (100, 3), (10, 2), (81, 4)])
def test_hyperband_has_the_same_brackets(epochs, factor):
    ours = kt.Hyperband(build, objective="loss", max_epochs=epochs, factor=factor).brackets
    oracle = keras_tuner.oracles.HyperbandOracle("loss", max_epochs=epochs, factor=factor)
    theirs = [
        [(oracle._get_size(b, i), oracle._get_epochs(b, i)) for i in range(oracle._get_num_rounds(b))]
        for b in reversed(range(oracle._get_num_brackets()))
    ]
    assert [list(zip(b.sizes, b.epochs, strict=True)) for b in ours] == theirs


def test_hyperband_and_grid_say_how_many_trials(asked):
    tuner = kt.Hyperband(build, objective=kt.Objective("loss", "min"), max_epochs=27, hyperband_iterations=2)
    assert tuner._course() == {"trials": 98, "epochs": 27, "sampler": "random", "stop": "hyperband"}
    assert kt.GridSearch(build, objective="loss")._course()["trials"] == 2 * 11
    grid = kt.GridSearch(build, objective="loss", max_trials=2)
    grid.search(X, Y, epochs=1, verbose=0)
    assert grid.study.trials["batch_size"].tolist() == [4, 4]


def test_a_stored_search_is_read_by_the_next_tuner(asked, tmp_path):
    options = {"objective": "loss", "max_trials": 2, "directory": tmp_path / "new", "project_name": "p"}
    first = kt.RandomSearch(build, **options)
    first.search(X, Y, epochs=1, verbose=0)
    again = kt.RandomSearch(build, **options)
    assert again.get_best_hyperparameters()[0].values == first.get_best_hyperparameters()[0].values
    again.search(X, Y, epochs=1, verbose=0)
    over = kt.RandomSearch(build, **options, overwrite=True)
    with pytest.raises(StudyError, match="call search"):
        _ = over.study


class OwnFit(kt.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        return 1.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: kt.RandomSearch(build), "objective must be a log's name"),
        (lambda: kt.RandomSearch(OwnFit(), "loss"), "OwnFit has a fit of its own"),
        (lambda: kt.RandomSearch(build, "loss", distribution_strategy=1), "does not take distribution_strat"),
        (lambda: kt.RandomSearch(build, "loss", overwrit=True), "Did you mean 'overwrite'"),
        (lambda: kt.RandomSearch(build, "loss", tune_new_entries=False), "needs hyperparameters="),
        (lambda: kt.BayesianOptimization(build, "loss", beta=1.0), "Leave them out"),
        (lambda: kt.Hyperband(build, "loss", factor=1), "factor must be a whole number of at least 2"),
        (lambda: type("Own", (kt.RandomSearch,), {"run_trial": 1}), "has a run_trial of its own"),
    ],
)
def test_what_can_not_be_the_same_is_refused_in_words(make, words):
    with pytest.raises(StudyError, match=words):
        make()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_grid_has_kerastuners_scores(asked, tmp_path):
    def built(hp):
        keras.utils.set_random_seed(0)  # KerasTuner itself sets no seed
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(hp.Choice("learning_rate", [0.01, 0.9])), loss="mse")
        return model

    ours = kt.GridSearch(built, objective="loss")
    ours.search(X, Y, epochs=4, batch_size=4, verbose=0)
    theirs = keras_tuner.GridSearch(built, objective="loss", directory=tmp_path, project_name="theirs")
    theirs.search(X, Y, epochs=4, batch_size=4, verbose=0)
    there = {t.hyperparameters.values["learning_rate"]: t.score for t in theirs.oracle.trials.values()}
    here = {one.hyperparameters["learning_rate"]: one.score for one in ours._scored(2)}
    assert here == pytest.approx(there, rel=1e-5)
    assert ours.get_best_hyperparameters()[0].values == theirs.get_best_hyperparameters()[0].values
