"""Records → variants compared: which is better, by how much, and how far it can be told from chance.

In: the records of a study's trials, and which metric chooses and which is reported. Out: pandas DataFrames
with a row per variant, per trial, or per pair of trials. What too few seeds can't tell is NaN, and the
frame's ``attrs["notes"]`` says in words why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from fairlane import frames, stats
from fairlane.errors import StudyError
from fairlane.frames import At, Mode, Rows
from fairlane.store import Record
from fairlane.trial import TrialState

Modes = Mode | Mapping[str, Mode]
Baseline = int | Mapping[str, Any] | None

_TEST, _VALIDATION = "test_", "val_"
_FEWEST_FOR_A_MEDIAN = 6


@dataclass(frozen=True)
class Question:
    """What is asked of the trials.

    Attributes:
        metric: what is reported.
        better: whether smaller or larger values of it are.
        select: what variants are ranked by, and epochs chosen by.
        select_better: whether smaller or larger values of that are.
        at: ``"last"`` or ``"best"``: at which epoch.
        test: whether what is reported was measured on the test data.
    """

    metric: str
    better: Literal["min", "max"]
    select: str
    select_better: Literal["min", "max"]
    at: At
    test: bool

    @property
    def selected_by(self) -> str:
        """The selecting metric and epoch in words."""
        return self.select if self.at == "last" else f"{self.select}, best epoch"


@dataclass(frozen=True, eq=False)
class Values:
    """The values of all trials that count.

    Attributes:
        question: what was asked.
        names: the hyperparameters' names.
        cells: variant's number → its hyperparameters, as a column has them.
        values: variant's number → seed → the reported value.
        selected: variant's number → seed → the value that selects.
        failed: variant's number → how many ended trials do not count.
    """

    question: Question
    names: list[str]
    cells: dict[int, dict[str, Any]]
    values: dict[int, dict[int, float]]
    selected: dict[int, dict[int, float]]
    failed: dict[int, int]

    @property
    def order(self) -> list[int]:
        """The variants' numbers, best mean of the selecting metric first, those without one last."""
        sign = 1 if self.question.select_better == "min" else -1
        means = {n: math.fsum(of.values()) / len(of) for n, of in self.selected.items() if of}
        return sorted(self.selected, key=lambda n: (sign * means.get(n, sign * math.inf), n))

    @property
    def attrs(self) -> dict[str, Any]:
        """What a frame's ``attrs`` tell of the question."""
        asked = self.question
        return {
            "metric": asked.metric,
            "direction": asked.better,
            "at": asked.at,
            "selected_by": asked.selected_by,
            "test": asked.test,
        }

    def columns(self, numbers: Sequence[int]) -> dict[str, Any]:
        """The columns ``variant`` and the hyperparameters, for these variants."""
        columns: dict[str, Any] = {"variant": list(numbers)}
        cells = [self.cells[n] for n in numbers]
        return columns | {name: frames.cells_of(cells, name) for name in self.names}


def summary(
    records: Rows,
    metric: str,
    *,
    select: str | None = None,
    at: At = "last",
    mode: Modes = "auto",
    baseline: Baseline = None,
    interval: stats.Interval = "t",
    confidence: float = 0.95,
    resamples: int = 9999,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """A row per variant: the metric's mean over seeds, and the difference to one of the variants.

    A trial counts if it is done and has a finite value. Differences are over the seeds that count in
    both: where seeds failed, a mean difference is not the difference of the two means.

    Variants are ranked by the mean of the selecting metric, and compared with the first of them. What was
    chosen by some values looks better in these values than it is, the more so the more variants and the fewer
    seeds there are: the best variant's mean is flattered, and all differences to it are too large. There
    are two ways out. ``baseline`` names the variant to compare with before the results are seen. And
    ``select`` chooses by one metric, of the validation data, while another, of the test data, is reported.

    p-values are of `fairlane.stats.paired_p_value`, corrected by `fairlane.stats.holm`: with a baseline
    for the other variants; without one for all pairs of variants, since any of them might have been
    compared. Where even the least possible p-value would be more than ``1 - confidence``, they are NaN.

    Args:
        records: the trials' records.
        metric: what to report: a log's name, such as ``"val_loss"``, or one of the test data,
        ``"test_loss"``.
        select: what to rank variants and to choose epochs by; by default the metric itself, and for one
            of the test data its validation counterpart, else ``"val_loss"``, else ``"loss"``.
        at: ``"last"`` for the last epoch's value (of those that have one), ``"best"`` for the epoch with
            the best value of ``select``. A value of the test data is always that of the trained weights.
        mode: whether smaller or larger is better, see `fairlane.frames.direction`; or such a mode per metric.
        baseline: the variant to compare with: its number, or hyperparameters that it alone has.
        interval: see `fairlane.stats.estimate`.
        confidence: of the intervals, between 0 and 1; ``1 - confidence`` is what p-values are held against.
        resamples: how many bootstrap samples to draw for each interval, and the most signings to try
            for a p-value.
        rng: where random draws come from.

    Returns:
        The best variant first, with columns ``variant`` (its number), the hyperparameters, ``metric`` (what
        the numbers are of), ``selected_by`` (what the order, the epochs and, without a baseline,
        the comparison were chosen by), ``selected`` (the mean of that; only where it is another metric),
        ``seeds`` (how many trials count), ``mean, low, high``, the same of the ``median`` and of the ``iqm``
        (interquartile mean), ``difference, difference_low, difference_high`` (this variant minus the one
        compared with, whose own is 0, from 0 to 0), ``probability`` (the share of seeds on which it is
        better; NaN for fewer than 2), ``p_value``, ``pairs`` (how many seeds the difference is
        over), and ``failed`` (how many ended trials do not count: failed, diverged, interrupted, or no
        finite value). An interval over fewer than 2 values is NaN. ``attrs`` names the ``metric``,
        ``direction``, ``at``, ``selected_by``, ``test`` (whether it is of the test data), ``baseline`` (the
        number of the variant compared with), ``confidence``, ``interval``, and the ``notes``.

    Raises:
        StudyError: no such metric or baseline, no trial that counts, or an unknown option.

    Example:
        >>> import numpy as np
        >>> from fairlane.store import Record
        >>> from fairlane.trial import Trial, TrialState, Variant
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
        Too few seeds to say, NaN in the columns: with 1 seed per variant there is no interval, which takes 2.
    """
    records = list(records)
    read = _read(records, metric, select, at, mode)
    asked, order = read.question, read.order
    reference = _reference(records, read, baseline)
    options: dict[str, Any] = {
        "interval": interval,
        "confidence": confidence,
        "resamples": resamples,
        "rng": rng,
    }
    columns = read.columns(order)
    columns |= {"metric": [asked.metric] * len(order), "selected_by": [asked.selected_by] * len(order)}
    if asked.select != asked.metric:
        columns["selected"] = [stats.estimate(_of(read.selected[n]), **options).value for n in order]
    columns["seeds"] = [len(read.values[n]) for n in order]
    for statistic in ("mean", "median", "iqm"):
        estimates = [stats.estimate(_of(read.values[n]), statistic, **options) for n in order]
        ends = ("low", "high") if statistic == "mean" else (f"{statistic}_low", f"{statistic}_high")
        columns |= _unzipped((statistic, *ends), estimates)
    columns |= _compared(read, order, reference, options)
    columns["p_value"], notes = _p_values(read, order, reference, baseline, confidence, resamples, rng)
    columns["pairs"] = [len(_pairs(read, n, reference)[0]) for n in order]
    columns["failed"] = [read.failed[n] for n in order]
    frame = frames.frame_of(columns)
    few = _too_few(columns, len(order), interval, notes)
    told = (*_selected_by_itself(asked, select), *few)
    frame.attrs |= read.attrs
    frame.attrs |= {"baseline": reference, "confidence": confidence, "interval": interval, "notes": told}
    return frame


def values(
    records: Rows, metric: str, *, select: str | None = None, at: At = "last", mode: Modes = "auto"
) -> pd.DataFrame:
    """A row per trial that counts: the values that `summary` is made of.

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
    read = _read(list(records), metric, select, at, mode)
    rows = [(number, seed, value) for number in read.order for seed, value in read.values[number].items()]
    return _by_seed(read, "value", rows)


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
    read = _read(records, metric, select, at, mode)
    reference = _reference(records, read, baseline)
    top = read.values[reference]
    rows = [
        (number, seed, value - top[seed])
        for number in read.order
        if number != reference
        for seed, value in read.values[number].items()
        if seed in top
    ]
    return _by_seed(read, "difference", rows)


def _by_seed(read: Values, column: str, rows: Sequence[tuple[int, int, float]]) -> pd.DataFrame:
    """A row per variant and seed, ``(variant, seed, number)``, with the hyperparameters."""
    columns = read.columns([number for number, _, _ in rows])
    columns["seed"] = [seed for _, seed, _ in rows]
    columns[column] = [value for _, _, value in rows]
    frame = frames.frame_of(columns)
    frame.attrs |= read.attrs
    return frame


# What is asked


def _ask(records: Sequence[Record], metric: str, select: str | None, at: At, mode: Modes) -> Question:
    """Check what is asked, and fill in what is not."""
    tests = frames.test_metrics(records)
    if select in tests:
        raise StudyError(
            f"select={select!r} would make the test data part of the choice, and no test of it; select by a "
            "validation metric, and report this one"
        )
    if select is None:
        select = _default_selection(records, metric) if metric in tests else metric
    if metric not in tests:
        metric, _ = frames.question(records, metric, at, "auto")
    select, _ = frames.question(records, select, at, "auto")
    better, select_better = (_direction(name, mode) for name in (metric, select))
    if isinstance(mode, str) and mode != "auto" and metric != select:
        known = {name: frames.direction(name) for name in (metric, select)}
        if len(set(known.values())) > 1:
            raise StudyError(
                f"mode={mode!r} would hold for both {metric!r} and {select!r}, one of which is to be large "
                f"and one small; say which, as mode={known}"
            )
    return Question(metric, better, select, select_better, at, metric in tests)


def _default_selection(records: Sequence[Record], metric: str) -> str:
    logs = frames.ordered_logs(records)
    wanted = (_VALIDATION + metric.removeprefix(_TEST), "val_loss", "loss")
    found = next((name for name in wanted if name in logs), None)
    if found is None:
        raise StudyError(f"there is no loss to rank variants by; say select=..., one of {', '.join(logs)}")
    return found


def _direction(metric: str, mode: Modes) -> Literal["min", "max"]:
    return frames.direction(metric, mode.get(metric, "auto") if isinstance(mode, Mapping) else mode)


def _selected_by_itself(asked: Question, select: str | None) -> list[str]:
    if select is None or asked.select != asked.metric:
        return []
    return [
        f"{asked.metric!r} is both what was selected by and what is reported: the first row is the best of "
        "several, and looks better than it is; no test result. Report another metric, of test_data"
    ]


# What the trials say


def _read(records: Sequence[Record], metric: str, select: str | None, at: At, mode: Modes) -> Values:
    asked = _ask(records, metric, select, at, mode)
    names, cells = frames.named_cells(records)
    numbers = sorted(cells)
    values: dict[int, dict[int, float]] = {number: {} for number in numbers}
    selected: dict[int, dict[int, float]] = {number: {} for number in numbers}
    failed = dict.fromkeys(numbers, 0)
    for record in records:
        number, seed = record.trial.variant.number, record.trial.seed
        found = _values_of(record, asked)
        if found is not None:
            selected[number][seed], values[number][seed] = found
        elif record.state.ended:
            failed[number] += 1
    if not any(values.values()):
        raise frames.nothing_counts(records, asked.metric)
    return Values(asked, names, cells, values, selected, failed)


def _values_of(record: Record, asked: Question) -> tuple[float, float] | None:
    """The trial's selecting and reported value, or None where it does not count."""
    if record.state is not TrialState.DONE:
        return None
    if asked.test:
        reported = frames.single(record, asked.metric, record.test_logs.get(asked.metric, math.nan))
        found = (frames.value_of(record, asked.select, asked.at, asked.select_better), reported)
    elif asked.select == asked.metric:
        value = frames.value_of(record, asked.metric, asked.at, asked.better)
        found = (value, math.nan if value is None else value)
    else:
        found = _at_one_epoch(record, asked)
    return (found[0], found[1]) if found[0] is not None and math.isfinite(found[1]) else None


def _at_one_epoch(record: Record, asked: Question) -> tuple[float | None, float]:
    """Both values at one epoch, of those that log both."""
    both = [
        (frames.single(record, asked.select, logs[asked.select]), logs[asked.metric])
        for _, logs in record.epochs
        if asked.select in logs and asked.metric in logs
    ]
    if asked.at == "best":
        both = [pair for pair in both if math.isfinite(pair[0])]
        choose = min if asked.select_better == "min" else max
        both = [choose(both, key=lambda pair: pair[0])] if both else []
    if not both or not math.isfinite(both[-1][0]):
        return None, math.nan
    selected, reported = both[-1]
    return selected, frames.single(record, asked.metric, reported)


# The variant to compare with


def _reference(records: Sequence[Record], read: Values, baseline: Baseline) -> int:
    if baseline is None:
        return read.order[0]
    number = _baseline_number(records, baseline)
    if not read.values[number]:
        raise StudyError(
            f"no trial of the baseline, variant {number}, finished with a finite {read.question.metric!r}, "
            "so there is nothing to compare with; look at study.trials"
        )
    return number


def _baseline_number(records: Sequence[Record], baseline: int | Mapping[str, Any]) -> int:
    variants = {r.trial.variant.number: r.trial.variant for r in records}
    if not isinstance(baseline, Mapping):
        whole = isinstance(baseline, int | np.integer) and not isinstance(baseline, bool)
        if whole and int(baseline) in variants:
            return int(baseline)
        raise StudyError(
            f"baseline={baseline!r}: give a variant's number, 0 to {len(variants) - 1}, or hyperparameters "
            "as a dict"
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
    which = f"those of {len(found)} variants ({', '.join(map(str, found[:5]))}{', ...' * (len(found) > 5)})"
    what = which if found else "no hyperparameters of any variant"
    raise StudyError(
        f"baseline={dict(baseline)!r} are {what}; name one of: "
        + "; ".join(f"{n} ({variants[n].label})" for n in (found or list(variants))[:10])
    )


def _alike(a: Any, b: Any) -> bool:
    """As `fairlane.frames.same`, but 1 is 1.0, and NumPy's numbers are numbers."""
    numbers = all(isinstance(value, int | float | np.number) for value in (a, b))
    return bool(a == b) if numbers else frames.same(a, b)


# Comparisons


def _pairs(read: Values, number: int, reference: int) -> tuple[list[float], list[float]]:
    """The values of both variants, for the seeds that count in both."""
    mine, top = read.values[number], read.values[reference]
    seeds = [seed for seed in mine if seed in top]
    return [mine[seed] for seed in seeds], [top[seed] for seed in seeds]


def _compared(
    read: Values, order: Sequence[int], reference: int, options: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """The differences to the reference, and how often they are improvements."""
    found, shares = [], []
    for number in order:
        a, b = _pairs(read, number, reference)
        itself = number == reference
        # Nothing to estimate: a variant does not differ from itself, be it with one seed.
        found.append((0.0, 0.0, 0.0) if itself else stats.paired_difference(a, b, **options))
        share = math.nan if itself else stats.probability_of_improvement(a, b, read.question.better)
        shares.append(share)
    columns = _unzipped(("difference", "difference_low", "difference_high"), found)
    return columns | {"probability": shares}


def _p_values(
    read: Values,
    order: Sequence[int],
    reference: int,
    baseline: Baseline,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[list[float], list[str]]:
    """The corrected p-values, and why some are NaN."""
    pairs = {number: _pairs(read, number, reference) for number in order if number != reference}
    others = sum(bool(a) for a, _ in pairs.values())
    # Without a baseline, which variant is the best was chosen by the same values: any pair might have been.
    comparisons = others if baseline is not None else others * (others + 1) // 2
    raw = dict.fromkeys(order, math.nan)
    hopeless = []
    for number, (a, b) in pairs.items():
        if a and comparisons * stats.least_p_value(len(a), resamples) <= 1 - confidence + 1e-12:
            raw[number] = stats.paired_p_value(a, b, resamples=resamples, rng=rng)
        elif a:
            hopeless.append(len(a))
    corrected = stats.holm([raw[number] for number in order], comparisons or None)
    return corrected.tolist(), _hopeless(hopeless, comparisons, confidence, resamples)


def _hopeless(pairs: Sequence[int], comparisons: int, confidence: float, resamples: int) -> list[str]:
    if not pairs:
        return []
    most = max(pairs)
    least = min(1.0, comparisons * stats.least_p_value(most, resamples))
    needed = stats.pairs_needed(comparisons, confidence)
    enough = f"{needed} seeds" if most < needed else f"more than {resamples} resamples"
    counted = "one comparison" if comparisons == 1 else f"{comparisons} comparisons"
    return [
        f"with {_plural(most, 'pair')} no p-value of {counted} could be less than {least:.2g}, and it takes "
        f"{enough} for one of {1 - confidence:.2g}"
    ]


def _too_few(
    columns: Mapping[str, list[Any]], variants: int, interval: str, p_values: Sequence[str]
) -> list[str]:
    """One note of all that is NaN for lack of seeds."""
    counted = [n for n in columns["seeds"] if n]
    why = []
    if min(counted) < 2:
        why.append(f"with {_plural(min(counted), 'seed')} per variant there is no interval, which takes 2")
    elif variants > 1:
        why += p_values
    if interval == "t" and 2 <= min(counted) < _FEWEST_FOR_A_MEDIAN and _lacks(columns["median_low"]):
        why.append(
            f"an interval of the median takes {_FEWEST_FOR_A_MEDIAN} seeds, and there are {min(counted)}"
        )
    return [f"Too few seeds to say, NaN in the columns: {'; '.join(why)}."] if why else []


def _lacks(column: Iterable[float]) -> bool:
    return any(math.isnan(value) for value in column)


def _of(by_seed: Mapping[int, float]) -> list[float]:
    return list(by_seed.values())


def _unzipped(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
