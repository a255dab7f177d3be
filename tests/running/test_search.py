"""Searches with training: each trial is what Keras alone gives, and nothing depends on when it was stopped."""

import os
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.cli import app
from fairlane.running.budget import Budget
from fairlane.running.objectives import Objectives
from fairlane.trials import EpochEnded, TrialStarted

RNG = np.random.default_rng(4)
X = RNG.normal(size=(48, 4)).astype("float32")
Y = (X @ RNG.normal(size=(4, 1))).astype("float32")
FIT = {"validation_split": 0.33, "batch_size": 16}
SPACE = {"learning_rate": fl.Float(1e-3, 1e-1, log=True), "rate": fl.Float(0.0, 0.5)}


ACTIVATIONS = ["tanh", "relu", "gelu", "elu", "selu", "softsign", "sigmoid", "softplus"]


def build(learning_rate, rate=0.0, units=8, activation="tanh"):
    layers = [keras.Input((4,)), keras.layers.Dense(units, activation), keras.layers.Dropout(rate)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


def search(**options):
    given = {"trials": 9, "epochs": 9, "stop": "hyperband", "verbose": 0, **FIT, **options}
    return fl.search(build, given.pop("space", SPACE), X, Y, **given)


def decisions(study):
    return {one.about: dict(one.content) for one in study._store.decisions()}


@pytest.fixture(scope="module")
def hyperband():
    return search(seeds=2, confirm=(2, 3))


def test_a_promoted_trial_is_what_keras_alone_gives(hyperband):
    trials = hyperband.trials
    whole = trials[(trials["state"] == "done") & (trials["epochs"] == 9)]
    assert len(whole) >= 2 + 2 * 3
    for row in whole.iloc[[0, -1]].to_dict("records"):
        alone = keras_alone(
            build, {name: row[name] for name in SPACE}, int(row["seed"]), X, Y, epochs=9, **FIT
        )
        assert_logs_agree(history_of(hyperband, row["trial"]), alone.logs)


def test_a_stopped_trial_has_the_first_epochs_of_keras_alone(hyperband):
    row = hyperband.trials.query("state == 'stopped' and epochs == 3").iloc[0]
    alone = keras_alone(build, {name: row[name] for name in SPACE}, int(row["seed"]), X, Y, epochs=9, **FIT)
    first = {name: values[:3] for name, values in alone.logs.items()}
    assert_logs_agree(history_of(hyperband, row["trial"]), first)


def test_a_rung_decides_by_the_mean_over_the_seeds(hyperband):
    rung = decisions(hyperband)["rung", 0, 0]
    history = hyperband.history.query("epoch == 0")
    first = history[history["trial"] < 2 * 9].groupby(["learning_rate"], sort=False)["val_loss"].mean()
    assert np.allclose(list(rung["values"].values()), first, rtol=1e-12)
    assert rung["promoted"] == sorted(np.argsort(first)[:3])


def test_the_summary_speaks_of_the_trials_that_confirm(hyperband):
    confirm = decisions(hyperband)["confirm", 9]
    assert confirm["seeds"] == [2, 3, 4]
    table = hyperband.summary(confidence=0.5)
    assert sorted(table["variant"]) == sorted(confirm["variants"])
    again = hyperband.trials[hyperband.trials["seed"] >= 2]
    means = again.groupby("learning_rate")["val_loss"].mean()
    assert np.allclose(sorted(table["mean"]), sorted(means))
    assert hyperband.best_variant().number == table["variant"][0]
    assert hyperband.best().seed in (2, 3, 4)


def test_without_confirmation_stopped_variants_do_not_count():
    study = search(seeds=1)
    stopped = set(study.trials.query("state == 'stopped'")["learning_rate"])
    assert len(stopped) == 8
    with pytest.warns(fl.FairlaneWarning):
        assert not set(study.summary()["learning_rate"]) & stopped
    assert "8 stopped" in study.described()


def test_the_same_call_gives_the_same_search(hyperband):
    again = search(seeds=2, confirm=(2, 3))
    assert decisions(again) == decisions(hyperband)
    assert again.history.equals(hyperband.history)


def test_the_reference_engine_gives_the_same_search():
    lanes, reference = search(trials=4, epochs=3), search(trials=4, epochs=3, engine="reference")
    assert lanes.trials["state"].tolist() == reference.trials["state"].tolist()
    assert lanes.trials["epochs"].tolist() == reference.trials["epochs"].tolist()
    assert np.allclose(lanes.history["val_loss"], reference.history["val_loss"], rtol=1e-4)


@pytest.mark.parametrize("stop", ["median", "halving", None])
def test_every_rule_comes_to_its_end(stop):
    study = search(stop=stop, trials=8, epochs=4, sampler="sobol")
    states = study.trials["state"].tolist()
    assert len(states) == 8
    assert set(states) <= {"done", "stopped"}
    assert ("stopped" in states) == (stop is not None)


def test_what_follows_from_a_trial_that_ends_by_itself_is_trained():
    """The last trial of the search ends in its callback; only then is it known which are confirmed."""
    study = search(
        trials=14,
        stop="halving",
        seeds=2,
        confirm=(2, 2),
        engine="lanes",
        callbacks=lambda trial: [keras.callbacks.EarlyStopping("loss", patience=1)],
    )
    assert len(study.trials) == 14 * 2 + 2 * 2
    assert study.trials["epochs"].max() < 9
    assert set(study.trials["state"]) == {"done", "stopped"}


def test_few_places_change_nothing_of_a_search():
    """Where places are few, trials wait for each other after each epoch."""
    wide, narrow = search(trials=12), search(trials=12, width=4)
    assert narrow.trials["state"].tolist() == wide.trials["state"].tolist()
    assert [narrow.history[name].tolist() for name in ("trial", "epoch")] == [
        wide.history[name].tolist() for name in ("trial", "epoch")
    ]
    assert np.allclose(narrow.history["val_loss"], wide.history["val_loss"], rtol=1e-6)


def test_a_larger_value_is_better_where_it_is_said():
    study = search(objective=("val_mae", "max"), trials=4, epochs=2, stop=None)
    assert study.best().number == study.trials["val_mae"].idxmax()


def test_a_grid_ends_where_the_space_does():
    study = search(space={"learning_rate": [0.1, 0.01], "rate": 0.1}, trials=50, sampler="grid", stop=None)
    assert study.trials["learning_rate"].tolist() == [0.1, 0.01]
    assert study.trials["rate"].tolist() == [0.1, 0.1]


def test_a_stored_search_is_read_back_and_grows(tmp_path):
    kept = {"store": tmp_path / "s.db", "name": "search", "stop": None, "epochs": 2}
    first = search(trials=4, **kept)
    again = search(trials=6, **kept)
    assert again.trials["trial"].tolist() == [0, 1, 2, 3, 4, 5]
    assert again.history[again.history["trial"] < 4].equals(first.history)
    found = fl.open(tmp_path / "s.db", "search")
    assert decisions(found) == decisions(again)
    assert found.best_variant().number == again.best_variant().number
    with pytest.raises(fl.StudyError, match=r"was trained for another request.*\nsearch, rng"):
        search(trials=6, rng=1, **kept)


PROGRAM = """
import sys; sys.path[:0] = {path!r}
import test_search
test_search.killable({store!r})
"""


def killable(store):
    return search(
        trials=12, epochs=9, confirm=(2, 2), store=store, name="killed", checkpoint_every=1, engine="lanes"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ended without closing it:fairlane.errors.FairlaneWarning")
def test_a_search_that_is_killed_at_random_moments_comes_to_the_same(tmp_path):
    expected = search(trials=12, epochs=9, confirm=(2, 2), engine="lanes")
    store, moments = str(tmp_path / "s.db"), random.Random(2)
    program = PROGRAM.format(path=[os.path.dirname(__file__), *sys.path], store=store)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
        deadline, wanted = time.monotonic() + 120, moments.randrange(1, 40)
        while process.poll() is None and time.monotonic() < deadline:
            if _epochs(store) >= wanted:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.05)
        process.wait()
    study = killable(store)
    assert decisions(study).keys() == decisions(expected).keys()
    for about, content in decisions(expected).items():
        found = decisions(study)[about]
        assert found.keys() == content.keys()
        for name in content.keys() - {"values"}:
            assert found[name] == content[name], about
    assert study.trials["state"].tolist() == expected.trials["state"].tolist()
    assert np.allclose(study.history["val_loss"], expected.history["val_loss"], rtol=1e-4)
    assert study.best_variant().number == expected.best_variant().number


def _epochs(store):
    try:
        return len(fl.open(store, "killed").history)
    except fl.FairlaneError:
        return 0


class Read(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[16 * i : 16 * i + 16], Y[16 * i : 16 * i + 16]


def test_data_that_are_read_are_searched_where_all_places_are_there():
    options = {"objective": "loss", "trials": 9, "epochs": 3, "verbose": 0}
    study = fl.search(build, SPACE, Read(), stop="hyperband", **options)
    assert set(study.trials["state"]) == {"done", "stopped"}
    assert set(study.trials["engine"]) == {"lanes"}
    with pytest.raises(fl.StudyError, match="stop='hyperband' with width=4 needs data in arrays"):
        fl.search(build, SPACE, Read(), stop="hyperband", width=4, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objective": "val_los"}, "will not log it. Did you mean 'val_loss'"),
        ({"validation_split": 0.0}, "objective='val_loss' needs validation data"),
        ({"space": {"units": [1], "epochs": [1, 2]}}, "'epochs' can't be in the space of a search"),
        ({"space": {**SPACE, "unit": [1, 2]}}, "'unit' is neither an argument of the builder.*'units'"),
        (
            {"space": {**SPACE, "x": [1]}},
            r"'x' must be the same for all trials: give it as an argument, x=\.\.\.",
        ),
        ({"trials": 0}, "trials must be a whole number, 1 or more; not 0"),
        ({"stop": "asha"}, "stop must be one of 'hyperband', 'halving', 'median'"),
        ({"sampler": 3}, "sampler must be a name or a sampler of Optuna's, not 3"),
        ({"budget": "soon"}, "budget must be a time such as '10min'"),
        ({"budget": "600"}, "budget must be a time such as '10min'"),
        ({"confirm": 2, "objective": ["val_loss", "parameters"]}, "confirm= needs one objective"),
        ({"objective": ["parameters"]}, "the first objective must be a log"),
    ],
)
def test_what_is_not_possible_is_refused(options, words):
    with pytest.raises(fl.StudyError, match=words):
        search(**options)


def test_a_space_of_structures_only_is_warned_of():
    with pytest.warns(
        fl.FairlaneWarning, match="almost every one of the 8 variants needs a program of its own"
    ):
        search(space={"learning_rate": 0.1, "activation": ACTIVATIONS}, trials=8, epochs=1, stop=None)


def test_whole_numbers_are_not_warned_of():
    """They are mostly sizes, in which the models of one program may differ."""
    space = {"learning_rate": 0.1, "units": fl.Int(1, 100)}
    study = search(space=space, trials=8, epochs=1, stop=None)
    assert study.trials["fleet"].nunique() < 4


class AfterEpochs(Budget):
    """Spent after so many epochs, whatever the clock says."""

    def note(self, event):
        self.ended = getattr(self, "ended", 0) + isinstance(event, EpochEnded)

    @property
    def spent(self):
        return getattr(self, "ended", 0) >= 10


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_spent_budget_ends_a_study_that_can_be_continued(tmp_path, monkeypatch, engine):
    kept = {
        "store": tmp_path / "b.db",
        "name": "b",
        "epochs": 12,
        "trials": 3,
        "stop": None,
        "engine": engine,
    }
    with monkeypatch.context() as patch:
        patch.setattr(Budget, "of", classmethod(lambda cls, given: AfterEpochs(60.0, "1min")))
        with pytest.warns(fl.FairlaneWarning, match="the budget of 1min is spent"):
            study = search(budget="1min", **kept)
    assert 10 <= study.trials["epochs"].sum() < 36
    assert "interrupted" in set(study.trials["state"])
    whole = search(**kept)
    assert set(whole.trials["state"]) == {"done"}
    assert whole.history.groupby("trial").size().tolist() == [12] * 3
    assert np.allclose(whole.history["loss"], search(**{**kept, "name": "c"}).history["loss"], rtol=1e-4)


def test_a_budget_ends_a_comparison_too(monkeypatch):
    monkeypatch.setattr(Budget, "of", classmethod(lambda cls, given: AfterEpochs(60.0, "1min")))
    with pytest.warns(fl.FairlaneWarning, match="compared after equal epochs"):
        study = fl.compare(
            build, {"learning_rate": [0.1, 0.01]}, X, Y, epochs=30, budget="1min", verbose=0, **FIT
        )
    assert study.trials["state"].tolist() == ["interrupted"] * 2
    with pytest.warns(fl.FairlaneWarning, match="Provisional"):
        assert study.best_variant().number == 0


def test_a_budget_looks_ahead():
    now = [0.0]
    budget = Budget(10.0, "10 s", clock=lambda: now[0])
    assert not budget.spent
    trial = fl.Trial(0, fl.Variant(0, {}), 0)
    for moment, event in [(0, TrialStarted(trial, "lanes")), (6, EpochEnded(trial, 0, {}))]:
        now[0] = float(moment)
        budget.note(event)
    assert budget.spent  # as far as is known, an epoch takes 6 seconds
    now[0] = 7.0
    budget.note(EpochEnded(trial, 1, {}))  # without compilation, it takes one
    assert not budget.spent
    now[0] = 9.5
    assert budget.spent


def test_tpe_searches_with_training_and_again_the_same(tmp_path):
    options = {"trials": 14, "epochs": 4, "stop": None, "sampler": "tpe", "width": 4}
    first, second = search(**options), search(**options, store=tmp_path / "t.db", name="t")
    assert decisions(first) == decisions(second)
    assert len(first.trials) == 14
    more = search(**{**options, "trials": 16}, store=tmp_path / "t.db", name="t")
    whole = search(**{**options, "trials": 16}, store=tmp_path / "w.db", name="t")
    assert [v for k, v in decisions(more).items() if k[0] == "variant"][:14] == [
        v for k, v in decisions(first).items() if k[0] == "variant"
    ]
    assert len(more.trials) == len(whole.trials) == 16


def test_a_pruner_of_optunas_stops_variants():
    optuna = pytest.importorskip("optuna")
    study = search(
        stop=optuna.pruners.PercentilePruner(25.0, n_startup_trials=1), trials=12, width=4, epochs=4
    )
    assert "stopped" in set(study.trials["state"])


def test_a_confirmed_search_goes_to_optuna_as_it_was_searched(hyperband):
    study = hyperband.to_optuna()
    assert [trial.user_attrs["seeds"] for trial in study.trials] == [[0, 1]] * 9
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}


def test_pages_and_words_say_which_trials_count(hyperband, tmp_path):
    said = (
        "Compared are the 2 best of 9 variants, trained again with 3 seeds that the search has not used; the "
        "values that they were chosen by do not count"
    )
    assert said in str(hyperband)
    page = hyperband.report(tmp_path / "r.html").read_text()
    assert said in page
    assert "Search, stop" in page
    study = search()
    assert "Compared are the 1 of 9 variants that no rule has stopped" in str(study)


def parameters_of(units):
    return 4 * units + units + units + 1


def test_several_objectives_go_to_a_sampler_that_takes_them(tmp_path):
    pytest.importorskip("optuna")
    study = search(
        space={**SPACE, "units": [2, 4, 8]},
        objective=["val_loss", "parameters"],
        sampler="nsga2",
        trials=10,
        epochs=1,
        stop=None,
        width=5,
        seeds=2,
        store=tmp_path / "o.db",
        name="o",
    )
    assert len(study.trials) == 20
    means = study.trials.groupby(["learning_rate"], sort=False)["val_loss"].mean()
    units = study.trials["units"].tolist()[::2]
    assert study.best_variant().number == np.argmin(means)
    assert (
        "Variants are ranked by the first objective alone, val_loss; study.pareto() has the others too"
        in str(study)
    )
    points = [*zip(means, map(parameters_of, units), strict=True)]
    on = [
        n
        for n, (a, b) in enumerate(points)
        if not any((c <= a and d <= b and (c, d) != (a, b)) for c, d in points)
    ]
    for frame in (study.pareto(), fl.open(tmp_path / "o.db", "o").pareto()):
        assert sorted(frame[frame["front"]]["variant"]) == on
        by_number = frame.sort_values("variant")
        assert np.allclose(by_number["val_loss"], means)
        assert by_number["parameters"].tolist() == [*map(parameters_of, units)]
    assert study.plot("pareto").axes[0].get_xlabel() == "val_loss (small is better)"
    figure = ["--kind", "pareto", "--out", str(tmp_path / "front.png")]
    for words, said in [
        (["list"], " o "),
        (["show"], "Variants are ranked by the first objective alone, val_loss; study.pareto() has"),
        (["plot", *figure], "wrote "),
        (["report", "--out", str(tmp_path / "o.html")], "wrote "),
    ]:
        where = [str(tmp_path / "o.db"), "o"][: 1 if words == ["list"] else 2]
        shown = CliRunner().invoke(app, [words[0], *where, *words[1:]])
        assert shown.exit_code == 0, shown.output
        assert said in shown.output
    with pytest.raises(fl.StudyError, match="sampler='cmaes' takes one objective"):
        search(objective=["val_loss", "parameters"], sampler="cmaes")


def test_parameters_are_known_of_variants_that_have_no_weights_yet(monkeypatch):
    pytest.importorskip("optuna")
    seen, values = [], Objectives.values

    def spied(self, records, epochs, parameters):
        found = values(self, records, epochs, parameters)
        seen.append((found[1], records[0].trial.hyperparameters["units"]))
        return found

    monkeypatch.setattr(Objectives, "values", spied)
    search(
        space={"learning_rate": SPACE["learning_rate"], "units": [2, 4]},
        objective=["val_loss", ("parameters", "max")],
        sampler="nsga2",
        trials=6,
        epochs=3,
        stop="halving",
    )
    assert {units for _, units in seen} == {2, 4}
    assert all(found == -parameters_of(units) for found, units in seen)
