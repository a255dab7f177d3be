"""The statistics, against values worked out by hand and properties that hold for any input."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane import stats
from fairlane.errors import StudyError

values = st.floats(-1e6, 1e6, allow_subnormal=False)
samples = st.lists(values, min_size=2, max_size=12)
quick = settings(deadline=None, max_examples=60, derandomize=True)


def interval(x, *, seed=0, resamples=199, **options):
    rng = np.random.default_rng(seed)
    return stats.mean_interval(x, resamples=resamples, rng=rng, **options)


def difference(a, b, *, seed=0, resamples=199):
    return stats.paired_difference(a, b, resamples=resamples, rng=np.random.default_rng(seed))


def test_doctests():
    assert doctest.testmod(stats).failed == 0


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


def test_the_coverage_for_five_seeds_is_what_the_docstring_says():
    # The docstring says 83 % of 95 % intervals hold the mean; the standard error of 600 is 1.6 %.
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(600):
        _, low, high = stats.mean_interval(rng.normal(size=5), resamples=399, rng=rng)
        hits += low <= 0 <= high
    assert 0.76 < hits / 600 < 0.86


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
    assert forth.mean == pytest.approx(-back.mean, rel=1e-9, abs=1e-6)


def test_what_pairs_share_cancels_out():
    # b is a + 1 exactly, however far the seeds lie apart: the difference is -1 with no spread.
    a = np.array([0.0, 512.0, 1024.0])
    assert difference(a, a + 1) == (-1.0, -1.0, -1.0)


def test_pairs_need_one_length():
    with pytest.raises(StudyError, match="pair up by seed: they need one length, not 2 and 3"):
        difference([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confidence": 95}, "confidence must lie between 0 and 1, such as 0.95; got 95"),
        ({"confidence": 0.0}, "confidence must lie between 0 and 1"),
        ({"resamples": 1}, "resamples must be at least 2, such as 9999; got 1"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(StudyError, match=words):
        interval([1.0, 2.0], **options)


def test_a_table_of_values_is_refused():
    with pytest.raises(StudyError, match=r"one dimension.*its shape is \(2, 2\)"):
        interval([[1.0, 2.0], [3.0, 4.0]])
