"""A study's frames, figures, models and words, as its user meets them."""

import copy
import warnings
from typing import Any

import keras
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

import fairlane as fl
from _trial import FIT, RAGGED, X, Y, build

LOGS = ["loss", "mae", "val_loss", "val_mae"]


def compare(variants: Any, builder: Any = build, **arguments: Any) -> fl.Study:
    given = {**FIT, **RAGGED, "epochs": 3, **arguments}
    varied = {name for variant in variants for name in variant} if isinstance(variants, list) else ()
    same = {name: value for name, value in given.items() if name not in varied}
    return fl.compare(builder, variants, X, Y, verbose=0, **same)


@pytest.fixture(scope="module")
def study() -> fl.Study:
    return compare({"lr": [0.05, 0.01], "units": [4]}, seeds=3, name="rates")


# --- frames ---------------------------------------------------------------------------------------------


def test_the_history_has_a_row_per_trial_and_epoch(study):
    history = study.history
    assert list(history.columns) == ["trial", "lr", "units", "seed", "epoch", *LOGS]
    assert len(history) == 2 * 3 * 3
    assert history["trial"].tolist() == [t for t in range(6) for _ in range(3)]
    assert history["epoch"].tolist() == [0, 1, 2] * 6
    assert history["seed"].tolist() == [s for _ in range(2) for s in range(3) for _ in range(3)]
    assert history["lr"].tolist() == [0.05] * 9 + [0.01] * 9
    assert history[LOGS].dtypes.eq("float64").all()
    assert not history.isna().any(axis=None)


def test_a_frame_is_the_users_own(study):
    history, trials = study.history, study.trials
    history["loss"] = 0.0
    del trials["loss"]
    assert study.history["loss"].min() > 0
    assert "loss" in study.trials


def test_the_long_frame_has_a_row_per_value(study):
    tidy = study.to_frame(long=True)
    assert list(tidy.columns) == ["trial", "lr", "units", "seed", "epoch", "metric", "data", "value"]
    assert len(tidy) == len(study.history) * 4
    wide = tidy[tidy["data"] == "validation"].pivot_table(
        index=["trial", "epoch"], columns="metric", values="value"
    )
    np.testing.assert_array_equal(wide["loss"], study.history["val_loss"])
    np.testing.assert_array_equal(wide["mae"], study.history["val_mae"])
    pd.testing.assert_frame_equal(study.to_frame(), study.history)


def test_trials_say_how_each_ended_and_what_ran_it(study):
    trials = study.trials
    expected = ["trial", "lr", "units", "seed", "state", "epochs", "weights_epoch", *LOGS]
    expected += ["seconds", "engine", "worker", "fleet", "loop", "reason", "error"]
    assert list(trials.columns) == expected
    assert trials["state"].tolist() == ["done"] * 6
    assert trials["epochs"].tolist() == [3] * 6
    assert trials["engine"].tolist() == ["lanes"] * 6
    assert trials["fleet"].tolist() == [0] * 6
    assert (trials["seconds"] > 0).all()
    assert (trials["reason"] + trials["error"]).tolist() == [""] * 6
    last = study.history.groupby("trial")[LOGS].last()
    np.testing.assert_array_equal(trials[LOGS], last)


def test_the_engines_column_tells_lanes_and_reference_apart():
    def builder(eager):
        model = build()
        model.compile("sgd", "mse", run_eagerly=eager)
        return model

    trials = compare({"eager": [True, False]}, builder, epochs=1).trials
    assert trials["engine"].tolist() == ["reference", "lanes"]
    assert trials["reason"].tolist() == ["the model is compiled with run_eagerly=True", ""]
    assert trials["fleet"].tolist() == [pd.NA, 0]
    asked = compare({"eager": [False]}, builder, epochs=1, engine="reference").trials
    assert asked["engine"].tolist() == ["reference"]
    assert asked["reason"].tolist() == [""]


def test_variants_with_different_keys():
    study = compare([{"lr": 0.05}, {"units": 2}, {}], epochs=1)
    trials = study.trials
    assert list(trials.columns[:4]) == ["trial", "lr", "units", "seed"]
    assert trials["lr"].isna().tolist() == [False, True, True]
    assert trials["units"].isna().tolist() == [True, False, True]
    assert len(study.summary()) == 3
    assert study.model(1).layers[0].units == 2
    assert isinstance(study.plot(), matplotlib.figure.Figure)
    assert "the only variant" not in repr(study)


def test_varied_fit_arguments():
    study = compare([{"batch_size": 8, "epochs": 2}, {"batch_size": 16, "epochs": 3}])
    assert study.trials["epochs_done"].tolist() == [2, 3]
    assert study.trials["epochs"].tolist() == [2, 3]
    assert study.model(0).optimizer.iterations == 2 * 4
    assert study.model(1).optimizer.iterations == 3 * 2


# --- templates ------------------------------------------------------------------------------------------


def _nested() -> keras.Model:
    layers = keras.layers
    inputs = keras.Input((3,))
    encoder = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="dense_2"), layers.Dropout(0.5, name="drop")],
        name="encoder",
    )
    outputs = layers.Dense(1, name="head", kernel_regularizer=keras.regularizers.L2(0.1))(encoder(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def test_a_template_with_dotted_and_nested_paths():
    variants = [
        {"optimizer.learning_rate": 0.1},
        {"encoder.drop.rate": 0.0, "encoder.dense_2.units": 6},
        {"head.kernel_regularizer.l2": 0.0, "batch_size": 16},
        {},
    ]
    study = compare(variants, _nested(), epochs=1)
    assert study.trials["error"].tolist() == [""] * 4
    assert study.trials["engine"].tolist() == ["lanes"] * 4
    models = [study.model(i) for i in range(4)]
    rates = [float(m.optimizer.learning_rate.numpy()) for m in models]
    np.testing.assert_allclose(rates, [0.1, 0.01, 0.01, 0.01], rtol=1e-6)
    drops = [m.get_layer("encoder").get_layer("drop").rate for m in models]
    assert drops == [0.5, 0.0, 0.5, 0.5]
    assert [m.get_layer("encoder").get_layer("dense_2").units for m in models] == [4, 6, 4, 4]
    assert [float(m.get_layer("head").kernel_regularizer.l2) for m in models][2:] == [
        0.0,
        pytest.approx(0.1),
    ]
    assert study.history["encoder.drop.rate"].isna().tolist() == [True, False, True, True]
    assert "encoder.drop.rate" in study.summary().columns


# --- summary and best -----------------------------------------------------------------------------------


def test_the_summary_is_reproducible(study):
    a, b = study.summary(), study.summary()
    pd.testing.assert_frame_equal(a, b)
    pd.testing.assert_frame_equal(study.summary(rng=3), study.summary(rng=np.random.default_rng(3)))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    study.summary(rng=7)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_summary_has_a_row_per_variant_the_best_first(study):
    summary = study.summary("loss")
    assert summary["seeds"].tolist() == [3, 3]
    assert summary["mean"].is_monotonic_increasing
    means = study.trials.groupby("lr")["loss"].mean()
    np.testing.assert_allclose(summary["mean"], means.loc[summary["lr"]])
    assert summary["difference"].tolist()[0] == 0
    assert (summary["low"] <= summary["mean"]).all()
    assert (summary["mean"] <= summary["high"]).all()
    assert study.summary().attrs["metric"] == "val_loss"


def test_too_few_seeds_warn_and_the_words_of_a_study_do_not(study, recwarn):
    with pytest.warns(
        fl.FairlaneWarning, match="Too few seeds.*a p-value of 0.05 or less.*needs 6 seeds.*3 pairs"
    ):
        table = fresh(study).summary()
    assert table["p_value"].isna().all()
    recwarn.clear()
    assert "p_value" not in repr(study)
    assert "p_value" not in study._repr_html_()
    study.plot("final")
    assert not recwarn.list


def fresh(study):
    """The same study, which has warned of nothing yet."""
    again = copy.copy(study)
    again._warned = set()
    return again


def test_a_summary_is_short_and_detail_gives_the_rest(study):
    study = fresh(study)
    with pytest.warns(fl.FairlaneWarning, match="Too few seeds"):
        short = study.summary("loss")
    assert short.columns.tolist() == [
        *(
            "variant",
            "lr",
            "units",
            "metric",
            "seeds",
            "mean",
            "low",
            "high",
            "difference",
            "p_value",
            "failed",
        )
    ]
    with pytest.warns(fl.FairlaneWarning) as said:
        full = study.summary("loss", detail=True)
    first, second = (str(warning.message) for warning in said)
    assert first.startswith("An interval of the median needs 6 seeds")
    assert second.startswith("probability is 0 for variant 0")
    assert len(full.columns) == 23
    pd.testing.assert_frame_equal(full[list(short.columns)], short)
    with pytest.raises(fl.StudyError, match="detail must be True or False, not 'yes'"):
        study.summary(detail="yes")


def test_a_study_warns_once_of_the_same(study):
    study = fresh(study)
    with pytest.warns(fl.FairlaneWarning, match="Too few seeds") as first:
        study.summary()
    assert [warning.filename for warning in first] == [__file__] * len(first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.summary()
        study.summary("loss")


def test_a_notebook_shows_a_curve_per_variant_and_nothing_unescaped(study):
    shown = study._repr_html_()
    assert shown.count("<polyline") == 2
    assert "<th>val_loss by epoch</th>" in shown
    assert "fairlane-sparkline" not in shown
    hostile = compare([{"lr": 0.01, "<b>": "<i>"}], lambda lr, **rest: build(lr=lr))
    assert "<i>" not in hostile._repr_html_()
    assert "&lt;i&gt;" in hostile._repr_html_()


def test_a_notebook_explores_a_study(study):
    made = study.explore("loss", height=300)
    assert "height: 300px" in made._repr_html_()
    assert 'sandbox="allow-scripts allow-downloads"' in made._repr_html_()
    assert repr(made).startswith("Study rates: a page that a notebook shows")
    with pytest.raises(fl.StudyError, match="height must be a whole number of pixels"):
        study.explore(height=0)


def test_what_is_selected_by_itself_warns(study):
    with pytest.warns(fl.FairlaneWarning, match="both selects and is reported"):
        fresh(study).summary(select="val_loss", report="val_loss")


def test_a_summary_selects_by_one_metric_and_reports_another(study):
    table = study.summary(select="val_loss", report="val_mae", baseline={"lr": 0.01})
    assert set(table["metric"]) == {"val_mae"}
    assert set(table["selected_by"]) == {"val_loss"}
    assert table.loc[table["lr"] == 0.01, "difference"].tolist() == [0]
    with pytest.raises(fl.StudyError, match=r"select='val_loss' chooses variants; give report=\.\.\."):
        study.summary(select="val_loss")
    with pytest.raises(fl.StudyError, match="'loss' and report='val_loss' name the same argument"):
        study.summary("loss", report="val_loss")


def test_the_summary_takes_either_interval(study):
    t, bootstrap = study.summary(), study.summary(interval="bootstrap")
    assert ((t["high"] - t["low"]) > (bootstrap["high"] - bootstrap["low"])).all()
    with pytest.raises(fl.StudyError, match="interval must be 't' or 'bootstrap', not 'z'"):
        study.summary(interval="z")


def test_the_best_trial_is_the_one_with_the_smallest_last_value(study):
    best = study.best()
    assert isinstance(best, fl.Trial)
    assert best.number == int(study.trials["val_loss"].idxmin())
    assert study.best("loss", mode="max").number == int(study.trials["loss"].idxmax())
    smallest = study.history.groupby("trial")["mae"].min().idxmin()
    assert study.best("mae", at="best").number == smallest


def test_without_validation_the_loss_is_the_metric():
    study = compare({"lr": [0.05, 0.01]}, validation_split=0.0, epochs=1)
    assert study.summary().attrs["metric"] == "loss"
    assert "loss in the last epoch:" in repr(study)


def test_an_unknown_metric_lists_those_there_are(study):
    for ask in (study.summary, study.best):
        with pytest.raises(fl.StudyError, match=r"'val_los'.*Did you mean 'val_loss'.*loss, mae"):
            ask("val_los")


# --- models ---------------------------------------------------------------------------------------------


def test_a_model_by_number_and_by_trial(study):
    for trial in (4, np.int64(4), study._record(4).trial):
        model = study.model(trial)
        assert model.compiled
        value = model.evaluate(X[31:], Y[31:], batch_size=8, verbose=0, return_dict=True)["loss"]
        assert value == pytest.approx(study.trials["val_loss"][4], rel=1e-5)
    best = study.best()
    assert study.model(best).optimizer.iterations == 12


@pytest.mark.parametrize("trial", [6, -1])
def test_there_is_no_such_trial(study, trial):
    with pytest.raises(fl.StudyError, match=r"there is no .* in this study; it has the trials 0 to 5"):
        study.model(trial)


@pytest.mark.parametrize("trial", ["rates", 1.0, None, True])
def test_what_is_no_trial(study, trial):
    with pytest.raises(
        fl.StudyError, match=r"trial must be a trial of this study, or its number, 0 to 5, not "
    ):
        study.model(trial)


def test_a_trial_of_another_study_is_not_in_this_one(study):
    other = compare([{}], epochs=1)
    with pytest.raises(fl.StudyError, match="there is no trial 0"):
        study.model(other.best())


def test_the_weights_kept_are_copies_and_not_views_of_stacks(study):
    for record in study._store:
        weights = study._store.weights(record.trial)
        for array in keras.tree.flatten(list(weights.state[:3])):
            assert isinstance(array, np.ndarray)
            base = array if array.base is None else array.base
            assert getattr(base, "nbytes", array.nbytes) <= array.nbytes


# --- figures and words ----------------------------------------------------------------------------------


def test_the_plot_has_a_panel_per_metric_and_the_studys_name(study):
    figure = study.plot()
    assert isinstance(figure, matplotlib.figure.Figure)
    assert len(figure.axes) == 2
    assert "rates" in [t.get_text() for t in figure.texts] or figure.get_suptitle() == "rates"
    assert len(study.plot(metrics=["mae"], title="other").axes) == 1
    assert study.plot(title="other").get_suptitle() == "other"


def test_every_kind_of_plot(study):
    final = study.plot("final", metric="loss").axes[0]
    assert final.get_xlabel() == "loss in the last epoch"
    assert [label.get_text() for label in final.get_yticklabels()] == [
        f"lr={lr}" for lr in study.summary("loss")["lr"]
    ]
    sweep = study.plot("sweep", x="lr", at="best").axes[0]
    assert (sweep.get_xlabel(), sweep.get_ylabel()) == ("lr", "val_loss at the best val_loss")
    paired = study.plot("paired", baseline={"lr": 0.01}, title="other")
    assert paired.axes[0].get_xlabel().endswith("to lr=0.01; left is better")
    assert paired.get_suptitle() == "other"
    assert study.plot("final").get_suptitle() == "rates"


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("curve", {}, "plot draws 'curves', 'final', 'sweep', 'paired', 'optimization', .*, not 'curve'"),
        ("final", {"x": "lr"}, r"plot\('final'\) has no option 'x'; its options are title, metric, select"),
        ("final", {"metrics": ["loss"]}, r"plot\('final'\) has no option 'metrics'"),
        ("sweep", {}, r"plot\('sweep'\) needs x=\.\.\."),
        ("sweep", {"x": "rate"}, "x='rate' is not a hyperparameter of this study"),
    ],
)
def test_wrong_plots_are_refused(study, kind, options, words):
    with pytest.raises(fl.StudyError, match=words):
        study.plot(kind, **options)


def test_a_plot_tells_of_trials_that_did_not_end_well():
    study = compare({"lr": [0.05, 1e30]}, seeds=2)
    (legend,) = study.plot().legends
    assert "2 trials diverged" in [text.get_text() for text in legend.get_texts()]


def test_the_repr_is_a_headline_and_the_summary(study):
    text = repr(study)
    assert text.startswith("Study 'rates': 6 trials of 2 variants (6 done)\nval_loss in the last epoch:")
    assert "0.05" in text
    assert "0.01" in text


def test_the_repr_of_many_variants_is_cut():
    study = compare({"lr": [0.001 * i for i in range(1, 24)]}, epochs=1)
    assert repr(study).endswith("... and 3 more")


def test_hostile_names_are_escaped():
    def builder(**hyperparameters):
        return build()

    evil = "<script>alert(1)</script>"
    study = compare({evil: [evil, "b"]}, builder, epochs=1, name=evil)
    page = study._repr_html_()
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 3
    assert evil in repr(study)
    assert evil in study.history.columns
    assert isinstance(study.plot(), matplotlib.figure.Figure)


def test_dollars_and_underscores_in_names_can_be_drawn():
    def builder(**hyperparameters):
        return build()

    study = compare({"a_$b": ["$x$", "_y", "\\frac{"]}, builder, epochs=1, name="$")
    study.plot().canvas.draw()


def test_a_study_is_shown_where_its_store_cannot_be_read_any_more(study, monkeypatch):
    def full() -> Any:
        raise fl.StoreError("the disk of runs.db is full")

    monkeypatch.setattr(study._store, "noted", full)
    assert "6 done" in repr(study)
    assert repr(study).endswith("Notes can't be read: the disk of runs.db is full")
