"""Estimates with intervals, over replicates, and comparisons of pairs of them.

In: NumPy arrays of one value per replicate, and an explicit ``numpy.random.Generator``. Out: a mean, a median
or an interquartile mean with its interval; the difference of pairs, and how far it can be told from chance.
Pure: the same arrays and a generator in the same state give the same numbers, and the order of replicates
does not matter. What so few replicates can't tell is NaN, never a number.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

from fairlane.errors import StudyError
from fairlane.kit import arguments

Statistic = Literal["mean", "median", "iqm"]
Interval = Literal["t", "bootstrap"]
Floats = NDArray[np.float64]

_QUARTER = 0.25


class Estimate(NamedTuple):
    """A statistic and its interval; unpacks as ``value, low, high``.

    Attributes:
        value: the mean, median or interquartile mean of the values, or of the paired differences.
        low: the interval's lower end; NaN where there is none.
        high: the interval's upper end; NaN where there is none.
    """

    value: float
    low: float
    high: float


NOTHING = Estimate(math.nan, math.nan, math.nan)
"""The estimate from no usable values."""


def estimate(
    values: ArrayLike,
    statistic: Statistic = "mean",
    *,
    interval: Interval = "t",
    confidence: float = 0.95,
    resamples: int = 9999,
    rng: np.random.Generator,
) -> Estimate:
    r"""A statistic over replicates, with its interval.

    The interquartile mean is the mean of what is left when a quarter of the values, rounded down, is cut off
    at either end; of fewer than 4 values it is their mean. With ``interval="t"``:

    .. math:: \bar x \pm t_{n-1}\, s / \sqrt n

    for the mean, where :math:`s` is the standard deviation; Tukey and McLaughlin's interval of a trimmed
    mean for the interquartile mean; and for the median the values between which it lies with at least that
    ``confidence`` whatever their distribution, which at 95 % needs 6 of them.

    With ``interval="bootstrap"``: the BCa levels of the statistic over ``resamples`` draws of n values with
    replacement (for the median the percentiles, and they stand in where BCa is degenerate).

    A bootstrap knows only the values it is given, and few values vary too little. ``benchmarks/coverage.py``
    counts how often 95 % intervals of the mean hold it. Of 5 normal values, t's did in 96 % of cases, the
    bootstrap's in 83 %; of 5 strongly skewed (log-normal) ones, in 83 % and 74 %. So t is the default. With
    20 values the two are alike (94 % and 94 %, 88 % and 87 %), and the bootstrap's ends stay within the
    values.

    Args:
        values: shape ``(n,)``, real: one value per replicate. Their order does not matter.
        statistic: ``"mean"``, ``"median"`` or ``"iqm"``, the interquartile mean.
        interval: ``"t"`` or ``"bootstrap"``.
        confidence: the share of repeated experiments whose interval should hold the true value,
            between 0 and 1.
        resamples: how many bootstrap samples to draw.
        rng: where the draws come from; it is advanced only if there is something to draw.

    Returns:
        ``(value, low, high)``. With one value, the interval is NaN; with none, the value as well.
        Where all values are equal, all three are that value. A NaN or an infinity among the values
        makes all three NaN: it is the caller who knows whether such a replicate may be left out.

    Raises:
        StudyError: ``values`` is not one-dimensional, or an option is out of its range.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> [round(v, 3) for v in estimate([0.31, 0.29, 0.35, 0.30, 0.33], rng=rng)]
        [0.316, 0.286, 0.346]
        >>> estimate([0.5, 0.5, 0.5], rng=rng)
        Estimate(value=0.5, low=0.5, high=0.5)
        >>> estimate([1.0, 2.0, 9.0], "median", rng=rng)
        Estimate(value=2.0, low=nan, high=nan)

    References:
        J. W. Tukey and D. H. McLaughlin, "Less vulnerable confidence and significance procedures for
        location", Sankhya A 25 (1963), 331-352. B. Efron, "Better bootstrap confidence intervals", Journal of
        the American Statistical Association 82 (1987), 171-185. R. Agarwal et al., "Deep reinforcement
        learning at the edge of the statistical precipice" (2021), for the interquartile mean.
    """
    check_options(confidence, resamples, interval)
    if statistic not in _STATISTICS:
        raise StudyError(f"statistic is one of {', '.join(map(repr, _STATISTICS))}, not {statistic!r}")
    x = _vector(values, "values")
    if x.size == 0 or not np.isfinite(x).all():
        return NOTHING
    # Sorted, so that the draws, and with them the interval, do not depend on who finished first.
    x = np.sort(x)
    if x[0] == x[-1]:  # the value itself: the mean of 0.1, 0.1, 0.1 would be off by a rounding
        value = float(x[0])
        return Estimate(value, value, value) if x.size > 1 else Estimate(value, math.nan, math.nan)
    function = _STATISTICS[statistic]
    if interval == "bootstrap":
        ends = _bootstrap(x, statistic, confidence, resamples, rng)
    else:
        ends = _T_INTERVALS[statistic](x, confidence)
    return Estimate(float(function(x, axis=0)), *ends)


def student(mean: ArrayLike, deviation: ArrayLike, n: ArrayLike, confidence: float) -> tuple[Any, Any]:
    """Both ends of Student's t intervals of means, element by element.

    Args:
        mean: means, any shape.
        deviation: standard deviations (with n - 1), of the same shape; NaN gives NaN.
        n: how many values each is over.
        confidence: between 0 and 1.

    Returns:
        ``(low, high)``, NaN where ``n < 2``.

    Example:
        >>> [round(float(end), 3) for end in student(2.0, 1.0, 4, 0.95)]
        [0.409, 3.591]
    """
    n = np.asarray(n, dtype=np.float64)
    reach = scipy_stats.t.ppf((1 + confidence) / 2, n - 1) * np.asarray(deviation) / np.sqrt(n)
    return mean - reach, mean + reach


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    interval: Interval = "t",
    confidence: float = 0.95,
    resamples: int = 9999,
    rng: np.random.Generator,
) -> Estimate:
    r"""The mean of a - b over pairs, with its interval.

    .. math:: \bar d = \frac{1}{n} \sum_{i=1}^{n} (a_i - b_i)

    with the interval of `estimate` over the differences. Pairs are replicates that share a
    seed, hence the data order and often the initial weights. What the seed does to both then
    cancels out, and the interval can be much narrower than the two means' own.

    Args:
        a: shape ``(n,)``, real: one value per replicate.
        b: shape ``(n,)``, real: the value of the replicate with the same seed.
        interval: as in `estimate`.
        confidence: as in `estimate`.
        resamples: as in `estimate`.
        rng: as in `estimate`.

    Returns:
        ``(mean difference, low, high)``; positive where ``a`` is larger. One pair, no pair, and
        values that are not finite are as in `estimate`.

    Raises:
        StudyError: ``a`` and ``b`` are not of one length, or as in `estimate`.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> paired_difference([3.0, 5.0, 9.0], [1.0, 3.0, 7.0], rng=rng)
        Estimate(value=2.0, low=2.0, high=2.0)
        >>> paired_difference([3.0, 5.0], [1.0], rng=rng)
        Traceback (most recent call last):
            ...
        fairlane.errors.StudyError: a and b pair up by seed: they need one length, not 2 and 1
    """
    difference = _differences(a, b)
    return estimate(difference, interval=interval, confidence=confidence, resamples=resamples, rng=rng)


def probability_of_improvement(a: ArrayLike, b: ArrayLike, better: Literal["min", "max"]) -> float:
    """The share of pairs in which a is better than b; a tie counts half.

    It is over pairs of one seed, as the difference is; others compare every value with every value.

    Args:
        a: shape ``(n,)``, real: one value per replicate.
        b: shape ``(n,)``, real: the value of the replicate with the same seed.
        better: whether smaller or larger values are.

    Returns:
        Between 0 and 1. NaN for fewer than 2 pairs, of which there is no share to speak of, and where
        a value is not finite.

    Raises:
        StudyError: ``a`` and ``b`` are not of one length.

    Example:
        >>> probability_of_improvement([0.1, 0.2, 0.5, 0.7], [0.3, 0.3, 0.5, 0.6], "min")
        0.625
    """
    difference = _differences(a, b)
    if difference.size < 2 or not np.isfinite(difference).all():
        return math.nan
    improvement = difference if better == "max" else -difference
    return float(np.mean((np.sign(improvement) + 1) / 2))


def paired_p_value(a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, rng: np.random.Generator) -> float:
    r"""The two-sided p-value of the mean difference of pairs, by flipping signs.

    If it does not matter which of two variants a replicate had, each difference could as well have had the
    other sign. All :math:`2^n` ways to give signs are tried, or ``resamples`` random ones where those
    are more; the p-value is the share of ways with a mean difference at least as far from 0. It is exact for
    any symmetric distribution, normal or not. Least is :math:`2 / 2^n`, where all differences agree.

    Args:
        a: shape ``(n,)``, real: one value per replicate.
        b: shape ``(n,)``, real: the value of the replicate with the same seed.
        resamples: the most signings to try.
        rng: where random signings come from.

    Returns:
        The p-value, not corrected for other comparisons: see `holm`. NaN without a pair, and where a value
        is not finite.

    Raises:
        StudyError: ``a`` and ``b`` are not of one length.

    Example:
        >>> import numpy as np
        >>> paired_p_value([2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 1], rng=np.random.default_rng(0))
        0.03125

    References:
        R. A. Fisher, "The Design of Experiments" (1935), section 21.
    """
    difference = np.sort(_differences(a, b))
    if not difference.size or not np.isfinite(difference).all():
        return math.nan
    if difference.size == 1:  # either sign is as far from 0
        return 1.0
    test = scipy_stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=rng,
    )
    return float(test.pvalue)


def least_p_value(pairs: int, resamples: int = 9999) -> float:
    """The least p-value that `paired_p_value` can give.

    Args:
        pairs: how many there are.
        resamples: as given to it.

    Example:
        >>> least_p_value(5), least_p_value(6)
        (0.0625, 0.03125)
    """
    ways = 2.0**pairs if 2.0**pairs <= resamples else resamples + 1
    return min(1.0, 2 / ways)


def pairs_needed(comparisons: int, confidence: float = 0.95) -> int:
    """How many pairs it takes for the least p-value, corrected, to be as small as ``1 - confidence``.

    Args:
        comparisons: how many there are to correct for.
        confidence: between 0 and 1.

    Example:
        >>> pairs_needed(1), pairs_needed(9)
        (6, 9)
    """
    return math.ceil(1 + math.log2(comparisons / (1 - confidence)) - 1e-9)


def holm(p_values: ArrayLike, comparisons: int | None = None) -> Floats:
    r"""p-values corrected for how many there are, so that all claims made by them hold together.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})

    in ascending order. Where all variants are alike, the chance that even one corrected p-value is at most
    0.05 is at most 0.05.

    Args:
        p_values: shape ``(k,)``; NaN stays NaN.
        comparisons: m, how many comparisons there were, where it is more than the k that are given.

    Returns:
        Shape ``(k,)``, in the order given.

    Raises:
        StudyError: ``p_values`` is not one-dimensional.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]

    References:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 6 (1979), 65-70.
    """
    p = _vector(p_values, "p_values")
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    factors = (p.size if comparisons is None else comparisons) - np.arange(order.size)
    corrected = np.full(p.shape, math.nan)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return corrected


# Statistics and intervals


def _iqm(x: Floats, axis: int = -1) -> Any:
    return scipy_stats.trim_mean(x, _QUARTER, axis=axis)


_STATISTICS: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median, "iqm": _iqm}


def _t_of_the_mean(x: Floats, confidence: float) -> tuple[float, float]:
    low, high = student(x.mean(), x.std(ddof=1), x.size, confidence)
    return float(low), float(high)


def _t_of_the_iqm(x: Floats, confidence: float) -> tuple[float, float]:
    if x.size < 4:  # nothing is trimmed
        return _t_of_the_mean(x, confidence)
    low, high = scipy_stats.mstats.trimmed_mean_ci(x, (_QUARTER, _QUARTER), alpha=1 - confidence)
    return float(low), float(high)


def _order_statistics(x: Floats, confidence: float) -> tuple[float, float]:
    found = scipy_stats.quantile_test(x, p=0.5).confidence_interval(confidence)
    return float(found.low), float(found.high)


_T_INTERVALS: dict[str, Callable[[Floats, float], tuple[float, float]]] = {
    "mean": _t_of_the_mean,
    "median": _order_statistics,
    "iqm": _t_of_the_iqm,
}


def _bootstrap(
    x: Floats, statistic: str, confidence: float, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The BCa interval, or the percentile interval of the same draws."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", scipy_stats.DegenerateDataWarning)
        drawn = scipy_stats.bootstrap(
            (x,),
            _STATISTICS[statistic],
            vectorized=True,
            n_resamples=resamples,
            confidence_level=confidence,
            # BCa's skewness comes from leaving out one value at a time, which says nothing of a median.
            method="percentile" if statistic == "median" else "BCa",
            rng=rng,
        )
    interval = drawn.confidence_interval
    if not (np.isfinite(interval.low) and np.isfinite(interval.high)):
        tail = (1 - confidence) / 2
        low, high = np.quantile(drawn.bootstrap_distribution, [tail, 1 - tail])
        return float(low), float(high)
    return float(interval.low), float(interval.high)


# Checks


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    x, y = _vector(a, "a"), _vector(b, "b")
    if x.size != y.size:
        raise StudyError(f"a and b pair up by seed: they need one length, not {x.size} and {y.size}")
    with np.errstate(all="ignore"):  # inf - inf is NaN, which every caller passes on
        return x - y


def _vector(values: ArrayLike, name: str) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise StudyError(f"{name} needs one dimension, a value per replicate; its shape is {x.shape}")
    return x


def check_options(confidence: Any, resamples: Any, interval: Any) -> None:
    """Refuse options of an estimate that are out of their range.

    Args:
        confidence: as for `estimate`.
        resamples: as for `estimate`.
        interval: as for `estimate`.

    Raises:
        StudyError: which, and what it may be.
    """
    arguments.share("confidence", confidence)
    if not arguments.is_whole(resamples) or resamples < 2:
        raise StudyError(f"resamples must be at least 2, such as 9999; got {arguments.given(resamples)}")
    arguments.one_of("interval", interval, ("t", "bootstrap"))
