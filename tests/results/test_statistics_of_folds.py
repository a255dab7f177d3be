"""The statistics of folds, which share training samples."""

import math

import numpy as np
import pytest
from scipy import stats

from fairlane.errors import StudyError
from fairlane.results import comparison
from fairlane.results.folds import over_folds, p_value_over_folds
from fairlane.results.report.verdict import verdict
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant

DIFFERENCES = [0.02, 0.05, 0.01, 0.04, 0.03]


def test_the_interval_and_the_p_value_are_those_of_nadeau_and_bengio():
    # By hand, from their formula (10): t = mean / sqrt((1 / J + n2 / n1) * S^2), J - 1 degrees of freedom.
    mean, variance = 0.03, 0.00025
    error = math.sqrt((1 / 5 + 1 / 4) * variance)
    reach = 2.7764451051977987 * error  # t's 97.5 % quantile for 4 degrees of freedom
    found = over_folds(DIFFERENCES, range(5), share=1 / 4)
    assert found == pytest.approx((mean, mean - reach, mean + reach))
    expected = 2 * stats.t(4).sf(mean / error)
    assert p_value_over_folds(DIFFERENCES, range(5), share=1 / 4) == pytest.approx(expected)
    assert p_value_over_folds([-d for d in DIFFERENCES], range(5), 1 / 4) == pytest.approx(expected)


def test_without_shared_samples_it_is_students():
    interval = stats.t.interval(0.9, 4, np.mean(DIFFERENCES), stats.sem(DIFFERENCES))
    assert over_folds(DIFFERENCES, range(5), 0.0, 0.9)[1:] == pytest.approx(interval)


def test_the_seeds_of_a_fold_are_one_value():
    values, folds = [1.0, 3.0, 2.0, 4.0, 0.0, 2.0], [0, 0, 1, 1, 2, 2]
    assert over_folds(values, folds, 0.5) == over_folds([2.0, 3.0, 1.0], [0, 1, 2], 0.5)


def test_what_too_few_folds_can_not_say_is_nan():
    assert over_folds([1.0], [0], 0.1)[0] == 1.0
    assert math.isnan(over_folds([1.0], [0], 0.1)[1])
    assert math.isnan(p_value_over_folds([1.0], [0], 0.1))
    assert all(map(math.isnan, over_folds([1.0, math.nan], [0, 1], 0.1)))
    assert over_folds([0.5, 0.5], [0, 1], 0.1) == (0.5, 0.5, 0.5)
    assert p_value_over_folds([0.0, 0.0], [0, 1], 0.1) == 1.0


def test_folds_that_differ_equally_are_not_taken_for_certain():
    # 0.8 - 0.7 and 0.9 - 0.8 differ by a rounding error, which is no deviation. Signs: 2 of 2^k combinations.
    assert p_value_over_folds([0.8 - 0.7, 0.9 - 0.8], [0, 1], 1.0) == 0.5
    assert p_value_over_folds([-0.05] * 5, range(5), 0.25) == 2 / 2**5
    assert over_folds([0.8 - 0.7, 0.9 - 0.8], [0, 1], 1.0)[1:] == pytest.approx((0.1, 0.1))


def records(values, seeds=2):
    """A trial per variant, seed and fold."""
    made = []
    for number, of_folds in enumerate(values):
        variant = Variant(number, {"lr": 0.1 * (number + 1)})
        for seed in range(seeds):
            for fold, value in enumerate(of_folds):
                logs = [(0, {"loss": value + 0.01 * seed})]
                made.append(Record(Trial(len(made), variant, seed, fold), TrialState.DONE, logs))
    return made


def test_a_summary_compares_fold_by_fold():
    given = records([[0.3, 0.5, 0.4, 0.6, 0.2], [0.32, 0.55, 0.41, 0.64, 0.23]])
    frame = comparison.summary(given, "loss", rng=np.random.default_rng(0), share=0.25)
    assert frame[["seeds", "folds", "pairs"]].values.tolist() == [[2, 5, 10], [2, 5, 10]]
    second = frame.iloc[1]
    expected = over_folds(DIFFERENCES, range(5), 0.25)
    assert second[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(expected)
    assert second["p_value"] == pytest.approx(p_value_over_folds(DIFFERENCES, range(5), 0.25))
    assert second["probability"] == 0.0
    assert math.isnan(second["median_low"])
    assert comparison.values(given, "loss").columns.tolist() == ["variant", "lr", "seed", "fold", "value"]
    assert comparison.differences(given, "loss")["fold"].tolist() == [*range(5), *range(5)]
    assert "5 folds, 2 seeds" in verdict(given, "loss", share=0.25).sentence


def test_a_bootstrap_over_folds_is_refused():
    given = records([[0.3, 0.5], [0.32, 0.55]])
    with pytest.raises(StudyError, match="interval='bootstrap' takes folds for independent"):
        comparison.summary(given, "loss", interval="bootstrap", rng=np.random.default_rng(0))
