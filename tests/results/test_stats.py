"""The statistics, against values worked out by hand and properties that hold for any input."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.errors import StudyError
from fairlane.results import pairs, statistics

values = st.floats(-1e6, 1e6, allow_subnormal=False)
samples = st.lists(values, min_size=2, max_size=12)
quick = settings(deadline=None, max_examples=60, derandomize=True)


def interval(x, *, seed=0, resamples=199, interval="bootstrap", **options):
    rng = np.random.default_rng(seed)
    return statistics.estimate(x, resamples=resamples, interval=interval, rng=rng, **options)


def difference(a, b, *, seed=0, resamples=199):
    rng = np.random.default_rng(seed)
    return pairs.paired_difference(a, b, interval="bootstrap", resamples=resamples, rng=rng)


def t(x, statistic="mean", **options):
    return statistics.estimate(x, statistic, rng=np.random.default_rng(0), **options)


def p_value(a, b, **options):
    return pairs.paired_p_value(a, b, rng=np.random.default_rng(0), **options)


@pytest.mark.parametrize("module", [pairs, statistics])
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


def test_no_values_give_nothing():
    assert all(math.isnan(part) for part in interval([]))


def test_one_value_has_no_interval():
    mean, low, high = interval([0.25])
    assert mean == 0.25
    assert math.isnan(low)
    assert math.isnan(high)


def test_equal_values_are_their_own_interval():
    # 0.1 + 0.1 + 0.1 is 0.30000000000000004 in floats; the mean must not show it.
    assert interval([0.1, 0.1, 0.1]) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_takes_all_with_it(bad):
    assert all(math.isnan(part) for part in interval([1.0, bad, 3.0]))
    assert all(math.isnan(part) for part in difference([1.0, bad, 3.0], [1.0, 2.0, 4.0]))


def test_the_difference_of_equal_infinities_is_nan_without_a_warning():
    assert all(math.isnan(part) for part in difference([math.inf, 1.0], [math.inf, 0.0]))


def test_two_values_span_their_interval():
    # Resampled means of {1, 3} are 1, 2 and 3 with chances 1/4, 1/2, 1/4; the 2.5 % and 97.5 %
    # quantiles are the ends, and by symmetry BCa corrects nothing.
    assert interval([1.0, 3.0], resamples=9999) == (2.0, 1.0, 3.0)


def test_a_large_normal_sample_has_the_interval_of_the_textbook():
    # For n normal values, mean ± 1.96 s / sqrt(n); here s is 1 by construction, n = 400: ± 0.098.
    x = np.random.default_rng(5).normal(size=400)
    x = (x - x.mean()) / x.std(ddof=1)
    mean, low, high = interval(x, resamples=9999)
    assert mean == pytest.approx(0.0, abs=1e-12)
    assert (low, high) == pytest.approx((-0.098, 0.098), abs=0.006)


@pytest.mark.parametrize(("kind", "low", "high"), [("t", 0.93, 0.98), ("bootstrap", 0.76, 0.86)])
def test_the_coverage_for_five_seeds_is_what_the_docstring_says(kind, low, high):
    # 96 % and 83 % of 95 % intervals hold the mean; the standard error of 600 is about 1 %.
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(600):
        _, below, above = statistics.estimate(rng.normal(size=5), interval=kind, resamples=399, rng=rng)
        hits += below <= 0 <= above
    assert low < hits / 600 < high


def test_percentile_stands_in_where_bca_is_degenerate():
    # Where all resampled means lie below the mean, BCa's bias correction is infinite. Of two
    # resamples, both lack the single 1 with chance (0.9 ** 10) ** 2 = 0.12; then both means are 0.
    intervals = [interval([0.0] * 9 + [1.0], resamples=2, seed=seed)[1:] for seed in range(40)]
    assert np.isfinite(intervals).all()
    assert (0.0, 0.0) in intervals


def test_the_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    interval([1.0, 2.0, 4.0])
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_wider_confidence_gives_a_wider_interval():
    x = [1.0, 2.0, 4.0, 8.0, 9.0]
    narrow, wide = interval(x, confidence=0.5), interval(x, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@given(samples)
@quick
def test_the_interval_holds_the_mean_and_stays_within_the_values(x):
    mean, low, high = interval(x)
    slack = 1e-9 * max(1.0, *map(abs, x))
    assert low - slack <= mean <= high + slack
    assert min(x) - slack <= low <= high <= max(x) + slack


@given(samples, st.randoms(use_true_random=False))
@quick
def test_the_order_of_replicates_does_not_matter(x, random):
    shuffled = random.sample(x, len(x))
    assert interval(shuffled) == interval(x)


@given(st.lists(st.tuples(values, values), min_size=2, max_size=12), st.randoms())
@quick
def test_the_order_of_pairs_does_not_matter(pairs, random):
    a, b = zip(*pairs, strict=True)
    c, d = zip(*random.sample(pairs, len(pairs)), strict=True)
    assert difference(c, d) == difference(a, b)


@given(st.lists(st.tuples(values, values), min_size=2, max_size=12))
@quick
def test_swapping_the_pair_flips_the_sign_of_the_mean(pairs):
    a, b = zip(*pairs, strict=True)
    forth, back = difference(a, b), difference(b, a)
    assert forth.value == pytest.approx(-back.value, rel=1e-9, abs=1e-6)


def test_what_pairs_share_cancels_out():
    # b is a + 1 exactly, however far the seeds lie apart: the difference is -1 with no spread.
    a = np.array([0.0, 512.0, 1024.0])
    assert difference(a, a + 1) == (-1.0, -1.0, -1.0)


def test_pairs_need_one_length():
    with pytest.raises(StudyError, match="are paired by seed, so they need the same length, not 2 and 3"):
        difference([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confidence": 95}, "confidence must lie between 0 and 1, such as 0.95; got 95"),
        ({"confidence": 0.0}, "confidence must lie between 0 and 1"),
        ({"resamples": 1}, "resamples must be at least 2, such as 9999; got 1"),
        ({"interval": "normal"}, "interval must be 't' or 'bootstrap', not 'normal'"),
        ({"statistic": "mode"}, "statistic must be one of 'mean', 'median', 'iqm', not 'mode'"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(StudyError, match=words):
        interval([1.0, 2.0], **options)


def test_a_table_of_values_is_refused():
    with pytest.raises(StudyError, match=r"one dimension.*its shape is \(2, 2\)"):
        interval([[1.0, 2.0], [3.0, 4.0]])


# Student's t and its like


def test_the_t_interval_by_hand():
    # 1, 2, 3, 4, 5: mean 3, variance 2.5, t of 4 degrees of freedom 2.776445: 2.776445 * sqrt(2.5 / 5) = 1.963243
    assert t([5.0, 3.0, 1.0, 2.0, 4.0]) == pytest.approx((3.0, 3 - 1.963243, 3 + 1.963243), abs=1e-6)


def test_the_interquartile_mean_by_hand():
    # Of 8 values 2 are cut off at either end, of 5 one, of 3 none: (3+4+5+6)/4, (2+3+4)/3, (1+2+9)/3.
    assert t([1, 2, 3, 4, 5, 6, 70, 80], "iqm").value == 4.5
    assert t([100, 2, 3, 4, -50], "iqm").value == 3.0
    assert t([1, 2, 9], "iqm") == t([1, 2, 9])


def test_the_interval_of_the_interquartile_mean_by_hand():
    # 0, 2, 3, 4, 100 winsorised are 2, 2, 3, 4, 4: variance 1. Tukey and McLaughlin's standard error is
    # 1 / (0.5 sqrt 5) = 0.894427, and t of 3 - 1 degrees of freedom 4.302653: 3 ± 3.848410.
    assert t([0, 2, 3, 4, 100], "iqm") == pytest.approx((3, 3 - 3.848410, 3 + 3.848410), abs=1e-5)


def test_the_interval_of_the_median_by_hand():
    # All 6 lie on one side of the median with chance 2 / 2^6 = 3 %; of 9, all but one with 2 (1 + 9) / 2^9 = 4 %.
    assert t([3, 1, 2, 6, 5, 4], "median") == (3.5, 1.0, 6.0)
    assert t([3, 1, 2, 6, 5, 4, 7, 8, 9], "median") == (5.0, 2.0, 8.0)
    value, low, high = t([3, 1, 2, 5, 4], "median")  # of 5, 2 / 2^5 = 6 %: too few for 95 %
    assert value == 3.0
    assert math.isnan(low)
    assert math.isnan(high)
    assert t([3, 1, 2, 5, 4], "median", confidence=0.9) == (3.0, 1.0, 5.0)


def test_the_bootstrap_of_the_median():
    # Of 3 values the median of a resample is the least of them with chance 7 / 27: more than 2.5 %.
    assert interval([1.0, 2.0, 9.0], statistic="median", resamples=999) == (2.0, 1.0, 9.0)


@given(samples, st.sampled_from(["mean", "median", "iqm"]), st.sampled_from(["t", "bootstrap"]))
@quick
def test_any_interval_holds_its_statistic_which_lies_within_the_values(x, statistic, kind):
    value, low, high = interval(x, statistic=statistic, interval=kind)
    slack = 1e-9 * max(1.0, *map(abs, x))
    assert min(x) - slack <= value <= max(x) + slack
    assert math.isnan(low) or low - slack <= value <= high + slack


@given(samples, st.floats(-1e3, 1e3), st.floats(0.01, 100))
@quick
def test_t_intervals_move_and_stretch_with_the_values(x, shift, factor):
    moved = t([factor * v + shift for v in x])
    expected = [factor * part + shift for part in t(x)]
    assert moved == pytest.approx(expected, rel=1e-6, abs=1e-6 * factor * max(1.0, *map(abs, x)))


# Pairs


def test_probability_of_improvement_by_hand():
    # better, better, tie, worse: 2.5 of 4
    assert pairs.probability_of_improvement([1, 2, 3, 9], [2, 3, 3, 8], "min") == 0.625
    assert pairs.probability_of_improvement([1, 2, 3, 9], [2, 3, 3, 8], "max") == 0.375
    assert math.isnan(pairs.probability_of_improvement([1], [2], "min"))
    assert math.isnan(pairs.probability_of_improvement([1, math.nan], [2, 2], "min"))


def test_the_p_value_by_hand():
    # Differences 1, 2, 3: of 8 signings two have a mean as far from 0 as theirs. With -1, 2, 3: sums of 6
    # signs are ±6, ±4, ±2, ±0; 4 is reached or passed by ±6 and ±4.
    assert p_value([1, 2, 3], [0, 0, 0]) == 2 / 8
    assert p_value([-1, 2, 3], [0, 0, 0]) == 4 / 8
    assert p_value([1, 1], [1, 1]) == 1.0
    assert math.isnan(p_value([], []))
    assert math.isnan(p_value([math.inf, 1], [0, 0]))


def test_the_p_value_of_darwins_maize():
    # R. A. Fisher, "The Design of Experiments" (1935), section 21: of the 2^15 signings of Darwin's differences
    # (in eighths of an inch), 1726 have a sum as far from 0 as theirs: 5.267 %.
    darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert p_value(darwin, [0] * 15, resamples=2**15) == pytest.approx(1726 / 2**15)
    assert p_value(darwin, [0] * 15) == pytest.approx(1726 / 2**15, abs=0.01)  # 9999 of them


@pytest.mark.parametrize("n", range(1, 8))
def test_the_least_p_value_is_that_of_differences_that_all_agree(n):
    assert p_value(np.arange(1, n + 1), np.zeros(n)) == pairs.least_p_value(n) == 2 / 2**n


def test_the_least_p_value_of_random_signings():
    assert p_value(np.arange(1, 21), np.zeros(20), resamples=999) == pytest.approx(
        pairs.least_p_value(20, 999)
    )


@pytest.mark.parametrize("comparisons", [1, 2, 3, 9, 10, 45, 199])
def test_as_many_pairs_as_needed_are_enough_and_one_less_is_not(comparisons):
    needed = pairs.pairs_needed(comparisons)
    assert comparisons * 2 / 2**needed <= 0.05 < comparisons * 2 / 2 ** (needed - 1)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=8))
@quick
def test_swapping_the_pair_keeps_the_p_value_and_turns_the_probability(rows):
    a, b = zip(*rows, strict=True)
    assert p_value(a, b) == pytest.approx(p_value(b, a))
    forth = pairs.probability_of_improvement(a, b, "min")
    back = pairs.probability_of_improvement(b, a, "min")
    assert len(rows) == 1 or forth + back == pytest.approx(1)


def test_the_p_value_keeps_its_word():
    # Of equal variants, at most 5 % may be called different at 5 %; the standard error of 400 is 1.1 %.
    rng = np.random.default_rng(1)
    alarms = [p_value(rng.normal(size=8), rng.normal(size=8)) <= 0.05 for _ in range(400)]
    assert np.mean(alarms) < 0.085


# Holm's correction


def test_holm_by_hand():
    # 0.01 * 4; 0.02 * 3; 0.03 * 2 stays at 0.06, since none is less than one before; 0.5 * 1.
    assert pairs.holm([0.03, 0.01, 0.5, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert pairs.holm([0.4, 0.9]).tolist() == [0.8, 0.9]
    assert pairs.holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert pairs.holm([]).tolist() == []


def test_holm_as_statsmodels():
    # statsmodels 0.15.0: multipletests([...], method="holm")[1]
    p = [0.001, 0.04, 0.012, 0.3, 0.009, 0.04]
    assert pairs.holm(p) == pytest.approx([0.006, 0.12, 0.048, 0.3, 0.045, 0.12])


def test_holm_counts_comparisons_that_are_not_given():
    # as if three more had p-values of 1; NaN is not counted among those given, but among m
    assert pairs.holm([0.01, 0.02], 5) == pytest.approx([0.05, 0.08])
    assert np.array_equal(pairs.holm([0.01, math.nan]), [0.02, math.nan], equal_nan=True)


@given(st.lists(st.floats(0, 1), max_size=8))
@quick
def test_holm_never_lessens_nor_reorders(p):
    corrected = pairs.holm(p)
    assert (corrected >= np.asarray(p) - 1e-15).all()
    assert (corrected <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
