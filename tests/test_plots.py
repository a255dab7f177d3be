"""Figures: how many panels, lines and labels, and that nothing outside them changes."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from fairlane import frames, plots
from fairlane.errors import StudyError
from fairlane.store import Record
from fairlane.trial import Trial, TrialState, Variant

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


def words(figure):
    return [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]


def colours(axes):
    return {to_hex(line.get_color()) for line in axes.lines}


def rates(n):
    return [{"lr": rate} for rate in np.logspace(-5, -1, n).tolist()]


def test_doctests():
    assert doctest.testmod(plots).failed == 0


def test_a_panel_per_metric_and_a_line_per_trial_and_data():
    figure = draw(study([{"lr": 0.1}, {"lr": 0.01}]), title="Two rates")
    assert list(panels(figure)) == ["loss", "accuracy"]
    assert figure.get_suptitle() == "Two rates"
    assert words(figure) == [["lr=0.1", "lr=0.01"], ["training", "validation"]]
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


def test_several_seeds_are_thin_lines_around_a_thick_mean():
    figure = draw(study([{"lr": 0.1}, {"lr": 0.2}], seeds=3, logs=["loss"]))
    lines = panels(figure)["loss"].lines
    thick = [line for line in lines if line.get_linewidth() > 2]
    assert (len(lines), len(thick)) == (2 * 3 + 2, 2)
    # seeds 0, 1, 2 of variant 0 lie at 1.0, 1.1, 1.2, those of variant 1 one higher
    assert thick[0].get_ydata() == pytest.approx([1.1] * 3)
    assert thick[1].get_ydata() == pytest.approx([2.1] * 3)
    assert words(figure)[1] == ["training", "one seed", "mean of the seeds"]


def test_a_lone_seed_beside_several_has_no_mean_of_its_own():
    records = study([{"lr": 0.1}, {"lr": 0.2}], seeds=2, logs=["loss"])[:3]
    widths = [line.get_linewidth() for line in panels(draw(records))["loss"].lines]
    assert sorted(widths) == [0.7, 0.7, 1.6, 2.2]


def test_metrics_choose_and_order_the_panels():
    records = study([{"lr": 0.1}])
    assert list(panels(draw(records, metrics=["accuracy", "loss"]))) == ["accuracy", "loss"]
    figure = draw(records, metrics=["val_loss"])
    assert [line.get_linestyle() for line in panels(figure)["val_loss"].lines] == ["-"]
    assert words(figure) == [["validation"]]  # one variant needs no legend
    assert list(panels(draw(records, metrics="loss"))) == ["loss"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_any_number_of_panels(n):
    figure = draw(study([{"lr": 0.1}, {"lr": 0.2}], logs=[f"m{i}" for i in range(n)]))
    assert len(figure.axes) == len(panels(figure)) == n


def test_only_what_differs_is_in_the_legend():
    variants = [{"units": 8, "lr": 0.1, "act": "relu"}, {"units": 8, "lr": 0.1}]
    assert words(draw(study(variants)))[0] == ["act=relu", "the defaults"]


def test_numbers_in_the_legend_are_short():
    # an integer column with a gap is one of floats, in NumPy's own types
    variants = [{"units": 8, "act": "relu"}, {"act": "relu"}, {"units": 16, "act": "tanh"}]
    assert words(draw(study(variants)))[0] == [
        *("units=8, act=relu", "act=relu", "units=16, act=tanh"),
    ]


def test_eight_variants_have_eight_colours():
    figure = draw(study(rates(8)))
    assert len(colours(panels(figure)["loss"])) == 8
    assert len(words(figure)[0]) == 8
    assert len(figure.axes) == 2


@pytest.mark.parametrize(("values", "scale"), [(rates(30), "log"), (range(10, 40), "linear")])
def test_many_values_of_one_number_have_a_colour_bar(values, scale):
    variants = [v if isinstance(v, dict) else {"lr": v} for v in values]
    figure = draw(study([{**v, "act": "relu"} for v in variants]))
    bar = figure.axes[-1]
    assert bar.get_ylabel() == "lr"
    assert bar.get_yscale() == scale
    assert words(figure) == [["training", "validation"]]
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
def test_many_variants_without_a_scale_have_a_truncated_legend(variants):
    figure = draw(study(variants))
    labels = words(figure)[0]
    assert len(labels) == 21
    assert labels[-1] == "... and 5 more (colours repeat)"
    assert len(colours(panels(figure)["loss"])) == 20


def test_long_labels_are_wrapped():
    variants = [{"layers": [1000 + i, 2000, 3000], "activation": f"activation_{i}"} for i in (0, 1)]
    (label, _) = words(draw(study(variants)))[0]
    assert "\n" in label
    assert max(map(len, label.splitlines())) <= 38


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


def test_errors_say_what_there_is():
    with pytest.raises(StudyError, match="no trial has finished an epoch yet"):
        plots.curves(frames.history([]), [])
    records = study([{"lr": 0.1}])
    with pytest.raises(StudyError, match=r"'acuracy'\. Did you mean 'accuracy'\? There are"):
        draw(records, metrics=["acuracy"])
    with pytest.raises(StudyError, match=r"metrics=\[\] leaves nothing to draw"):
        draw(records, metrics=[])


def test_settings_are_left_alone():
    before = dict(matplotlib.rcParams)
    draw(study(rates(30), seeds=2))
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_not_imported_and_matplotlib_only_when_drawing():
    program = """
import sys
import pandas as pd
from fairlane import plots
assert "matplotlib" not in sys.modules
frame = pd.DataFrame({"trial": [0], "seed": [0], "epoch": [0], "loss": [1.0]})
plots.curves(frame, []).draw_without_rendering()
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
