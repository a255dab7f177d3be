"""Figures beside the pictures on file, which people have looked at: `pytest-mpl` compares them.

They are without words, and panels have fixed places, since letters and what makes room for them differ from one
Matplotlib to the next (its FreeType does). What is written and that nothing overlaps is tried by `test_plots.py`.
"""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

import _processes
from fairlane.results import comparison, frames, plots
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant

PICTURES = Path(__file__).parent / "pictures"
RATES = [{"learning_rate": rate} for rate in (0.1, 0.01, 0.001)]
GRID = [{"units": 2**i, "activation": a} for i in range(6) for a in ("relu", "tanh", "elu", "selu", "gelu")]
picture = pytest.mark.mpl_image_compare(baseline_dir="pictures", savefig_kwargs={"dpi": 60})


def study(variants, seeds, epochs=12):
    """Curves that fall to a floor of their own, from a formula without any library's random numbers."""
    records = []
    for v, hyperparameters in enumerate(variants):
        variant = Variant(v, hyperparameters)
        speed, floor = 0.2 + 0.5 * abs(math.sin(v + 1)), 0.05 + 0.3 * abs(math.cos(v))
        for seed in range(seeds):
            shift = 1 + 0.15 * math.sin(7 * v + 3 * seed)
            rows = []
            for epoch in range(epochs):
                loss = 2 * shift * math.exp(-speed * epoch) + 0.01
                rows.append(
                    (epoch, {"loss": loss, "accuracy": 1 - loss / 3, "val_loss": loss + floor * shift})
                )
            records.append(Record(Trial(len(records), variant, seed), TrialState.DONE, rows))
    return records


def failed(records, *numbers):
    for number in numbers:
        records[number].state, records[number].epochs = TrialState.FAILED, []
    return records


def names(records):
    return list(dict.fromkeys(name for r in records for name in r.trial.hyperparameters))


def table(records, **options):
    return comparison.summary(records, "val_loss", rng=np.random.default_rng(0), **options)


def still(figure, *places):
    """The figure without words, its panels in fixed places."""
    figure.set_layout_engine("none")
    figure.set_size_inches(8, 4)
    for words in figure.findobj(Text):
        words.set_alpha(0)
    for legend in figure.legends:
        legend.set_visible(False)
    for axes, place in zip(figure.axes, places or [(0.25, 0.25, 0.5, 0.65)], strict=True):
        axes.set_position(place)
    return figure


@picture
def test_curves_of_few():
    records = failed(study(RATES, 5), 3)
    figure = plots.curves(frames.history(records), names(records), title="Three rates", note="1 trial failed")
    return still(figure, (0.07, 0.25, 0.32, 0.6), (0.46, 0.25, 0.32, 0.6))


@picture
def test_curves_of_many():
    records = study(GRID, 2)
    best = GRID[comparison.values(records, "val_loss")["variant"][0]]
    return still(plots.curves(frames.history(records), names(records), best=best, metrics=["loss"]))


@picture
def test_final():
    records = failed(study(RATES, 5), 3, 10, 11, 12, 13, 14)
    return still(plots.final(comparison.values(records, "val_loss"), table(records), names(records)))


@picture
def test_sweep():
    variants = [{"rate": 10.0**-i, "units": u} for u in (8, 32) for i in range(1, 5)]
    records = study(variants, 3)
    return still(plots.sweep(comparison.values(records, "val_loss"), table(records), names(records), "rate"))


@picture
def test_paired():
    records = study(RATES, 8)
    differences = comparison.differences(records, "val_loss", baseline=0)
    return still(plots.paired(differences, table(records, baseline=0), names(records)))


def test_the_pictures_are_small():
    files = list(PICTURES.glob("*.png"))
    assert len(files) == 5
    assert sum(file.stat().st_size for file in files) < 300_000


CHANGED = """
import sys
sys.path[:0] = {tests!r}
import test_pictures as p

@p.picture
def test_final():
    records = p.study(p.RATES, 5){change}
    return p.still(p.plots.final(p.comparison.values(records, "val_loss"), p.table(records), p.names(records)))
"""


@pytest.mark.parametrize(
    ("change", "passes"),
    [("", False), ("; p.failed(records, 3, 10, 11, 12, 13, 14)", True)],
    ids=["other", "same"],
)
def test_a_plain_run_of_pytest_compares(tmp_path, change, passes):
    # A project of its own with this one's settings: there, a figure of other results must fail.
    root = Path(__file__).parents[2]
    (tmp_path / "tests").mkdir()
    shutil.copy(root / "pyproject.toml", tmp_path)
    shutil.copytree(PICTURES, tmp_path / "tests" / "pictures")
    # under the same name, since pictures are found by the names of tests
    program = CHANGED.format(tests=[str(folder) for folder in Path(__file__).parents[:2]], change=change)
    (tmp_path / "tests" / "test_drawn.py").write_text(program)
    run = _processes.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_drawn.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == (0 if passes else 1), run.stdout + run.stderr
    assert passes or "Error: Image files did not match" in run.stdout
