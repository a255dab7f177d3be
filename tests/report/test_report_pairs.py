"""What the page computes and draws of pairs, maps and importance, in a real Chromium, against what Python computes."""

import logging
import random

import numpy as np
import pytest
from _made import facts, fail, study

from _chromium import INSTALL, count, path, rows, texts
from fairlane.results import comparison, folds, optuna_study, pairs, report
from fairlane.trials import Trial, TrialState

pytestmark = pytest.mark.skipif(path() is None, reason=INSTALL)

CHOOSE = """(() => {{
    const label = [...document.querySelectorAll("label")].filter((e) => e.querySelector("select"))
        .find((e) => e.firstChild.textContent.trim() === {label!r});
    const select = label.querySelector("select");
    select.value = {value!r};
    select.dispatchEvent(new Event("change"));
}})()"""


@pytest.fixture
def show(browser, tmp_path):
    """Opens the page of records; at the end, nothing must have complained."""

    def opened(records, **options):
        browser.open(report.write(facts(records, **options), tmp_path / "report.html"))
        return browser

    yield opened
    assert browser.complaints == []


def choose(page, label, value):
    page.run(CHOOSE.format(label=label, value=value))


def grid(variants, **options):
    """Two hyperparameters, and a value that depends on the first alone, but for a little noise of the seed."""
    drawn = random.Random(0)
    made = study(variants, names=lambda n: {"rate": 10.0 ** -(n % 4), "units": 8 * (1 + n // 4)}, **options)
    for record in made:
        for _, logs in record.epochs:
            logs["val_loss"] = 1.0 + record.trial.variant.number % 4 + 0.1 * drawn.random()
    return made


@pytest.mark.parametrize(
    "values", [[0.1, -0.2, 0.4, 0.3, 0.2], [0.5, 0.5], [3.0] * 6, [-1.0, 2.0, 3.5, 1e-3, 0.1, 5.0, 2.0]]
)
def test_an_interval_and_a_p_value_are_those_of_python(show, values):
    page = show(study(2))
    zeros, rng = [0.0] * len(values), np.random.default_rng(0)
    found = page.run(f"pairedOf({values}, null, 0, 0.95)")
    assert [found["mean"], found["low"], found["high"]] == pytest.approx(
        list(pairs.paired_difference(values, zeros, rng=rng)), rel=1e-9
    )
    assert found["p"] == pytest.approx(pairs.paired_p_value(values, zeros, rng=rng), rel=1e-9)


def test_a_p_value_of_many_pairs_is_drawn(show):
    page, drawn = show(study(2)), np.random.default_rng(3)
    values = (drawn.normal(size=24) + 0.45).tolist()
    exact = pairs.paired_p_value(values, [0.0] * 24, resamples=200_000, rng=np.random.default_rng(0))
    assert 0.005 < exact < 0.5
    assert page.run(f"pairedOf({values}, null, 0, 0.95).p") == pytest.approx(
        exact, abs=5 * (exact / 9999) ** 0.5
    )


def test_folds_are_not_taken_for_independent(show):
    page = show(study(2))
    values, of, share = [0.1, 0.2, 0.15, 0.12, 0.18, 0.3], [0, 1, 2, 3, 4, 4], 0.25
    found = page.run(f"pairedOf({values}, {of}, {share}, 0.95)")
    expected = folds.over_folds(values, of, share)
    assert [found["mean"], found["low"], found["high"]] == pytest.approx(list(expected), rel=1e-9)
    assert found["p"] == pytest.approx(folds.p_value_over_folds(values, of, share), rel=1e-7)


def test_two_variants_have_their_interval_and_say_how_many_pairs_a_p_value_takes(show):
    records = study(3)
    fail(records[8])  # seed 2 of variant 2
    page = show(records)
    table = comparison.summary(records, "val_loss", baseline=1, rng=np.random.default_rng(0)).set_index(
        "variant"
    )
    low, high = (f"{table.loc[0, f'difference_{end}']:.4g}" for end in ("low", "high"))
    assert texts(page, "#pair")[0] == (
        f"Variant 0 minus variant 1: -1.001 on average, 95 % interval {low} to {high} (3 pairs). There is no "
        "p-value: to reach 0.05, corrected for the 3 pairs that could have been chosen, it takes 7 pairs."
    )
    choose(page, "with", "2")
    assert "(2 pairs)" in texts(page, "#pair")[0]
    assert rows(page, "two-variants", "difference") == ["-2", "-2.002"]
    assert count(page, ".pair") == 2
    choose(page, "with", "0")
    assert texts(page, "#pair")[0] == "Choose two different variants."


def test_a_p_value_is_corrected_for_all_pairs(show):
    records = study(3, seeds=8)
    page = show(records)
    # 2 / 2**8, times the three pairs.
    assert texts(page, "#pair")[0].endswith(
        "p = 0.023, corrected for the 3 pairs that could have been chosen."
    )


def test_pairs_of_folds(show):
    records = study(2, seeds=4)
    for record in records:
        trial = record.trial
        record.trial = Trial(trial.number, trial.variant, trial.seed % 2, trial.seed // 2)
    page = show(records)
    assert rows(page, "two-variants", "replicate")[1:3] == ["seed 1, fold 0", "seed 0, fold 1"]
    assert "(2 folds)" in texts(page, "#pair")[0]


def test_a_map_has_a_cell_for_each_pair_of_values(show):
    page = show(grid(12))
    assert count(page, ".cell") == 12
    assert (
        len(set(page.run("[...document.querySelectorAll('.cell')].map((e) => e.getAttribute('fill'))"))) > 4
    )
    assert texts(page, ".in-cell")[0].startswith("1.0")
    click_range(page)
    assert count(page, ".cell") == 3  # filters act here, too


def click_range(page):
    """Keep only the largest rate."""
    page.run(
        "(() => { const i = document.querySelector('[aria-label=\"rate from\"]'); i.value = '0.5'; "
        "i.dispatchEvent(new Event('change')) })()"
    )


def test_an_axis_of_many_numbers_is_cut_into_ranges(show):
    page = show(study(40, seeds=1, names=lambda n: {"rate": 1.0 + n, "units": 8 + 3 * (n % 7)}))
    columns = "new Set([...document.querySelectorAll('.cell')].map((e) => e.getAttribute('x'))).size"
    lines = "new Set([...document.querySelectorAll('.cell')].map((e) => e.getAttribute('y'))).size"
    assert sorted([page.run(columns), page.run(lines)]) == [7, 8]
    choose(page, "Map of", "units")
    assert (page.run(columns), page.run(lines)) == (7, 8)


def test_importance_is_that_of_python_with_its_range_over_seeds(show, monkeypatch):
    said, listening = [], logging.Handler()
    listening.emit = said.append
    monkeypatch.setattr(logging.getLogger("optuna"), "handlers", [listening])
    records = grid(12)
    page = show(records)
    assert said == []  # on the terminal, a line per seed
    expected = optuna_study.importance(records, "val_loss", "auto", "fanova", 0)
    assert expected["hyperparameter"].tolist() == ["rate", "units"]
    bars = page.run("[...document.querySelectorAll('.bar')].map((e) => e.getAttribute('width')).map(Number)")
    assert bars[0] / sum(bars) == pytest.approx(expected["importance"][0], abs=0.02)
    assert count(page, ".range") == 2


def test_importance_says_why_it_is_not_there(show):
    records = grid(8)
    records[-1].state = TrialState.RUNNING
    page = show(records)
    assert "The importance of hyperparameters is computed when no trial is running." in texts(
        page, "figure p"
    )
    page = show(study(3, seeds=1, names=lambda n: {"rate": n, "units": 8 - n}))
    assert any("importance needs 4 variants" in text for text in texts(page, "figure p"))
    page = show(study(4))  # one hyperparameter: there is nothing to compare
    assert page.run(
        "[...document.querySelectorAll('figcaption')].find((e) => e.textContent === 'Importance').parentNode.hidden"
    )
