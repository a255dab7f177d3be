r"""Values of a cross-validation → estimates that know that folds share training samples.

In: a value per trial, the fold of each, and how large the folds are. Out: a mean with its interval, and a
p-value. Pure, as `fairlane.results.statistics` is; what so few folds can't say is NaN, never a number.

The values of ``k`` folds are not independent: any two folds of ten train on eight ninths of their samples in
common. So the variance of their mean is larger than :math:`s^2 / k`, and plain intervals are too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from fairlane.results.statistics import NOTHING, Estimate, Floats
from fairlane.store import Records

CV = "cv"
"""What the note of a study about its folds begins with."""


_ROUNDING = 1e-9
"""Up to which share of the largest one values of folds count as equal."""


def sizes_noted(training: Sequence[int], validation: Sequence[int]) -> dict[str, list[int]]:
    """What a study keeps of its folds: how many samples each trains on, and validates on.

    Args:
        training: a number for each fold.
        validation: likewise.
    """
    return {"training": [int(n) for n in training], "validation": [int(n) for n in validation]}


def share_of(records: Records) -> float | None:
    """Validation samples per training sample of a study's folds; None where it has no folds.

    Args:
        records: of the study.
    """
    noted = [one.content for one in records.decisions() if one.about[0] == CV]
    if not noted or not noted[-1]["training"]:
        return None
    return float(sum(noted[-1]["validation"]) / sum(noted[-1]["training"]))


def over_folds(values: ArrayLike, folds: ArrayLike, share: float, confidence: float = 0.95) -> Estimate:
    r"""The mean over folds, with the interval of the corrected resampled t test.

    .. math:: \bar x \pm t_{k-1} \sqrt{\left(\frac 1 k + \frac{n_2}{n_1}\right) s^2}

    where :math:`s` is the standard deviation of the ``k`` folds' values, each the mean over its seeds, and
    :math:`n_1` and :math:`n_2` are the numbers of training and validation samples of a fold. Without
    :math:`n_2 / n_1` it is Student's interval, which takes folds for independent.

    Args:
        values: shape ``(n,)``, real: a value per trial, or a difference per pair of trials.
        folds: shape ``(n,)``: the fold of each.
        share: :math:`n_2 / n_1`.
        confidence: as in `fairlane.results.statistics.estimate`.

    Returns:
        ``(value, low, high)``. With one fold, the interval is NaN; for no value, or one that is not finite,
        all three are.

    Example:
        >>> [round(v, 3) for v in over_folds([0.31, 0.29, 0.35, 0.30, 0.33], [0, 1, 2, 3, 4], share=1 / 4)]
        [0.316, 0.27, 0.362]

    References:
        C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003),
        239-281.
    """
    x, mean = _fold_means(values, folds)
    if not x.size or not np.isfinite(x).all():
        return NOTHING
    if x.size == 1:
        return Estimate(mean, math.nan, math.nan)
    reach = float(scipy_stats.t.ppf((1 + confidence) / 2, x.size - 1) * _error(x, share))
    return Estimate(mean, mean - reach, mean + reach)


def p_value_over_folds(differences: ArrayLike, folds: ArrayLike, share: float) -> float:
    """How likely a mean difference as far from 0 is, if there is none: the corrected resampled t test.

    The folds are blocks: the differences of a fold's seeds count as one, their mean. Where the folds differ
    equally, as accuracies of few samples do by chance, their deviation is 0, and the t test would be certain
    of anything. Then it is the p-value of a sign-flip test, ``2 / 2^k``.

    Args:
        differences: shape ``(n,)``, real: a difference per pair of trials.
        folds: as in `over_folds`.
        share: as in `over_folds`.

    Returns:
        The two-sided p-value, not corrected for other comparisons. NaN with fewer than 2 folds, and where a
        difference is not finite.

    Example:
        >>> round(p_value_over_folds([0.1, 0.2, 0.15, 0.12, 0.18], [0, 1, 2, 3, 4], share=1 / 4), 4)
        0.0094

    References:
        As `over_folds`.
    """
    x, mean = _fold_means(differences, folds)
    if x.size < 2 or not np.isfinite(x).all():
        return math.nan
    error = _error(x, share)
    if error == 0:
        return 1.0 if mean == 0 else min(1.0, 2.0 ** (1 - x.size))
    return float(2 * scipy_stats.t.sf(abs(mean) / error, x.size - 1))


def _fold_means(values: ArrayLike, folds: ArrayLike) -> tuple[Floats, float]:
    """The mean of each fold, and theirs."""
    x, which = np.asarray(values, dtype=np.float64), np.asarray(folds)
    means = np.array([math.fsum(x[which == one]) / np.sum(which == one) for one in np.unique(which)])
    return means, math.fsum(means) / means.size if means.size else math.nan


def _error(means: Floats, share: float) -> Any:
    if np.ptp(means) <= _ROUNDING * np.abs(means).max():  # equal values, and differences of such, are rounded
        return 0.0
    return np.sqrt((1 / means.size + share) * means.var(ddof=1))
