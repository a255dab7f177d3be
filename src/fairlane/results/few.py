"""Too few seeds or folds → why some columns of a summary are NaN, in words.

In: the columns of a summary. Out: sentences that say how many seeds would be enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fairlane.kit.text import plural
from fairlane.results import pairs

NAN_COLUMNS = ", so some columns are NaN"
"""Part of a note; a report, which leaves such columns blank, leaves it out."""

_FEWEST_FOR_A_MEDIAN = 6


def no_p_values(counts: Sequence[int], comparisons: int, confidence: float, resamples: int) -> list[str]:
    """Why p-values are NaN: a piece of a sentence, or nothing where no p-value is missing.

    Args:
        counts: how many pairs the variants without a p-value have.
        comparisons: how many comparisons the p-values are corrected for.
        confidence: as for `fairlane.results.comparison.summary`.
        resamples: likewise.
    """
    if not counts:
        return []
    most = max(counts)
    least = min(1.0, comparisons * pairs.least_p_value(most, resamples))
    needed = pairs.pairs_needed(comparisons, confidence)
    enough = f"{needed} seeds" if most < needed else f"more than {resamples} resamples"
    several = f" for {comparisons} comparisons" if comparisons > 1 else ""
    return [
        f"a p-value of {1 - confidence:.2g} or less{several} needs {enough}, and with {plural(most, 'pair')} "
        f"no p-value is less than {least:.2g}"
    ]


def too_few(columns: Mapping[str, list[Any]], variants: int, p_values: Sequence[str]) -> list[str]:
    """One note that says why intervals and p-values are NaN.

    Args:
        columns: the summary's, as far as they are there.
        variants: how many rows there are.
        p_values: what `no_p_values` says.
    """
    folded = "folds" in columns
    counted = [n for n in columns["folds" if folded else "seeds"] if n]
    why = []
    if min(counted) < 2:
        why.append(f"an interval needs 2 {'folds' if folded else 'seeds'} per variant, and there is 1")
    elif variants > 1:
        why += p_values
    few = "folds" if folded else "seeds"
    return [f"Too few {few}{NAN_COLUMNS}: {'; '.join(why)}."] if why else []


def too_few_for_a_median(columns: Mapping[str, list[Any]], interval: str) -> list[str]:
    """Why the interval of the median is NaN, where that of the mean is not.

    Args:
        columns: the summary's.
        interval: as for `fairlane.results.comparison.summary`.
    """
    fewest = min(n for n in columns["seeds"] if n)
    none = any(map(math.isnan, columns["median_low"]))
    if interval != "t" or "folds" in columns or not 2 <= fewest < _FEWEST_FOR_A_MEDIAN or not none:
        return []
    return [f"An interval of the median needs {_FEWEST_FOR_A_MEDIAN} seeds, and there are {fewest}."]
