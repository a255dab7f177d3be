"""A summary's columns → those that a reader needs first, and what the others can't say.

In: a table as `fairlane.results.comparison.summary` returns it. Out: the short table that
`Study.summary` and ``print(study)`` show, and sentences about ``probability`` where it is NaN or 0.
"""

from __future__ import annotations

import pandas as pd

from fairlane.kit.text import plural

_DETAIL = (
    *("median", "median_low", "median_high", "iqm", "iqm_low", "iqm_high"),
    *("difference_low", "difference_high", "probability", "pairs"),
)
_MOST = 5
"""Variants that a sentence names."""


def brief(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a short table.

    Those are the variant with its hyperparameters, the metric, how many trials count, the mean with its
    interval, the difference with its p-value, and how many trials failed. ``selected_by`` is there where
    another metric, or another epoch, decides the order, and ``unfinished`` while there are such trials.

    Args:
        table: as `fairlane.results.comparison.summary` returns it.
    """
    left_out = [name for name in _DETAIL if name in table.columns]
    if (table["selected_by"] == table["metric"]).all():
        left_out.append("selected_by")
    if not table["unfinished"].any():
        left_out.append("unfinished")
    return table.drop(columns=left_out)


def of_probability(table: pd.DataFrame) -> list[str]:
    """What the column ``probability`` can't say: a sentence for NaN, and one for 0.

    The variant that the others are compared with has NaN too, which needs no sentence.

    Args:
        table: as `fairlane.results.comparison.summary` returns it.

    Example:
        >>> table = pd.DataFrame({"variant": [0, 1], "probability": [float("nan"), 0.0], "pairs": [3, 3]})
        >>> table.attrs["baseline"] = 0
        >>> print(of_probability(table)[0])
        probability is 0 for variant 1: it is worse than variant 0 in each of its 3 pairs. That is no \
certainty: see p_value.
    """
    reference = table.attrs["baseline"]
    others = table[table["variant"] != reference]
    unknown, never = others[others["probability"].isna()], others[others["probability"] == 0]
    found = []
    if len(unknown):
        found.append(
            f"probability is NaN for {_named(unknown)}: a share needs 2 pairs of trials with variant "
            f"{reference}, and there are fewer."
        )
    if len(never):
        fewest, most = int(never["pairs"].min()), int(never["pairs"].max())
        count = plural(most, "pair") if fewest == most else f"{fewest} to {most} pairs"
        they = "it is" if len(never) == 1 else "they are"
        its = "its" if len(never) == 1 else "their"
        found.append(
            f"probability is 0 for {_named(never)}: {they} worse than variant {reference} in each of "
            f"{its} {count}. That is no certainty: see p_value."
        )
    return found


def _named(rows: pd.DataFrame) -> str:
    numbers = [str(number) for number in rows["variant"]]
    more = f" and {len(numbers) - _MOST} more" if len(numbers) > _MOST else ""
    return f"variant{'s' * (len(numbers) > 1)} {', '.join(numbers[:_MOST])}{more}"
