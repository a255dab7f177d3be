"""A metric and options → a question about the trials, checked.

In: the records of a study's trials, and which metric chooses and which is reported. Out: a `Question`,
complete: the metrics' directions, and the epoch in which all trials are compared while some are unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.kit.text import plural
from fairlane.results.directions import Direction, Modes, bare, check_mode, direction, find_direction
from fairlane.results.frames import At
from fairlane.results.logs import VALIDATION, known_directions, logged_name, ordered_logs, test_metrics
from fairlane.store import Record
from fairlane.trials import OF_NO_EPOCH, TrialState

_TEST = "test_"


@dataclass(frozen=True)
class Question:
    """What the trials are compared by.

    Attributes:
        metric: the metric that is reported.
        better: whether its smaller or larger values are better.
        select: the metric by which variants are ranked and epochs are chosen.
        select_better: whether the smaller or larger values of that metric are better.
        at: the epoch: ``"last"`` or ``"best"``.
        test: whether the reported metric is one of the test data.
        provisional: whether trials are unfinished.
        epoch: the epoch that all trials are compared in, counted from 0, while some are unfinished; else
            None.
        restored: whether some trials' weights, and so their values, belong to an earlier epoch than the last.
    """

    metric: str
    better: Direction
    select: str
    select_better: Direction
    at: At
    test: bool
    provisional: bool = False
    epoch: int | None = None
    restored: bool = False

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
            so_far = f"after {plural(self.epoch + 1, 'epoch')}, provisional"
            return so_far if self.at == "last" else f"at the best {self.select} {so_far}"
        if self.at == "best":
            return f"at the best {self.select}"
        return "in the epoch of the trained weights" if self.restored else "in the last epoch"


def ask(records: Sequence[Record], metric: str, select: str | None, at: At, mode: Modes) -> Question:
    """Check a request, and complete it.

    Args:
        records: the trials' records.
        metric: as for `fairlane.results.ranking.read`.
        select: as for `fairlane.results.ranking.read`.
        at: as for `fairlane.results.ranking.read`.
        mode: as for `fairlane.results.ranking.read`.

    Raises:
        StudyError: as `fairlane.results.ranking.read`.
    """
    arguments.metric("metric", metric)
    if select is not None:
        arguments.metric("select", select)
    arguments.one_of("at", at, ("last", "best"))
    tests = test_metrics(records)
    logs = ordered_logs(records)
    check_mode(mode, [*logs, *tests] or None)
    if select in tests:
        raise StudyError(
            f"select={select!r} would choose by the test data, which would then no longer test the choice; "
            f"select by a validation metric, and report {select!r}"
        )
    if select is None:
        select = _default_selection(logs, metric) if metric in tests else metric
    if metric not in tests:
        metric = logged_name(records, logs, metric)
    select = logged_name(records, logs, select)
    known = known_directions(records)
    _check_one_mode(mode, metric, select, known)
    test = metric in tests
    provisional = not test and any(record.state.is_open for record in records)
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
        any(_restores(record) for record in records),
    )


def _check_one_mode(mode: Modes, metric: str, select: str, known: Mapping[str, Sequence[str]]) -> None:
    """Refuse one mode for two metrics if it is known to be wrong for one of them."""
    if not isinstance(mode, str) or mode == "auto" or bare(metric) == bare(select):
        return
    directions = {name: find_direction(name, "auto", known) for name in (metric, select)}
    if any(one not in (None, mode) for one in directions.values()):
        modes = {name: one or mode for name, one in directions.items()}
        raise StudyError(
            f"mode={mode!r} would apply to both {metric!r} and {select!r}, but large values are better for "
            f"one of them and small values for the other; give a mode for each, as mode={modes}"
        )


def _default_selection(logs: Sequence[str], metric: str) -> str:
    wanted = (VALIDATION + metric.removeprefix(_TEST), "val_loss", "loss")
    found = next((name for name in wanted if name in logs), None)
    if found is None:
        raise StudyError(f"there is no loss to rank variants by; give select=..., one of {', '.join(logs)}")
    return found


def _restores(record: Record) -> bool:
    """Whether a callback restored the weights of an earlier epoch than the last."""
    epoch = record.weights_epoch
    return bool(record.epochs) and epoch is not None and epoch != OF_NO_EPOCH and epoch < record.epochs[-1][0]


def _common_epoch(records: Sequence[Record], metric: str, select: str) -> int | None:
    """The last epoch in which all trials that have begun logged both metrics.

    None where no unfinished trial has begun.
    """
    last: list[tuple[TrialState, int]] = []
    for record in records:
        if record.state is TrialState.DONE or record.state.is_open:
            logged = [epoch for epoch, logs in record.epochs if metric in logs and select in logs]
            last += [(record.state, logged[-1])] if logged else []
    if not any(state.is_open for state, _ in last):
        return None
    return min(epoch for _, epoch in last)
