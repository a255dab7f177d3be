"""Variants compared → one sentence, with its uncertainty.

In: the records of a study, and a metric. Out: a `Verdict`. It claims no more than the summary does: where
there are too few seeds for an interval or a p-value, the sentence says that instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit.text import plural
from fairlane.results import comparison
from fairlane.results.directions import Modes
from fairlane.results.few import NAN_COLUMNS
from fairlane.results.report.values import listed
from fairlane.store import Record

_FLATTERED = (
    "The values that are shown also chose the best variant, so it looks better than it is. This effect grows "
    "with more variants and with fewer seeds."
)

_MOST = 5
"""Variants that are named."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """The result of a study.

    Attributes:
        sentence: the result in words.
        notes: warnings about it, a sentence each.
        table: what `fairlane.results.comparison.summary` returns, or None where no trial counts.
    """

    sentence: str
    notes: Sequence[str]
    table: pd.DataFrame | None


def verdict(
    records: Sequence[Record], metric: str, mode: Modes = "auto", share: float | None = None
) -> Verdict:
    """Say which variant is the best by a metric, and how sure that is.

    Args:
        records: the trials' records.
        metric: a log's name, or one of the test data.
        mode: see `fairlane.results.directions.direction`.
        share: as for `fairlane.results.comparison.summary`.

    Example:
        >>> from fairlane.trials import Trial, TrialState, Variant
        >>> records = [
        ...     Record(Trial(n, Variant(n, {"units": units}), 0), TrialState.DONE, [(0, {"loss": loss})])
        ...     for n, (units, loss) in enumerate([(8, 0.75), (32, 0.5)])
        ... ]
        >>> print(verdict(records, "loss").sentence)
        units=32 has the lowest loss, 0.5 (1 seed: no interval); the next, units=8, is 0.25 higher (1 seed \
in common: too few to say whether that is chance).
    """
    try:
        table = comparison.summary(records, metric, mode=mode, rng=np.random.default_rng(0), share=share)
    except StudyError as error:
        return Verdict(f"No verdict: {error}.", [], None)
    labels = {record.trial.variant.number: record.trial.variant.label for record in records}
    counting = [row for row in table.to_dict("records") if row["seeds"]]
    sentence = _first(counting[0], labels, table.attrs, len(table)) + _rest(counting, labels, table)
    if table.attrs["provisional"]:
        when = (
            f", after {plural(table.attrs['epoch'] + 1, 'epoch')}" if table.attrs["epoch"] is not None else ""
        )
        sentence = f"Provisional{when}: {sentence}"
    sentence += _apart(counting, labels)
    notes = [note.replace(NAN_COLUMNS, "") for note in table.attrs["notes"]]
    return Verdict(sentence, [*notes, *([_FLATTERED] if len(counting) > 1 else [])], table)


def _first(row: Mapping[str, Any], labels: Mapping[int, str], attrs: Mapping[str, Any], variants: int) -> str:
    metric, chosen = attrs["metric"], attrs["selected_by"]
    label = labels[row["variant"]]
    extreme = "lowest" if attrs["direction"] == "min" else "highest"
    if variants == 1:
        said = f"{_capital(label)} has a {metric} of"
    elif chosen == metric:
        said = f"{label} has the {extreme} {metric},"
    else:
        said = f"{label}, which is the best by {chosen}, has a {metric} of"
    seeds, low, high = _seeds(row), row["low"], row["high"]
    if math.isnan(low):
        return f"{said} {number(row['mean'])} ({seeds}: no interval)"
    ends = " to ".join(number(end, high - low) for end in (low, high))
    percent = f"{attrs['confidence'] * 100:g}"
    return f"{said} {number(row['mean'], high - low)} ({percent} % interval {ends}, {seeds})"


def _rest(counting: Sequence[Mapping[str, Any]], labels: Mapping[int, str], table: pd.DataFrame) -> str:
    others = len(table) - 1
    if not others:
        return "; there is no other variant to compare it with."
    if len(counting) == 1:
        whom = "the other variant" if others == 1 else f"the {others} other variants"
        return f"; no trial of {whom} has finished with a finite value, so nothing is compared."
    row = counting[1]
    label, difference = labels[row["variant"]], row["difference"]
    if not row["pairs"]:
        return f"; the next, {label}, has no seed in common with it, so the two are not compared."
    pairs = plural(row["pairs"], "pair") if "folds" in row else f"{plural(row['pairs'], 'seed')} in common"
    if not difference:
        return f"; the next, {label}, has the same mean ({pairs})."
    word = "higher" if difference > 0 else "lower"
    low, high = (row[f"difference_{end}"] for end in ("low", "high"))
    if math.isnan(low):
        size = number(abs(difference))
        return f"; the next, {label}, is {size} {word} ({pairs}: too few to say whether that is chance)."
    low, high = (low, high) if difference > 0 else (-high, -low)
    ends = " to ".join(number(end, high - low) for end in (low, high))
    certain = _certainty(row["p_value"], pairs, 1 - table.attrs["confidence"])
    return f"; the next, {label}, is {number(abs(difference), high - low)} {word} ({ends}, {certain})."


def _seeds(row: Mapping[str, Any]) -> str:
    """``8 seeds``, or ``2 of 8 seeds`` where the others failed; ``5 folds, 3 seeds``."""
    if "folds" in row:
        failed = f", {plural(row['failed'], 'trial')} failed or diverged" if row["failed"] else ""
        return f"{plural(row['folds'], 'fold')}, {plural(row['seeds'], 'seed')}{failed}"
    if not row["failed"]:
        return plural(row["seeds"], "seed")
    return f"{row['seeds']} of {plural(row['seeds'] + row['failed'], 'seed')}, the others failed or diverged"


def _survivors(row: Mapping[str, Any]) -> str:
    """``2 of 8 seeds``, or how many trials failed where there are folds."""
    if "folds" in row:
        return f"{plural(row['failed'], 'trial')} failed"
    return f"{row['seeds']} of {plural(row['seeds'] + row['failed'], 'seed')}"


def _apart(counting: Sequence[Mapping[str, Any]], labels: Mapping[int, str]) -> str:
    """The variants that are ranked later than their means would be, because seeds failed."""
    apart = [f"{labels[row['variant']]} ({_survivors(row)})" for row in counting[1:] if row["failed"]]
    if not apart:
        return ""
    named = listed(apart, _MOST)
    return f" Ranked after the others, whatever their means, because seeds failed or diverged: {named}."


def _certainty(p_value: float, pairs: str, least: float) -> str:
    if math.isnan(p_value):
        return f"{pairs}: too few for a p-value"
    said = f"p = {p_value:.2g}" if p_value >= 0.001 else "p < 0.001"
    return f"{said}, {pairs}" if p_value <= least + 1e-12 else f"{said}, {pairs}: it may be chance"


def number(value: float, width: float = 0.0) -> str:
    """A value with as many decimals as its uncertainty allows.

    Args:
        value: the number.
        width: of its interval; 0 where there is no interval.

    Example:
        >>> number(0.97123, 0.0021), number(0.31234, 0.04), number(1234.2, 300.0), number(1e-7, 1e-8)
        ('0.9712', '0.312', '1234', '1e-07')
    """
    if not 0 < width < math.inf or not (value == 0 or 1e-4 < abs(value) < 1e7):
        return f"{value:.3g}"
    return f"{value:.{min(10, max(0, 1 - math.floor(math.log10(width))))}f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("the only") else text
