"""The figures of a search: each shows what the records hold."""

import numpy as np
import pytest

import fairlane as fl
from fairlane.provenance.origin import Origin
from fairlane.results.pareto import front
from fairlane.store import MemoryStore
from fairlane.trials import EpochEnded, Trial, TrialDone, TrialStarted, Variant

RATES = [1e-3, 1e-2, 1e-1]


def study():
    """Six variants; the three with ``act="gelu"`` were stopped after one epoch of two."""
    trials = [
        Trial(i, Variant(i, {"rate": RATES[i % 3], "act": "relu" if i < 3 else "gelu"}), 0) for i in range(6)
    ]
    store = MemoryStore(trials)
    for i, trial in enumerate(trials):
        store.write(TrialStarted(trial, "lanes"))
        for epoch in range(1 if i >= 3 else 2):
            store.write(EpochEnded(trial, epoch, {"loss": (i + 1.0) / (epoch + 1)}))
        store.write(TrialDone(trial, 1.0, None, stopped=i >= 3))
    return fl.Study(store, "figures", lambda trial, weights: None, Origin)


def points(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_the_order_of_the_search_and_the_best_so_far():
    (axes,) = study().plot("optimization").axes
    assert points(axes, "trained to the end").get_ydata().tolist() == [0.5, 1.0, 1.5]
    assert points(axes, "stopped").get_ydata().tolist() == [4.0, 5.0, 6.0]
    assert points(axes, "best so far").get_ydata().tolist() == [0.5, 0.5, 0.5]


def test_rungs_show_where_a_curve_was_stopped():
    (axes,) = study().plot("rungs").axes
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(1, 4.0), (1, 5.0), (1, 6.0)]


def test_a_slice_has_a_panel_for_each_hyperparameter_that_varies():
    rate, act = study().plot("slice").axes
    assert points(rate, "trained to the end").get_xdata().tolist() == RATES
    assert rate.get_xscale() == "log"
    assert [tick.get_text() for tick in act.get_xticklabels()] == ["relu", "gelu"]


def test_parallel_lines_go_through_the_hyperparameters_to_the_value():
    axes = study().plot("parallel").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["rate", "act", "loss"]
    lines = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 3]
    assert len(lines) == 6
    assert np.allclose(lines[-1], [0.0, 0.0, 0.0])  # the best is drawn last: 1e-3, relu, 0.5


def test_a_contour_is_over_two_hyperparameters():
    axes = study().plot("contour", x="rate", y="act").axes[0]
    (marks,) = axes.collections
    assert sorted(marks.get_array().tolist()) == [0.5, 1.0, 1.5, 4.0, 5.0, 6.0]
    with pytest.raises(
        fl.StudyError, match=r"plot\('contour'\) needs y=..., a hyperparameter that varies: rate"
    ):
        study().plot("contour", x="rate")


def test_stopped_variants_are_not_ranked():
    with pytest.warns(fl.FairlaneWarning, match="Too few seeds"):
        table = study().summary("loss")
    assert table["variant"].tolist() == [0, 1, 2]


SEEDS = {0: [1.0, 3.0], 1: [4.0, 4.0], 2: [3.0, 3.0], 3: [0.5, np.nan], 4: [6.0, 6.0], 5: [2.0, 2.0]}
SCORES = {0: 0.5, 1: 0.9, 2: 0.5, 3: 0.95, 4: 0.7, 5: 0.5}
"""By hand: 0 and 5 are the best by loss and equal, 1 by score; 0 is better than 2, and 1 than 4; 3 diverged."""


def two_objectives():
    trials = [Trial(2 * n + seed, Variant(n, {"rate": 0.1 * n}), seed) for n in SEEDS for seed in (0, 1)]
    store = MemoryStore(trials)
    for trial in trials:
        n = trial.variant.number
        store.write(TrialStarted(trial, "lanes"))
        store.write(EpochEnded(trial, 0, {"loss": SEEDS[n][trial.seed], "accuracy": SCORES[n]}))
        store.write(TrialDone(trial, 1.0, None))
    return fl.Study(store, "pareto", lambda trial, weights: None, Origin)


def test_the_front_is_that_of_the_hand():
    frame = two_objectives().pareto(["loss", "accuracy"])
    assert frame.columns.tolist() == ["variant", "rate", "loss", "accuracy", "front"]
    assert frame["variant"].tolist() == [0, 5, 1, 3, 2, 4]
    assert frame["front"].tolist() == [True, True, True, False, False, False]
    assert frame["loss"].tolist() == [2.0, 2.0, 4.0, 0.5, 3.0, 6.0]
    assert frame.attrs["objectives"] == {"loss": "min", "accuracy": "max"}


def test_the_front_of_other_directions_and_of_three():
    frame = two_objectives().pareto([("loss", "max"), ("accuracy", "min")])
    assert sorted(frame[frame["front"]]["variant"]) == [2, 4]
    values = np.random.default_rng(0).integers(0, 6, (60, 3)).astype(float)
    by_hand = [not any((b <= a).all() and (b < a).any() for b in values) for a in values]
    assert front(values).tolist() == by_hand


def test_the_plot_shows_the_front_and_the_others():
    (axes,) = two_objectives().plot("pareto", objectives=["loss", "accuracy"]).axes
    assert list(zip(*points(axes, "on the front").get_data(), strict=True)) == [(2, 0.5), (2, 0.5), (4, 0.9)]
    assert sorted(points(axes, "others").get_xdata()) == [0.5, 3.0, 6.0]
    assert axes.get_xlabel() == "loss (small is better)"
    assert axes.get_ylabel() == "accuracy (large is better)"
    (axes,) = two_objectives().plot("pareto", objectives=["loss", "accuracy"], x="accuracy").axes
    assert axes.get_ylabel() == "loss (small is better)"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "pareto needs two different objectives or more, and there is none"),
        ("loss", "and there is only 'loss'; give them, such as study.pareto"),
        (["loss", ("loss", "max")], "and there is two that are the same"),
        (["loss", "los"], "los.*Did you mean 'loss'"),
        (["loss", ("accuracy", "up")], "objective must be a log's name .* not .'accuracy', 'up'."),
        (["loss", "parameters", "rate"], "can't show the objective 'rate', because a column has this name"),
    ],
)
def test_objectives_that_are_none(given, words):
    with pytest.raises(fl.StudyError, match=words):
        two_objectives().pareto(given)


def test_a_plot_of_objectives_that_are_none():
    with pytest.raises(fl.StudyError, match="two different objectives: loss, accuracy; not y='los'"):
        two_objectives().plot("pareto", objectives=["loss", "accuracy"], y="los")


def test_where_no_value_is_finite_nothing_is_drawn():
    trial = Trial(0, Variant(0, {"rate": 0.1}), 0)
    store = MemoryStore([trial])
    for event in (
        TrialStarted(trial, "lanes"),
        EpochEnded(trial, 0, {"loss": np.nan}),
        TrialDone(trial, 1.0, None),
    ):
        store.write(event)
    diverged = fl.Study(store, "figures", lambda trial, weights: None, Origin)
    for kind in ("parallel", "slice", "contour"):
        with pytest.raises(fl.StudyError, match=r"no variant has a finite 'loss' to draw; see study.trials"):
            diverged.plot(kind)
