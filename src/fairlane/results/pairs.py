"""Pairs of replicates → their difference, and how likely chance alone would give it.

In: NumPy arrays of one value per replicate, where replicates at one place share a seed, and an explicit
``numpy.random.Generator``. Out: the mean difference with its interval, the share of improvements, and
p-values with their correction. Pure, as `fairlane.results.statistics` is; what so few pairs can't say is NaN,
never a number.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from fairlane.errors import StudyError
from fairlane.results.statistics import Estimate, Floats, Interval, estimate, vector


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

    with the interval of `estimate` over the differences. A pair is two replicates with one seed, and so with
    one order of the data and often the same initial weights. The seed's effect on both then cancels out, and
    the interval can be much narrower than the intervals of the two means.

    Args:
        a: shape ``(n,)``, real: one value per replicate.
        b: shape ``(n,)``, real: the value of the replicate with the same seed.
        interval: as in `estimate`.
        confidence: as in `estimate`.
        resamples: as in `estimate`.
        rng: as in `estimate`.

    Returns:
        ``(mean difference, low, high)``; positive where ``a`` is larger. For one pair, no pair, and
        values that are not finite, as `estimate`.

    Raises:
        StudyError: ``a`` and ``b`` differ in length, or as `estimate`.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> paired_difference([3.0, 5.0, 9.0], [1.0, 3.0, 7.0], rng=rng)
        Estimate(value=2.0, low=2.0, high=2.0)
        >>> paired_difference([3.0, 5.0], [1.0], rng=rng)
        Traceback (most recent call last):
            ...
        fairlane.errors.StudyError: a and b are paired by seed, so they need the same length, not 2 and 1
    """
    difference = _differences(a, b)
    return estimate(difference, interval=interval, confidence=confidence, resamples=resamples, rng=rng)


def probability_of_improvement(a: ArrayLike, b: ArrayLike, better: Literal["min", "max"]) -> float:
    """The share of pairs in which a is better than b; a tie counts half.

    It compares values of the same seed, as the difference does. Elsewhere this name is also used for a
    comparison of every value with every value.

    Args:
        a: shape ``(n,)``, real: one value per replicate.
        b: shape ``(n,)``, real: the value of the replicate with the same seed.
        better: ``"min"`` if smaller values are better, ``"max"`` if larger ones are.

    Returns:
        Between 0 and 1. NaN for fewer than 2 pairs, which give no useful share, and where a value is not
        finite.

    Raises:
        StudyError: ``a`` and ``b`` differ in length.

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
    r"""The two-sided p-value of the mean difference of pairs, by a sign-flip test.

    If the variant makes no difference, each difference could as well have the other sign. All :math:`2^n`
    combinations of signs are tried, or ``resamples`` random ones where there are more; the p-value is the
    share of combinations with a mean difference at least as far from 0. It is exact for any symmetric
    distribution, normal or not. The smallest possible value is :math:`2 / 2^n`, where all differences have
    one sign.

    Args:
        a: shape ``(n,)``, real: one value per replicate.
        b: shape ``(n,)``, real: the value of the replicate with the same seed.
        resamples: the most combinations of signs to try.
        rng: the generator of random combinations.

    Returns:
        The p-value, not corrected for other comparisons: see `holm`. NaN without a pair, and where a value
        is not finite.

    Raises:
        StudyError: ``a`` and ``b`` differ in length.

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
    if difference.size == 1:  # both signs are equally far from 0
        return 1.0
    scale = np.abs(difference).max() or 1.0
    test = scipy_stats.permutation_test(
        (difference / scale,),
        _rounded_mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=rng,
    )
    return float(test.pvalue)


def _rounded_mean(x: Floats, axis: int = -1) -> Any:
    # The same numbers, summed in another order, differ by a rounding error, and then an equal mean would not
    # count as equal: the p-value of b - a was not always that of a - b.
    return np.round(np.mean(x, axis=axis), 12)


def least_p_value(pairs: int, resamples: int = 9999) -> float:
    """The smallest p-value that `paired_p_value` can give.

    Args:
        pairs: the number of pairs.
        resamples: as for `paired_p_value`.

    Example:
        >>> least_p_value(5), least_p_value(6)
        (0.0625, 0.03125)
    """
    ways = 2.0**pairs if 2.0**pairs <= resamples else resamples + 1
    return min(1.0, 2 / ways)


def pairs_needed(comparisons: int, confidence: float = 0.95) -> int:
    """How many pairs it takes until the smallest possible p-value, corrected, is at most ``1 - confidence``.

    Args:
        comparisons: the number of comparisons to correct for.
        confidence: between 0 and 1.

    Example:
        >>> pairs_needed(1), pairs_needed(9)
        (6, 9)
    """
    return math.ceil(1 + math.log2(comparisons / (1 - confidence)) - 1e-9)


def holm(p_values: ArrayLike, comparisons: int | None = None) -> Floats:
    r"""p-values corrected for the number of comparisons, so that all claims made by them hold together.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})

    in ascending order. If all variants are equally good, the chance that any corrected p-value is at most
    0.05 is at most 0.05.

    Args:
        p_values: shape ``(k,)``; NaN stays NaN.
        comparisons: m, the number of comparisons, where it is more than the k given p-values.

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
    p = vector(p_values, "p_values")
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    factors = (p.size if comparisons is None else comparisons) - np.arange(order.size)
    corrected = np.full(p.shape, math.nan)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return corrected


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    x, y = vector(a, "a"), vector(b, "b")
    if x.size != y.size:
        raise StudyError(
            f"a and b are paired by seed, so they need the same length, not {x.size} and {y.size}"
        )
    with np.errstate(all="ignore"):  # inf - inf is NaN, and every caller returns NaN for it
        return x - y
