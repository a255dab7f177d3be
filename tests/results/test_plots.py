"""Figures: how many panels, lines and labels, and that nothing outside them changes."""

from __future__ import annotations

import doctest
import math
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.text import Text

import _processes
from fairlane.errors import StudyError
from fairlane.results import comparison, frames, plots
from fairlane.results.plots import colours as colours_of
from fairlane.results.plots import lines, points, scatter
from fairlane.results.plots import panels as panels_of
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def study(variants, *, seeds=1, epochs=3, logs=METRICS, scale=1.0):
    """Records with value ``scale ** epoch`` + variant + seed / 10 for every log."""
    records = []
    for number, hyperparameters in enumerate(variants):
        variant = Variant(number, hyperparameters)
        for seed in range(seeds):
            rows = [(e, dict.fromkeys(logs, scale**e + number + seed / 10)) for e in range(epochs)]
            records.append(Record(Trial(len(records), variant, seed), TrialState.DONE, rows))
    return records


def draw(records, **options):
    names = list(dict.fromkeys(n for r in records for n in r.trial.hyperparameters))
    figure = plots.curves(frames.history(records), names, **options)
    figure.draw_without_rendering()  # lays it out: what overlaps or collapses would warn
    return figure


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def ends(figure):
    """The words at the curves' ends."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def words(figure):
    return [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]


def colours(axes):
    return {to_hex(line.get_color()) for line in axes.lines}


def rates(n):
    return [{"lr": rate} for rate in np.logspace(-5, -1, n).tolist()]


@pytest.mark.parametrize("module", [colours_of, panels_of, lines, points, scatter], ids=lambda m: m.__name__)
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


def test_a_panel_per_metric_and_a_line_per_trial_and_data():
    figure = draw(study([{"lr": 0.1}, {"lr": 0.01}]), title="Two rates")
    assert list(panels(figure)) == ["loss", "accuracy"]
    assert figure.get_suptitle() == "Two rates"
    assert words(figure) == [["training", "validation"]]
    assert ends(figure) == ["lr=0.1", "lr=0.01"]
    for axes in panels(figure).values():
        assert [line.get_linestyle() for line in axes.lines] == ["--", "--", "-", "-"]
        assert colours(axes) == {"#0072b2", "#d55e00"}  # Okabe and Ito's blue and vermilion
        assert axes.get_xlabel() == "epoch"


def test_epochs_are_drawn_from_one():
    axes = panels(draw(study([{}], epochs=4)))["loss"]
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3, 4]
    assert axes.lines[0].get_ydata().tolist() == [1.0] * 4
    ticks = [t for t in axes.get_xticks() if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
    assert ticks == [1, 2, 3, 4]


def test_several_seeds_are_a_mean_with_a_band():
    figure = draw(study([{"lr": 0.1}, {"lr": 0.2}], seeds=3, logs=["loss"]))
    axes = panels(figure)["loss"]
    # seeds 0, 1, 2 of variant 0 lie at 1.0, 1.1, 1.2, those of variant 1 one higher
    assert [line.get_ydata() for line in axes.lines] == [pytest.approx([1.1] * 3), pytest.approx([2.1] * 3)]
    # s = 0.1, and t of 2 degrees of freedom 4.302653: ± 4.302653 * 0.1 / sqrt 3
    reach = [np.ptp(band.get_paths()[0].vertices[:, 1]) / 2 for band in axes.collections]
    assert reach == pytest.approx([0.248414] * 2, abs=1e-6)
    assert words(figure) == [["training", "mean over seeds", "interval of the mean"]]


def test_two_seeds_are_thin_lines_around_their_mean():
    axes = panels(draw(study([{"lr": 0.1}], seeds=2, logs=["loss"])))["loss"]
    assert [line.get_linewidth() for line in axes.lines] == [0.7, 0.7, 2.0]
    assert not axes.collections


def test_a_lone_seed_beside_several_has_no_mean_of_its_own():
    records = study([{"lr": 0.1}, {"lr": 0.2}], seeds=3, logs=["loss"])[:4]
    axes = panels(draw(records))["loss"]
    assert [line.get_linewidth() for line in axes.lines] == [2.0, 1.6]
    assert len(axes.collections) == 1


def test_a_band_does_not_stretch_the_panel():
    records = study([{"lr": 0.1}], seeds=3, logs=["loss"])
    records[2].epochs[0][1]["loss"] = 1000.0
    axes = panels(draw(records))["loss"]
    assert axes.get_ylim()[1] < 500  # the mean is 334; its interval ends at 1766


def test_metrics_choose_and_order_the_panels():
    records = study([{"lr": 0.1}])
    assert list(panels(draw(records, metrics=["accuracy", "loss"]))) == ["accuracy", "loss"]
    figure = draw(records, metrics=["val_loss"])
    assert [line.get_linestyle() for line in panels(figure)["val_loss"].lines] == ["-"]
    assert words(figure) == [["validation"]]
    assert ends(figure) == []  # one variant needs no name
    assert list(panels(draw(records, metrics="loss"))) == ["loss"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_any_number_of_panels(n):
    figure = draw(study([{"lr": 0.1}, {"lr": 0.2}], logs=[f"m{i}" for i in range(n)]))
    assert len(figure.axes) == len(panels(figure)) == n


def test_only_what_differs_is_in_the_labels():
    variants = [{"units": 8, "lr": 0.1, "act": "relu"}, {"units": 8, "lr": 0.1}]
    assert ends(draw(study(variants))) == ["act=relu", "the defaults"]


def test_numbers_in_the_labels_are_short():
    # an integer column with a gap is one of floats, in NumPy's own types
    variants = [{"units": 8, "act": "relu"}, {"act": "relu"}, {"units": 16, "act": "tanh"}]
    assert ends(draw(study(variants))) == [
        *("units=8, act=relu", "act=relu", "units=16, act=tanh"),
    ]


def test_seven_variants_have_seven_colours_and_labels():
    figure = draw(study(rates(7)))
    assert len(colours(panels(figure)["loss"])) == 7
    assert len(set(ends(figure))) == 7
    assert len(figure.axes) == 2


@pytest.mark.parametrize(("values", "scale"), [(rates(30), "log"), (range(10, 40), "linear")])
def test_many_values_of_one_number_have_a_colour_bar(values, scale):
    variants = [v if isinstance(v, dict) else {"lr": v} for v in values]
    figure = draw(study([{**v, "act": "relu"} for v in variants]))
    bar = figure.axes[-1]
    assert bar.get_ylabel() == "lr"
    assert bar.get_yscale() == scale
    assert words(figure) == [["validation"]]  # of many, training curves would hide them
    assert len(colours(panels(figure)["loss"])) == 30


@pytest.mark.parametrize(
    "variants",
    [
        [{"act": f"a{i}"} for i in range(25)],
        [{"lr": lr, "units": u} for lr in (0.1, 0.2, 0.3, 0.4, 0.5) for u in range(5)],
        [{"lr": 0.1 * i} if i else {} for i in range(25)],  # one variant lacks the number
    ],
    ids=["words", "two numbers", "a gap"],
)
def test_many_variants_without_a_scale_are_grey_and_the_best_has_colour_and_name(variants):
    figure = draw(study(variants), best=variants[3])
    axes = panels(figure)["loss"]
    assert len(axes.lines) == 25
    assert colours(axes) == {"#b8b8b8", "#d55e00"}
    assert to_hex(axes.lines[-1].get_color()) == "#d55e00"  # drawn over the others
    assert axes.lines[-1].get_ydata().tolist() == [4.0] * 3  # variant 3's
    assert ends(figure) == [
        ", ".join(f"{k}={v:.6g}" if k == "lr" else f"{k}={v}" for k, v in variants[3].items())
    ]


def test_long_labels_are_wrapped():
    variants = [{"layers": [1000 + i, 2000, 3000], "activation": f"activation_{i}"} for i in (0, 1)]
    (label, _) = ends(draw(study(variants)))
    assert "\n" in label
    assert max(map(len, label.splitlines())) <= 26


@pytest.mark.parametrize(
    ("metric", "scale", "expected"),
    [
        ("loss", 0.1, "log"),  # 1, 0.1, 0.01: two decades
        ("loss", 0.5, "linear"),  # 1, 0.5, 0.25: 0.6 decades
        ("loss", -10.0, "linear"),  # 1, -10, 100: not all positive
        ("accuracy", 0.1, "linear"),  # not a loss
    ],
)
def test_losses_over_decades_have_a_logarithmic_axis(metric, scale, expected):
    figure = draw(study([{}], logs=[metric], scale=scale))
    assert panels(figure)[metric].get_yscale() == expected


def test_validation_every_other_epoch_is_one_line():
    record = study([{}], epochs=5, logs=["loss", "val_loss"])[0]
    for epoch, logs in record.epochs:
        if epoch % 2 == 0:
            del logs["val_loss"]
    _, validation = panels(draw([record]))["loss"].lines
    assert validation.get_xdata().tolist() == [2, 4]


def test_what_diverged_ends_where_it_did():
    record = study([{}], epochs=4, logs=["loss"])[0]
    record.epochs[2][1]["loss"], record.epochs[3][1]["loss"] = math.inf, math.nan
    assert panels(draw([record]))["loss"].lines[0].get_xdata().tolist() == [1, 2]


def test_a_single_epoch_is_a_point():
    figure = draw(study([{}], epochs=1))
    training, validation = panels(figure)["loss"].lines
    assert training.get_marker() == validation.get_marker() == "o"
    assert training.get_markerfacecolor() == "none"
    marks = [handle.get_marker() for handle in figure.legends[-1].get_lines()]
    assert marks == ["o", "o"]


def test_a_metric_that_is_never_finite_leaves_its_panel_empty():
    record = study([{}], logs=["loss", "mae"])[0]
    for _, logs in record.epochs:
        logs["mae"] = math.nan
    figure = draw([record])
    assert panels(figure)["mae"].lines[0].get_xdata().tolist() == []


def test_the_history_is_not_changed():
    history = frames.history(study([{"lr": 0.1}], seeds=2))
    before = history.copy(deep=True)
    plots.curves(history, ["lr"])
    assert history.equals(before)
    assert list(history.columns) == list(before.columns)


# labels


def boxes_overlap(figure):
    """Whether two of a figure's words lie over each other."""
    figure.draw_without_rendering()
    texts = [
        t
        for axes in figure.axes
        for t in [*axes.texts, *axes.get_yticklabels(), axes.title, axes.xaxis.label]
    ]
    texts += [t for legend in figure.legends for t in legend.get_texts()]
    # without the threads that lead from annotations to their points
    found = [Text.get_window_extent(t) for t in texts if t.get_text() and t.get_visible()]
    return any(a.overlaps(b) for i, a in enumerate(found) for b in found[i + 1 :])


@pytest.mark.parametrize("n", [2, 4, 7])
@pytest.mark.parametrize("long", [False, True])
def test_labels_never_overlap_even_where_all_curves_end_alike(n, long):
    records = study([{"lr": 0.1 * i, "activation": f"some_function_{i}" if long else "a"} for i in range(n)])
    for r in records:
        for _, logs in r.epochs:
            logs.update(dict.fromkeys(logs, 1.0))
    figure = draw(records, title="all alike", note="2 trials failed")
    assert not boxes_overlap(figure)
    width = figure.bbox.width
    assert all(Text.get_window_extent(t).x1 <= width for axes in figure.axes for t in axes.texts)


boxes = st.lists(st.tuples(st.floats(0, 100), st.floats(1, 12)), min_size=1, max_size=8)


@given(boxes)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_spread_boxes_keep_apart_within_the_room_and_stay_where_they_can(boxes):
    wanted, heights = zip(*boxes, strict=True)
    centres = panels_of.spread(wanted, heights, 100.0)
    spans = sorted((c - h / 2, c + h / 2) for c, h in zip(centres, heights, strict=True))
    assert all(below[1] <= above[0] + 1e-6 for below, above in pairwise(spans))
    assert spans[0][0] >= -1e-6
    assert spans[-1][1] <= 100 + 1e-6
    if len(boxes) == 1:
        half = heights[0] / 2
        assert centres[0] == pytest.approx(min(100 - half, max(half, wanted[0])))


def test_a_variant_without_a_value_is_named_all_the_same():
    records = study([{"lr": 0.1}, {"lr": 0.2}], logs=["loss"])
    for _, logs in records[1].epochs:
        logs["loss"] = math.nan
    assert ends(draw(records)) == ["lr=0.1", "lr=0.2: no value"]


# final, paired, sweep


def compared(kind, records, x=None, **options):
    names = list(dict.fromkeys(n for r in records for n in r.trial.hyperparameters))
    table = comparison.summary(records, "loss", rng=np.random.default_rng(0), **options)
    if kind == "paired":
        figure = plots.paired(comparison.differences(records, "loss", **options), table, names)
    else:
        values = comparison.values(records, "loss")
        figure = (
            plots.final(values, table, names) if kind == "final" else plots.sweep(values, table, names, x)
        )
    figure.draw_without_rendering()
    return figure


def rows(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_final_has_a_row_per_variant_and_a_point_per_trial():
    records = study([{"lr": 0.1}, {"lr": 0.2}], seeds=3)
    records[5].state = TrialState.FAILED
    (axes,) = compared("final", records).axes
    assert rows(axes) == ["lr=0.1", "lr=0.2"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata() for line in dots] == [pytest.approx([1.0, 1.1, 1.2]), pytest.approx([2.0, 2.1])]
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert means == pytest.approx([1.1, 2.05])
    assert [t.get_text() for t in axes.texts] == ["", "1 of 3 failed"]
    assert axes.get_xlabel() == "loss in the last epoch"


def test_a_variant_whose_trials_all_failed_has_a_row():
    records = study([{"lr": 0.1}, {"lr": 0.2}], seeds=2)
    for r in records[2:]:
        r.state = TrialState.FAILED
    (axes,) = compared("final", records).axes
    assert rows(axes) == ["lr=0.1", "lr=0.2"]
    assert [t.get_text() for t in axes.texts] == ["", "2 of 2 failed"]


def test_paired_shows_the_differences_and_their_p_values():
    records = study([{"lr": 0.1}, {"lr": 0.2}], seeds=6)
    for i, r in enumerate(records[:6]):
        r.epochs[-1][1]["loss"] -= 0.01 * i
    figure = compared("paired", records, baseline=1)
    (axes,) = figure.axes
    assert rows(axes) == ["lr=0.1"]
    (dots,) = (line for line in axes.lines if line.get_marker() == "o")
    assert dots.get_xdata() == pytest.approx([-1.0, -1.01, -1.02, -1.03, -1.04, -1.05])
    assert [t.get_text() for t in axes.texts] == ["p = 0.031"]
    assert axes.get_xlabel() == "difference in loss in the last epoch\nto lr=0.2; left is better"
    assert not boxes_overlap(figure)
    with pytest.raises(StudyError, match="there is only one variant"):
        compared("paired", study([{"lr": 0.1}]))


def test_many_variants_have_ranks_and_the_best_its_name():
    figure = compared("final", study(rates(50), seeds=2))
    axes, bar = figure.axes
    assert rows(axes) == ["1", "25", "50"]
    assert bar.get_ylabel() == "lr"
    assert [t.get_text() for t in axes.texts] == ["lr=1e-05"]


def test_sweep_has_a_line_per_combination_of_the_others():
    variants = [{"lr": lr, "act": act} for act in ("relu", "tanh") for lr in (0.1, 0.001, 0.01)]
    figure = compared("sweep", study(variants, seeds=2), x="lr")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    means = {tuple(line.get_xdata()): line.get_ydata() for line in axes.lines if line.get_marker() == "D"}
    assert list(means) == [(0.001, 0.01, 0.1)]  # sorted
    assert ends(figure) == ["act=relu", "act=tanh"]
    assert not boxes_overlap(figure)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1e-3, 1e-2], "log"),
        ([1e-4, 3e-4, 1e-3], "log"),
        ([0.01, 0.1, 0.3, 0.5], "linear"),
        ([0.0, 0.1, 0.2], "linear"),
        ([16, 32], "linear"),
        ([16, 32, 64, 128], "log"),
    ],
)
def test_sweep_has_the_scale_on_which_values_are_evenly_spaced(values, scale):
    figure = compared("sweep", study([{"a": value} for value in values]), x="a")
    assert figure.axes[0].get_xscale() == scale


def test_sweep_says_what_it_does_not_draw():
    records = study([{"lr": lr} for lr in (0.1, 0.2, 0.3)], seeds=2)
    (legend,) = compared("sweep", records, x="lr").legends
    assert legend.get_title().get_text() == ""
    for record in records[3:]:
        record.state, record.epochs = TrialState.FAILED, []
    figure = compared("sweep", records, x="lr")
    (legend,) = figure.legends  # one text with the legend, so that they are not on top of each other
    note = "Not drawn: 3 trials without a finite value, 1 variant without a mean"
    assert (legend.get_title().get_text(), figure.get_supxlabel()) == (note, "")


@pytest.mark.parametrize("kind", ["final", "paired"])
def test_one_far_point_is_marked_and_does_not_flatten_the_others(kind):
    records = study([{"a": value} for value in range(4)], seeds=4)
    plain = compared(kind, records).axes[0]
    assert not [line for line in plain.lines if line.get_label() == "_cut"]
    for _, logs in records[13].epochs:
        logs.update({log: value + 1000 for log, value in logs.items()})
    axes = compared(kind, records).axes[0]
    low, high = axes.get_xlim()
    assert high - low < 50
    assert {line.get_marker() for line in axes.lines if line.get_label() == "_cut"} == {"<", ">"}


def test_bands_can_be_chosen():
    def bands(variants, **options):
        records = study([{"a": value, "b": -value} for value in range(variants)], seeds=3)
        figure = plots.curves(frames.history(records), ["a", "b"], metrics=["loss"], **options)
        return len(figure.axes[0].collections)

    assert bands(3) > 0
    assert bands(3, bands=False) == 0
    assert bands(8) == 0
    assert bands(8, bands=True) == 8  # of many variants, the validation alone
    with pytest.raises(StudyError, match="bands must be True or False, not 'yes'"):
        bands(2, bands="yes")


def test_sweep_needs_numbers():
    records = study([{"lr": 0.1, "act": "relu"}, {"lr": 0.2, "act": "tanh"}])
    with pytest.raises(
        StudyError, match=r"'act' are not numbers.*plot\('final'\).*Hyperparameters with numbers: lr"
    ):
        compared("sweep", records, x="act")
    with pytest.raises(
        StudyError, match=r"x='rate' is not a hyperparameter of this study. Hyperparameters with numbers: lr"
    ):
        compared("sweep", records, x="rate")
    for r in records:
        r.state = TrialState.DONE if r is records[1] else TrialState.FAILED
    records[1].trial.variant.__dict__["hyperparameters"] = {"lr": None, "act": "relu"}
    with pytest.raises(StudyError, match="no variant has both a number for 'lr' and a value to draw"):
        compared("sweep", records, x="lr")


def test_errors_say_what_there_is():
    with pytest.raises(StudyError, match="no trial has finished an epoch yet"):
        plots.curves(frames.history([]), [])
    records = study([{"lr": 0.1}])
    with pytest.raises(StudyError, match=r"'acuracy'\. Did you mean 'accuracy'\? Logged metrics"):
        draw(records, metrics=["acuracy"])
    with pytest.raises(StudyError, match=r"metrics=\[\] leaves nothing to draw"):
        draw(records, metrics=[])


def test_settings_are_left_alone():
    before = dict(matplotlib.rcParams)
    draw(study(rates(30), seeds=2))
    compared("final", study(rates(3), seeds=2))
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_not_imported_and_matplotlib_only_when_drawing():
    program = """
import sys
import pandas as pd
from fairlane.results import plots
assert "matplotlib" not in sys.modules
frame = pd.DataFrame({"trial": [0], "seed": [0], "epoch": [0], "loss": [1.0]})
plots.curves(frame, []).draw_without_rendering()
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    _processes.run([sys.executable, "-c", program], check=True)
