"""The figures of a search: each shows what the records hold."""

import numpy as np
import pytest

import fairlane as fl
from fairlane.provenance.origin import Origin
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
