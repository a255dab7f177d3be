"""Records → variants compared: which is better, by how much, and whether that may be chance.

In: the records of a study's trials, and which metric chooses and which is reported. Out: pandas DataFrames
with a row per variant, per trial, or per pair of trials. What so few seeds can't say is NaN, and the frame's
``attrs["notes"]`` gives the reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.results import few, pairs, statistics
from fairlane.results.brief import of_probability
from fairlane.results.cells import frame_of, same
from fairlane.results.directions import Modes
from fairlane.results.frames import At, Rows
from fairlane.results.means import Means
from fairlane.results.question import Question
from fairlane.results.ranking import Replicate, Values, read
from fairlane.store import Record

Baseline = int | Mapping[str, Any] | None


def summary(
    records: Rows,
    metric: str,
    *,
    select: str | None = None,
    at: At = "last",
    mode: Modes = "auto",
    baseline: Baseline = None,
    interval: statistics.Interval = "t",
    confidence: float = 0.95,
    resamples: int = 9999,
    rng: np.random.Generator,
    share: float | None = None,
) -> pd.DataFrame:
    """A row per variant: the metric's mean over seeds, and the difference to one of the variants.

    A trial counts if it is done and has a finite value. While trials are unfinished, all count with their
    values in the last epoch that all of them have. A difference is over the seeds that count in both
    variants: where seeds failed, a mean difference is not the difference of the two means.

    Variants are ranked by the mean of the selecting metric, those that lost a larger share of their seeds
    after those that lost less (see `fairlane.results.ranking`), and compared with the first of them. The
    values that choose the best variant make it look better than it is, the more so the more variants and the
    fewer seeds there are: its mean is too good, and all differences to it are too large. There are two ways
    to avoid that. ``baseline`` names the variant to compare with before the results are seen. And ``select``
    chooses by one metric, of the validation data, while another, of the test data, is reported.

    p-values are those of `pairs.paired_p_value`, corrected by `pairs.holm`: with a baseline for the number
    of other variants; without one for all pairs of variants, since any pair might have been the one that is
    compared. Where even the smallest possible p-value is above ``1 - confidence``, p-values are NaN.

    Where there are folds, which share training samples, the intervals of means and differences and the
    p-values are those of the corrected resampled t test (`fairlane.results.folds`); the seeds of a fold count
    as one value, their mean, and a median has no interval.

    Args:
        records: the trials' records.
        metric: the metric to report: a log's name, such as ``"val_loss"``, or one of the test data, such as
            ``"test_loss"``.
        select: the metric to rank variants and to choose epochs by; by default the same, and for one of the
            test data its validation counterpart, else ``"val_loss"``, else ``"loss"``.
        at: ``"last"`` for the value in the epoch that the trained weights belong to, which is the last unless
            a callback restored an earlier one; ``"best"`` for the epoch with the best value of ``select``. A
            value of the test data is always that of the trained weights.
        mode: whether smaller or larger values are better, see `directions.direction`; or such a mode per
            metric.
        baseline: the variant to compare with: its number, or hyperparameters that only it has.
        interval: see `fairlane.results.statistics.estimate`.
        confidence: of the intervals, between 0 and 1; ``1 - confidence`` is the level of the p-values.
        resamples: how many bootstrap samples to draw for each interval, and the most combinations of signs
            to try for a p-value.
        rng: the generator of random draws.
        share: validation samples per training sample of the folds, where there are folds.

    Returns:
        The best variant first, with columns ``variant`` (its number), the hyperparameters, ``metric`` (the
        metric that is reported), ``selected_by`` (the metric that decides the order, the epochs and, without
        a baseline, the variant compared with), ``selected`` (the mean of that metric; only where it is
        another one), ``seeds`` (how many count), ``folds`` (likewise, where there are some), ``mean, low,
        high``, the same for the ``median`` and the ``iqm`` (interquartile mean), ``difference,
        difference_low, difference_high`` (this variant minus the one compared with; all three are 0 for that
        variant itself), ``probability`` (the share of pairs in which it is better; NaN for fewer than 2),
        ``p_value``, ``pairs`` (how many trials of both variants have the same seed and fold), ``failed`` (how
        many trials failed or diverged, or have no finite value), and ``unfinished`` (how many are not trained
        to their end; they count with what they have). An interval over fewer than 2 values is NaN. ``attrs``
        has the ``metric``, ``direction``, ``at``, ``selected_by``, ``test`` (whether it is of the test data),
        ``provisional`` (whether trials are unfinished), ``epoch`` (the epoch that all are compared in then),
        ``when`` (the epoch in words), ``baseline`` (the number of the variant compared with), ``confidence``,
        ``interval``, the ``notes``, and in ``detail`` the notes about the median and ``probability`` alone.

    Raises:
        StudyError: no such metric or baseline, no trial that counts, or an unknown option.

    Example:
        >>> import numpy as np
        >>> from fairlane.store import Record
        >>> from fairlane.trials import Trial, TrialState, Variant
        >>> small, large = Variant(0, {"units": 8}), Variant(1, {"units": 32})
        >>> records = [
        ...     Record(Trial(0, small, seed=0), TrialState.DONE, [(0, {"loss": 0.75})]),
        ...     Record(Trial(1, large, seed=0), TrialState.DONE, [(0, {"loss": 0.5})]),
        ... ]
        >>> frame = summary(records, "loss", rng=np.random.default_rng(0))
        >>> frame[["variant", "units", "seeds", "mean", "difference", "failed"]]
           variant  units  seeds  mean  difference  failed
        0        1     32      1  0.50        0.00       0
        1        0      8      1  0.75        0.25       0
        >>> print(frame.attrs["notes"][0])
        Too few seeds, so some columns are NaN: an interval needs 2 seeds per variant, and there is 1.
    """
    records = list(records)
    statistics.check_options(confidence, resamples, interval)
    found = read(records, metric, select, at, mode)
    question, order = found.question, found.order
    reference = _reference(records, found, baseline)
    options: dict[str, Any] = {
        "interval": interval,
        "confidence": confidence,
        "resamples": resamples,
        "rng": rng,
    }
    means = Means(options, _share(found, share))
    columns = found.columns(order)
    columns |= {"metric": [question.metric] * len(order), "selected_by": [question.selected_by] * len(order)}
    if question.select != question.metric:
        columns["selected"] = [means.of(found.selected[n]).value for n in order]
    columns |= _counts(found, order)
    for statistic in ("mean", "median", "iqm"):
        estimates = [means.of(found.values[n], statistic) for n in order]
        ends = ("low", "high") if statistic == "mean" else (f"{statistic}_low", f"{statistic}_high")
        columns |= _unzipped((statistic, *ends), estimates)
    columns |= _compared(found, order, reference, means)
    columns["p_value"], reasons = _p_values(found, order, reference, baseline, means)
    columns["pairs"] = [len(_pairs(found, n, reference)[0]) for n in order]
    columns["failed"] = [found.failed[n] for n in order]
    columns["unfinished"] = [found.unfinished[n] for n in order]
    frame = frame_of(columns)
    lacking = few.too_few(columns, len(order), reasons)
    notes = (*_selected_by_itself(question, select), *found.notes, *lacking)
    frame.attrs |= found.attrs
    frame.attrs |= {"baseline": reference, "confidence": confidence, "interval": interval, "notes": notes}
    frame.attrs["detail"] = (*few.too_few_for_a_median(columns, interval), *of_probability(frame))
    return frame


def values(
    records: Rows, metric: str, *, select: str | None = None, at: At = "last", mode: Modes = "auto"
) -> pd.DataFrame:
    """A row per trial that counts: the values behind a `summary`.

    Args:
        records: the trials' records.
        metric: as for `summary`.
        select: as for `summary`.
        at: as for `summary`.
        mode: as for `summary`.

    Returns:
        The best variant first, with columns ``variant``, the hyperparameters, ``seed`` and ``value``.

    Raises:
        StudyError: as for `summary`.
    """
    found = read(list(records), metric, select, at, mode)
    rows = [(number, one, value) for number in found.order for one, value in found.values[number].items()]
    return _by_replicate(found, "value", rows)


def differences(
    records: Rows,
    metric: str,
    *,
    select: str | None = None,
    at: At = "last",
    mode: Modes = "auto",
    baseline: Baseline = None,
) -> pd.DataFrame:
    """A row per pair of trials with one seed: a variant's value minus that of the variant compared with.

    Args:
        records: the trials' records.
        metric: as for `summary`.
        select: as for `summary`.
        at: as for `summary`.
        mode: as for `summary`.
        baseline: as for `summary`.

    Returns:
        The best variant first, with columns ``variant``, the hyperparameters, ``seed`` and ``difference``.

    Raises:
        StudyError: as for `summary`.
    """
    records = list(records)
    found = read(records, metric, select, at, mode)
    reference = _reference(records, found, baseline)
    top = found.values[reference]
    rows = [
        (number, one, value - top[one])
        for number in found.order
        if number != reference
        for one, value in found.values[number].items()
        if one in top
    ]
    return _by_replicate(found, "difference", rows)


def _by_replicate(found: Values, column: str, rows: Sequence[tuple[int, Replicate, float]]) -> pd.DataFrame:
    """A row per variant and replicate, ``(variant, replicate, number)``, with the hyperparameters."""
    columns = found.columns([number for number, _, _ in rows])
    columns["seed"] = [one[0] if isinstance(one, tuple) else one for _, one, _ in rows]
    if found.folded:
        columns["fold"] = [one[1] if isinstance(one, tuple) else None for _, one, _ in rows]
    columns[column] = [value for _, _, value in rows]
    frame = frame_of(columns)
    frame.attrs |= found.attrs
    return frame


def _selected_by_itself(question: Question, select: str | None) -> list[str]:
    if select is None or question.select != question.metric:
        return []
    return [
        f"{question.metric!r} both selects and is reported: these values have chosen the first row, so it "
        "looks better than it is, and is not a test result. Report another metric, such as one of test_data"
    ]


def _share(found: Values, share: float | None) -> float | None:
    """Validation samples per training sample; where it is not known, of folds that cut the samples once."""
    if not found.folded or share is not None:
        return share if found.folded else None
    folds = {one[1] for values in found.values.values() for one in values if isinstance(one, tuple)}
    return 1 / max(1, len(folds) - 1)


# The variant to compare with


def _reference(records: Sequence[Record], found: Values, baseline: Baseline) -> int:
    if baseline is None:
        return found.order[0]
    number = _baseline_number(records, baseline)
    if not found.values[number]:
        raise StudyError(
            f"no trial of the baseline, variant {number}, finished with a finite {found.question.metric!r}, "
            "so there is nothing to compare with; see study.trials"
        )
    return number


def _baseline_number(records: Sequence[Record], baseline: int | Mapping[str, Any]) -> int:
    variants = {r.trial.variant.number: r.trial.variant for r in records}
    if not isinstance(baseline, Mapping):
        if arguments.is_whole(baseline) and int(baseline) in variants:
            return int(baseline)
        raise arguments.wrong(
            "baseline",
            baseline,
            f"a variant's number, 0 to {len(variants) - 1}, or hyperparameters as a dict",
        )
    found = [
        number
        for number, variant in variants.items()
        if all(
            name in variant.hyperparameters and _alike(variant.hyperparameters[name], value)
            for name, value in baseline.items()
        )
    ]
    if len(found) == 1:
        return found[0]
    some = f"{len(found)} variants ({', '.join(map(str, found[:5]))}{', ...' * (len(found) > 5)})"
    raise StudyError(
        f"baseline={dict(baseline)!r} fits {some if found else 'no variant'}; give one of: "
        + "; ".join(f"{n} ({variants[n].label})" for n in (found or list(variants))[:10])
    )


def _alike(a: Any, b: Any) -> bool:
    """As `fairlane.results.cells.same`, but 1 equals 1.0, and NumPy's numbers are numbers."""
    numbers = all(isinstance(value, int | float | np.number) for value in (a, b))
    return bool(a == b) if numbers else same(a, b)


# Comparisons


def _pairs(found: Values, number: int, reference: int) -> tuple[dict[Replicate, float], ...]:
    """The values of both variants, for the replicates that count in both."""
    mine, top = found.values[number], found.values[reference]
    both = [one for one in mine if one in top]
    return {one: mine[one] for one in both}, {one: top[one] for one in both}


def _counts(found: Values, order: Sequence[int]) -> dict[str, list[int]]:
    """How many seeds of a variant count, and how many folds, where there are some."""
    if not found.folded:
        return {"seeds": [len(found.values[n]) for n in order]}
    parts = [list(zip(*found.values[n], strict=True)) or [(), ()] for n in order]
    return {
        "seeds": [len(set(seeds)) for seeds, _ in parts],
        "folds": [len(set(folds)) for _, folds in parts],
    }


def _compared(found: Values, order: Sequence[int], reference: int, means: Means) -> dict[str, list[Any]]:
    """The differences to the reference, and the shares of improvements."""
    estimates, shares = [], []
    for number in order:
        a, b = _pairs(found, number, reference)
        itself = number == reference
        # A variant does not differ from itself, and that is certain even with one seed.
        estimates.append((0.0, 0.0, 0.0) if itself else means.difference(a, b))
        better = found.question.better
        share = math.nan if itself else pairs.probability_of_improvement(_of(a), _of(b), better)
        shares.append(share)
    columns = _unzipped(("difference", "difference_low", "difference_high"), estimates)
    return columns | {"probability": shares}


def _p_values(
    found: Values,
    order: Sequence[int],
    reference: int,
    baseline: Baseline,
    means: Means,
) -> tuple[list[float], list[str]]:
    """The corrected p-values, and why some are NaN."""
    confidence, resamples = means.options["confidence"], means.options["resamples"]
    values_of = {number: _pairs(found, number, reference) for number in order if number != reference}
    others = sum(bool(a) for a, _ in values_of.values())
    # Without a baseline, the same values chose the best variant, so any pair of variants might be compared
    # here.
    comparisons = others if baseline is not None else others * (others + 1) // 2
    raw = dict.fromkeys(order, math.nan)
    too_few = []
    for number, (a, b) in values_of.items():
        least = 0.0 if found.folded else pairs.least_p_value(len(a), resamples)
        if a and comparisons * least <= 1 - confidence + 1e-12:
            raw[number] = means.p_value(a, b)
        elif a:
            too_few.append(len(a))
    corrected = pairs.holm([raw[number] for number in order], comparisons or None)
    return corrected.tolist(), few.no_p_values(too_few, comparisons, confidence, resamples)


def _of(by_replicate: Mapping[Replicate, float]) -> list[float]:
    return list(by_replicate.values())


def _unzipped(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}
