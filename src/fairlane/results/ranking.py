"""Records → which trials count, with which values, and which variant is the best: one rule for all results.

In: the records of a study's trials, and which metric chooses and which is reported. Out: the values that
    count, by
variant and seed, the variants in their order, and the best trial.

A trial counts with its value in the epoch that its trained weights are of. While trials are unfinished, all
count with their values in the last epoch that all of them have, and what comes out is provisional. Variants
are ordered by the mean over their seeds. One of which seeds failed or diverged comes after all that lost
fewer: the mean of the survivors is not the mean of the variant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.results import frames
from fairlane.results.directions import Direction, Modes, bare, check_mode, direction, find_direction
from fairlane.results.frames import At, Rows
from fairlane.store import Record
from fairlane.trials import OF_NO_EPOCH, TrialState

Of = Literal["variant", "trials"]

_TEST, _VALIDATION = "test_", "val_"
_OPEN = (TrialState.WAITING, TrialState.RUNNING, TrialState.INTERRUPTED)


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
        provisional: whether trials are unfinished.
        epoch: the epoch that all trials are compared in, counted from 0, because some are unfinished; else
            None.
        kept: whether values of some trials are of an earlier epoch than the last, because the weights are.
    """

    metric: str
    better: Direction
    select: str
    select_better: Direction
    at: At
    test: bool
    provisional: bool = False
    epoch: int | None = None
    kept: bool = False

    @property
    def selected_by(self) -> str:
        """The selecting metric and epoch in words."""
        return self.select if self.at == "last" else f"{self.select}, best epoch"

    @property
    def when(self) -> str:
        """The epoch of the values in words."""
        if self.test:
            return "on the test data"
        if self.epoch is not None:
            so_far = f"after {self.epoch + 1} epoch{'s' * (self.epoch > 0)}, provisional"
            return so_far if self.at == "last" else f"at the best {self.select} {so_far}"
        if self.at == "best":
            return f"at the best {self.select}"
        return "in the epoch of the trained weights" if self.kept else "in the last epoch"


@dataclass(frozen=True, eq=False)
class Values:
    """The values of all trials that count.

    Attributes:
        question: what was asked.
        names: the hyperparameters' names.
        cells: variant's number → its hyperparameters, as a column has them.
        labels: variant's number → its hyperparameters in words.
        values: variant's number → seed → the reported value.
        selected: variant's number → seed → the value that selects.
        failed: variant's number → how many trials failed or diverged, or have no finite value.
        unfinished: variant's number → how many trials are still to end, or were interrupted.
        averaged: the numbers of trials whose trained weights no epoch's values are of.
    """

    question: Question
    names: list[str]
    cells: dict[int, dict[str, Any]]
    labels: dict[int, str]
    values: dict[int, dict[int, float]]
    selected: dict[int, dict[int, float]]
    failed: dict[int, int]
    unfinished: dict[int, int]
    averaged: Sequence[int]

    @property
    def order(self) -> list[int]:
        """The variants' numbers, the best first.

        By the share of seeds that failed, then by the mean of the selecting metric; those without a value
        last.
        """
        return sorted(self.selected, key=self._place)

    def _place(self, number: int) -> tuple[bool, float, float, int]:
        values = list(self.selected[number].values())
        if not values:
            return True, 0.0, 0.0, number
        sign = 1 if self.question.select_better == "min" else -1
        return False, self.lost(number), sign * math.fsum(values) / len(values), number

    def lost(self, number: int) -> float:
        """The share of a variant's seeds that failed, of those that have ended or count."""
        failed = self.failed[number]
        return failed / (failed + len(self.values[number])) if failed else 0.0

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
            "provisional": asked.provisional,
            "epoch": asked.epoch,
            "when": asked.when,
        }

    def columns(self, numbers: Sequence[int]) -> dict[str, Any]:
        """The columns ``variant`` and the hyperparameters, for these variants."""
        columns: dict[str, Any] = {"variant": list(numbers)}
        cells = [self.cells[n] for n in numbers]
        return columns | {name: frames.cells_of(cells, name) for name in self.names}

    @property
    def notes(self) -> list[str]:
        """What is to be kept in mind of the values and of the order, a sentence each."""
        return [*self._provisional(), *self._apart(), *self._of_no_epoch()]

    @property
    def notes_of_values(self) -> list[str]:
        """Those that are of the values."""
        return [*self._provisional(), *self._of_no_epoch()]

    def _provisional(self) -> list[str]:
        if not self.question.provisional:
            return []
        count = sum(self.unfinished.values())
        unfinished = f"{count} trial{' has' if count == 1 else 's have'} not been trained to the end"
        if self.question.epoch is None:
            return [f"Provisional: {unfinished}, and can't be compared yet"]
        return [
            f"Provisional: {unfinished}. All are compared in epoch {self.question.epoch} (counted from 0), "
            "the last that all of them have"
        ]

    def _apart(self) -> list[str]:
        apart = [n for n in self.order if self.failed[n] and self.values[n]]
        if not apart:
            return []
        some = [f"variant {n} ({self.labels[n]}), {self.survivors(n)}" for n in apart[:5]]
        more = f"; and {len(apart) - 5} more" if len(apart) > 5 else ""
        return [
            "Ranked apart, after variants that lost fewer seeds, because seeds failed, diverged or have no "
            f"finite value: {'; '.join(some)}{more}"
        ]

    def survivors(self, number: int) -> str:
        """``2 of 8 seeds count``."""
        counted = len(self.values[number])
        total = counted + self.failed[number]
        return f"{counted} of {total} seed{'s' * (total > 1)} count{'s' * (counted == 1)}"

    def _of_no_epoch(self) -> list[str]:
        asked = self.question
        if not self.averaged or asked.test or asked.at == "best" or asked.epoch is not None:
            return []
        one = len(self.averaged) == 1
        which = ", ".join(map(str, self.averaged[:8])) + (", ..." if len(self.averaged) > 8 else "")
        return [
            f"The trained weights of {len(self.averaged)} trial{'s' * (not one)} ({which}) are those of no "
            "epoch: an average of several, or changed by a callback when training ended. The values shown "
            "are of the last epoch, and not of study.model(trial); test_data measures that"
        ]


def read(
    records: Sequence[Record], metric: str, select: str | None = None, at: At = "last", mode: Modes = "auto"
) -> Values:
    """The values of all trials that count.

    Args:
        records: the trials' records.
        metric: what is reported: a log's name, or one of the test data.
        select: what variants are ranked and epochs chosen by; by default the metric, or for one of the test
            data its validation counterpart, else ``"val_loss"``, else ``"loss"``.
        at: ``"last"`` for the epoch that the trained weights are of, ``"best"`` for that with the best value
            of ``select``.
        mode: see `fairlane.results.directions.direction`.

    Raises:
        StudyError: no such metric, no trial that counts, an unknown option, or nobody knows what is better.
    """
    asked = _ask(records, metric, select, at, mode)
    names, cells = frames.named_cells(records)
    numbers = sorted(cells)
    labels = {r.trial.variant.number: r.trial.variant.label for r in records}
    values: dict[int, dict[int, float]] = {number: {} for number in numbers}
    selected: dict[int, dict[int, float]] = {number: {} for number in numbers}
    failed, unfinished = dict.fromkeys(numbers, 0), dict.fromkeys(numbers, 0)
    averaged = []
    for record in records:
        number, seed = record.trial.variant.number, record.trial.seed
        found = _values_of(record, asked)
        if found is not None:
            selected[number][seed], values[number][seed] = found
            if record.weights_epoch == OF_NO_EPOCH:
                averaged.append(record.trial.number)
        elif record.state not in _OPEN or _is_compared(record, asked):
            failed[number] += 1
        unfinished[number] += record.state in _OPEN
    if not any(values.values()):
        raise frames.nothing_counts(records, asked.metric)
    return Values(asked, names, cells, labels, values, selected, failed, unfinished, averaged)


def best(records: Rows, metric: str, *, mode: Modes = "auto", at: At = "last", of: Of = "variant") -> Record:
    """The record of the best trial; of equals, the first.

    Args:
        records: the trials' records.
        metric: a log's name, such as ``"val_loss"``.
        mode: see `fairlane.results.directions.direction`.
        at: as for `read`.
        of: ``"variant"`` for the best trial of the best variant, ``"trials"`` for the best of all trials,
            which is often the luckiest of all seeds.

    Returns:
        One of the records.

    Raises:
        StudyError: as `read`; or a metric of the test data, by which nothing may be chosen.

    Example:
        >>> from fairlane.store import Record
        >>> from fairlane.trials import Trial, TrialState, Variant
        >>> even, lucky = Variant(0, {"lr": 0.1}), Variant(1, {"lr": 0.2})
        >>> values = [(even, 0.5), (even, 0.7), (lucky, 0.1), (lucky, 0.9)]
        >>> records = [
        ...     Record(Trial(i, variant, seed=i % 2), TrialState.DONE, [(0, {"accuracy": value})])
        ...     for i, (variant, value) in enumerate(values)
        ... ]
        >>> best(records, "accuracy").trial.number, best(records, "accuracy", of="trials").trial.number
        (1, 3)
    """
    records = list(records)
    return best_of(records, choosing(records, metric, mode, at), of)


def choosing(records: Sequence[Record], metric: str, mode: Modes, at: At) -> Values:
    """What trials are chosen by: as `read`, but for metrics of the test data.

    Args:
        records: the trials' records.
        metric: as for `best`.
        mode: as for `best`.
        at: as for `best`.

    Raises:
        StudyError: as `best`.
    """
    if arguments.metric("metric", metric) in frames.test_metrics(records):
        raise StudyError(
            f"best() chooses, and a test result that something was chosen by is none; choose by a validation "
            f"metric, and read {metric!r} of that trial in study.trials"
        )
    return read(records, metric, at=at, mode=mode)


def best_of(records: Sequence[Record], found: Values, of: Of) -> Record:
    """The record of the best trial by values that were read; of equals, the first.

    Args:
        records: the trials' records.
        found: their values.
        of: as for `best`.

    Raises:
        StudyError: ``of`` is something else.
    """
    arguments.one_of("of", of, ("variant", "trials"))
    first = found.order[0]
    count = [
        (found.values[r.trial.variant.number][r.trial.seed], r)
        for r in records
        if (of == "trials" or r.trial.variant.number == first)
        and r.trial.seed in found.values[r.trial.variant.number]
    ]
    choose = min if found.question.better == "min" else max
    return choose(count, key=lambda pair: pair[0])[1]


# What is asked


def _ask(records: Sequence[Record], metric: str, select: str | None, at: At, mode: Modes) -> Question:
    """Check what is asked, and fill in what is not."""
    arguments.metric("metric", metric)
    if select is not None:
        arguments.metric("select", select)
    arguments.one_of("at", at, ("last", "best"))
    tests = frames.test_metrics(records)
    logs = frames.ordered_logs(records)
    check_mode(mode, [*logs, *tests] or None)
    if select in tests:
        raise StudyError(
            f"select={select!r} would make the test data part of the choice, and no test of it; select by a "
            "validation metric, and report this one"
        )
    if select is None:
        select = _default_selection(logs, metric) if metric in tests else metric
    if metric not in tests:
        metric = frames.logged_name(records, logs, metric)
    select = frames.logged_name(records, logs, select)
    known = frames.known_directions(records)
    _check_one_mode(mode, metric, select, known)
    test = metric in tests
    provisional = not test and any(record.state in _OPEN for record in records)
    epoch = _common_epoch(records, metric, select) if provisional else None
    return Question(
        metric,
        direction(metric, mode, known),
        select,
        direction(select, mode, known),
        at,
        test,
        provisional,
        epoch,
        any(_goes_back(record) for record in records),
    )


def _check_one_mode(mode: Modes, metric: str, select: str, known: Mapping[str, Sequence[str]]) -> None:
    """Refuse one mode for two metrics of which one is known to be the other way round."""
    if not isinstance(mode, str) or mode == "auto" or bare(metric) == bare(select):
        return
    told = {name: find_direction(name, "auto", known) for name in (metric, select)}
    if any(one not in (None, mode) for one in told.values()):
        modes = {name: one or mode for name, one in told.items()}
        raise StudyError(
            f"mode={mode!r} would hold for both {metric!r} and {select!r}, one of which is to be large "
            f"and one small; say which, as mode={modes}"
        )


def _default_selection(logs: Sequence[str], metric: str) -> str:
    wanted = (_VALIDATION + metric.removeprefix(_TEST), "val_loss", "loss")
    found = next((name for name in wanted if name in logs), None)
    if found is None:
        raise StudyError(f"there is no loss to rank variants by; say select=..., one of {', '.join(logs)}")
    return found


def _goes_back(record: Record) -> bool:
    """Whether the trained weights are those of an earlier epoch than the last."""
    kept = record.weights_epoch
    return bool(record.epochs) and kept is not None and kept != OF_NO_EPOCH and kept < record.epochs[-1][0]


def _common_epoch(records: Sequence[Record], metric: str, select: str) -> int | None:
    """The last epoch of which all trials that have begun log both; None where none of the unfinished has
    begun."""
    last: list[tuple[TrialState, int]] = []
    for record in records:
        if record.state is TrialState.DONE or record.state in _OPEN:
            logged = [epoch for epoch, logs in record.epochs if metric in logs and select in logs]
            last += [(record.state, logged[-1])] if logged else []
    if not any(state in _OPEN for state, _ in last):
        return None
    return min(epoch for _, epoch in last)


# What the trials say


def _is_compared(record: Record, asked: Question) -> bool:
    """Whether a trial that has not been trained to its end is compared so far."""
    both = any(asked.metric in logs and asked.select in logs for _, logs in record.epochs)
    return asked.epoch is not None and both


def _values_of(record: Record, asked: Question) -> tuple[float, float] | None:
    """The trial's selecting and reported value, or None where it does not count."""
    if record.state is not TrialState.DONE and not (record.state in _OPEN and _is_compared(record, asked)):
        return None
    needed = {asked.select} if asked.test else {asked.select, asked.metric}
    found = _chosen(record, asked, [logs for logs in _epochs_of(record, asked) if needed <= logs.keys()])
    if found is not None and asked.test:
        reported = record.test_logs.get(asked.metric, math.nan)
        found = found[0], frames.single(record, asked.metric, reported)
    return found if found is not None and all(map(math.isfinite, found)) else None


def _epochs_of(record: Record, asked: Question) -> list[Mapping[str, Any]]:
    """The logs of the epochs that the values may be of."""
    until: float = math.inf
    if asked.epoch is not None:
        until = asked.epoch
    elif asked.at == "last" and record.weights_epoch not in (None, OF_NO_EPOCH):
        until = record.weights_epoch or 0
    return [logs for epoch, logs in record.epochs if epoch <= until]


def _chosen(
    record: Record, asked: Question, epochs: Sequence[Mapping[str, Any]]
) -> tuple[float, float] | None:
    """The selecting value of one of some epochs, and the reported one of the same."""
    selecting = [frames.single(record, asked.select, logs[asked.select]) for logs in epochs]
    places = list(range(len(epochs)))
    if asked.at == "best":
        choose = min if asked.select_better == "min" else max
        finite = [i for i in places if math.isfinite(selecting[i])]
        places = [choose(finite, key=lambda i: selecting[i])] if finite else []
    if not places:
        return None
    reported = epochs[places[-1]].get(asked.metric, math.nan)
    return selecting[places[-1]], frames.single(record, asked.metric, reported)
