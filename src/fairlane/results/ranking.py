"""Records → which trials count, with which values, and which variant is the best: one rule for all results.

In: the records of a study's trials, and which metric chooses and which is reported. Out: the values that
count, by variant and seed, the variants in their order, and the best trial.

A trial counts with its value in the epoch that its trained weights belong to. While trials are unfinished,
all count with their values in the last epoch that all of them have, and the result is provisional. Variants
are ordered by the mean over their seeds. A variant with failed or diverged seeds comes after all that lost a
smaller share of theirs: the mean of the seeds that are left is not the mean of the variant. While folds are
unfinished, variants are ordered by the folds that all of them have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.kit.text import plural
from fairlane.results.cells import cells_of, named_cells
from fairlane.results.directions import Modes
from fairlane.results.frames import At, Rows
from fairlane.results.logs import nothing_counts, single, test_metrics
from fairlane.results.question import Question, ask
from fairlane.store import Record
from fairlane.trials import OF_NO_EPOCH, TrialState

Of = Literal["variant", "trials"]

Replicate = int | tuple[int, int]
"""A seed; or a seed and a fold."""


@dataclass(frozen=True, eq=False)
class Values:
    """The values of all trials that count.

    Attributes:
        question: what they are compared by.
        names: the hyperparameters' names.
        cells: variant's number → its hyperparameters, as a column has them.
        labels: variant's number → its hyperparameters in words.
        values: variant's number → replicate (a seed, or a seed and a fold) → the reported value.
        selected: variant's number → replicate → the value that selects.
        failed: variant's number → how many trials failed or diverged, or have no finite value.
        unfinished: variant's number → how many trials have not ended, or were interrupted.
        averaged: the numbers of trials whose trained weights belong to no single epoch, such as an average.
    """

    question: Question
    names: list[str]
    cells: dict[int, dict[str, Any]]
    labels: dict[int, str]
    values: dict[int, dict[Replicate, float]]
    selected: dict[int, dict[Replicate, float]]
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
        found, compared = self.selected[number], self._compared
        values = [value for replicate, value in found.items() if not compared or replicate in compared]
        if not values:
            return True, 0.0, 0.0, number
        sign = 1 if self.question.select_better == "min" else -1
        return False, self.lost(number), sign * math.fsum(values) / len(values), number

    @cached_property
    def _compared(self) -> set[Replicate]:
        """The replicates that order the variants, where not all do: one fold is harder than another.

        Seeds are alike, so the mean over those that there are is an estimate. The mean over some folds is
        not: while folds are missing, those count that all variants have. Empty where all count, or none is
        in all.
        """
        if not (self.folded and any(self.unfinished.values())):
            return set()
        there = [set(found) for found in self.selected.values() if found]
        return set.intersection(*there) if any(one != there[0] for one in there) else set()

    def lost(self, number: int) -> float:
        """The share of a variant's seeds that failed, of those that have ended or count.

        Args:
            number: the variant's.
        """
        failed = self.failed[number]
        return failed / (failed + len(self.values[number])) if failed else 0.0

    @property
    def folded(self) -> bool:
        """Whether the samples are cut into folds."""
        return any(isinstance(one, tuple) for found in self.values.values() for one in found)

    @property
    def attrs(self) -> dict[str, Any]:
        """The question, for a frame's ``attrs``."""
        question = self.question
        return {
            "metric": question.metric,
            "direction": question.better,
            "at": question.at,
            "selected_by": question.selected_by,
            "test": question.test,
            "provisional": question.provisional,
            "epoch": question.epoch,
            "when": question.when,
        }

    def columns(self, numbers: Sequence[int]) -> dict[str, Any]:
        """The columns ``variant`` and the hyperparameters.

        Args:
            numbers: the variant of each row.
        """
        columns: dict[str, Any] = {"variant": list(numbers)}
        cells = [self.cells[n] for n in numbers]
        return columns | {name: cells_of(cells, name) for name in self.names}

    @property
    def notes(self) -> list[str]:
        """Warnings about the values and the order, a sentence each."""
        return [*self._provisional(), *self._apart(), *self._of_no_epoch()]

    @property
    def notes_of_values(self) -> list[str]:
        """The warnings about the values."""
        return [*self._provisional(), *self._of_no_epoch()]

    def _provisional(self) -> list[str]:
        if not self.question.provisional:
            return []
        count = sum(self.unfinished.values())
        unfinished = f"{plural(count, 'trial')} {'is' if count == 1 else 'are'} not trained to the end"
        folds = "; variants are ordered by the folds that all of them have" if self._compared else ""
        if self.question.epoch is None:
            return [f"Provisional: {unfinished}, and can't be compared yet{folds}"]
        return [
            f"Provisional: {unfinished}. All trials are compared in epoch {self.question.epoch + 1} (counted "
            f"from 1), the last one that all of them have{folds}"
        ]

    def _apart(self) -> list[str]:
        apart = [n for n in self.order if self.failed[n] and self.values[n]]
        if not apart:
            return []
        some = [f"variant {n} ({self.labels[n]}), {self.survivors(n)}" for n in apart[:5]]
        more = f"; and {len(apart) - 5} more" if len(apart) > 5 else ""
        return [
            "Ranked after the variants that lost fewer seeds, because seeds failed, diverged or have no "
            f"finite value: {'; '.join(some)}{more}"
        ]

    def survivors(self, number: int) -> str:
        """``2 of 8 seeds count``.

        Args:
            number: the variant's.
        """
        counted = len(self.values[number])
        total = plural(counted + self.failed[number], "trial" if self.folded else "seed")
        return f"{counted} of {total} count{'s' * (counted == 1)}"

    def _of_no_epoch(self) -> list[str]:
        question = self.question
        if not self.averaged or question.test or question.at == "best" or question.epoch is not None:
            return []
        which = ", ".join(map(str, self.averaged[:8])) + (", ..." if len(self.averaged) > 8 else "")
        return [
            f"The trained weights of {plural(len(self.averaged), 'trial')} ({which}) belong to no single "
            "epoch: they are an average over epochs, or a callback changed them at the end of training. The "
            "values shown are those of the last epoch, not those of study.model(trial); give test_data to "
            "measure that model"
        ]


def read(
    records: Sequence[Record], metric: str, select: str | None = None, at: At = "last", mode: Modes = "auto"
) -> Values:
    """The values of all trials that count.

    Args:
        records: the trials' records.
        metric: the metric to report: a log's name, or a metric of the test data.
        select: the metric to rank variants and choose epochs by; by default the same, or for a metric of the
            test data its validation counterpart, else ``"val_loss"``, else ``"loss"``.
        at: ``"last"`` for the epoch that the trained weights belong to, ``"best"`` for the epoch with the
            best value of ``select``.
        mode: see `fairlane.results.directions.direction`.

    Raises:
        StudyError: no such metric, no trial that counts, an unknown option, or it is not known whether small
            or large values are better.
    """
    question = ask(records, metric, select, at, mode)
    names, cells = named_cells(records)
    numbers = sorted(cells)
    labels = {r.trial.variant.number: r.trial.variant.label for r in records}
    values: dict[int, dict[Replicate, float]] = {number: {} for number in numbers}
    selected: dict[int, dict[Replicate, float]] = {number: {} for number in numbers}
    failed, unfinished = dict.fromkeys(numbers, 0), dict.fromkeys(numbers, 0)
    averaged = []
    for record in records:
        number, replicate = record.trial.variant.number, record.trial.replicate
        found = _values_of(record, question)
        if found is not None:
            selected[number][replicate], values[number][replicate] = found
            if record.weights_epoch == OF_NO_EPOCH:
                averaged.append(record.trial.number)
        elif not record.state.is_open or _is_compared(record, question):
            failed[number] += 1
        unfinished[number] += record.state.is_open
    if not any(values.values()):
        raise nothing_counts(records, question.metric)
    return Values(question, names, cells, labels, values, selected, failed, unfinished, averaged)


def best(records: Rows, metric: str, *, mode: Modes = "auto", at: At = "last", of: Of = "variant") -> Record:
    """The record of the best trial; of equals, the first.

    Args:
        records: the trials' records.
        metric: a log's name, such as ``"val_loss"``.
        mode: see `fairlane.results.directions.direction`.
        at: as for `read`.
        of: ``"variant"`` for the best trial of the best variant, ``"trials"`` for the best of all trials,
            which is often that with the luckiest seed.

    Returns:
        One of the records.

    Raises:
        StudyError: as `read`; or a metric of the test data, which must not choose.

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
    """As `read`, for a choice: metrics of the test data are refused.

    Args:
        records: the trials' records.
        metric: as for `best`.
        mode: as for `best`.
        at: as for `best`.

    Raises:
        StudyError: as `best`.
    """
    if arguments.metric("metric", metric) in test_metrics(records):
        raise StudyError(
            f"{metric!r} is measured on the test data. If it chooses the trial, it no longer tests the "
            f"choice; choose by a validation metric, and read {metric!r} of the chosen trial in study.trials"
        )
    return read(records, metric, at=at, mode=mode)


def best_of(records: Sequence[Record], found: Values, of: Of) -> Record:
    """The record of the best trial; of equals, the first.

    Args:
        records: the trials' records.
        found: their values, as `read` gives them.
        of: as for `best`.

    Raises:
        StudyError: ``of`` is neither.
    """
    arguments.one_of("of", of, ("variant", "trials"))
    first = found.order[0]
    count = [
        (found.values[r.trial.variant.number][r.trial.replicate], r)
        for r in records
        if (of == "trials" or r.trial.variant.number == first)
        and r.trial.replicate in found.values[r.trial.variant.number]
    ]
    choose = min if found.question.better == "min" else max
    return choose(count, key=lambda pair: pair[0])[1]


def _is_compared(record: Record, question: Question) -> bool:
    """Whether a trial that is not trained to its end takes part in a provisional comparison."""
    both = any(question.metric in logs and question.select in logs for _, logs in record.epochs)
    return question.epoch is not None and both


def _values_of(record: Record, question: Question) -> tuple[float, float] | None:
    """The trial's selecting and reported value, or None where it does not count."""
    if record.state is not TrialState.DONE and not (record.state.is_open and _is_compared(record, question)):
        return None
    needed = {question.select} if question.test else {question.select, question.metric}
    found = _chosen(
        record, question, [logs for logs in _epochs_of(record, question) if needed <= logs.keys()]
    )
    if found is not None and question.test:
        reported = record.test_logs.get(question.metric, math.nan)
        found = found[0], single(record, question.metric, reported)  # of the trained weights, not of an epoch
    return found if found is not None and all(map(math.isfinite, found)) else None


def _epochs_of(record: Record, question: Question) -> list[Mapping[str, Any]]:
    """The logs of the epochs that the values may come from."""
    until: float = math.inf
    if question.epoch is not None:
        until = question.epoch
    elif question.at == "last" and record.weights_epoch not in (None, OF_NO_EPOCH):
        until = record.weights_epoch or 0
    return [logs for epoch, logs in record.epochs if epoch <= until]


def _chosen(
    record: Record, question: Question, epochs: Sequence[Mapping[str, Any]]
) -> tuple[float, float] | None:
    """The selecting and the reported value of one of some epochs, the last or the best."""
    selecting = [single(record, question.select, logs[question.select]) for logs in epochs]
    places = list(range(len(epochs)))
    if question.at == "best":
        choose = min if question.select_better == "min" else max
        finite = [i for i in places if math.isfinite(selecting[i])]
        places = [choose(finite, key=lambda i: selecting[i])] if finite else []
    if not places:
        return None
    reported = epochs[places[-1]].get(question.metric, math.nan)
    return selecting[places[-1]], single(record, question.metric, reported)
