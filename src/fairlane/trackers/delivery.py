"""Events → trackers: while a study is trained, or afterwards in an export.

In: events as the driver writes them, or the records of a study. Out: calls of `Tracker`'s methods. An export
makes the same events again from the records.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from fairlane.errors import FairlaneError, FairlaneWarning, StudyError
from fairlane.models.session import left_as_found
from fairlane.store import Record, Records, next_epoch
from fairlane.trackers.contract import Facts, Tracker
from fairlane.trials import EpochEnded, Event, Tested, TrialDone, TrialFailed, TrialStarted, TrialState

Summary = Callable[[], Mapping[str, float | str]]


class LiveTrackers:
    """Passes events to trackers while a study is trained. One that raises gets no more; training continues.

    Args:
        trackers: as `fairlane.compare` takes them.

    Raises:
        StudyError: something else than a tracker is among them, or the same one twice.
    """

    def __init__(self, trackers: Any) -> None:
        if isinstance(trackers, Tracker):
            trackers = [trackers]
        listed = list(trackers) if isinstance(trackers, Sequence) and not isinstance(trackers, str) else None
        if listed is None or not all(isinstance(one, Tracker) for one in listed):
            raise StudyError(
                "trackers must be a list such as [fairlane.trackers.TensorBoard('logs')], of TensorBoard and "
                f"MLflow; not {trackers!r}"
            )
        for one in listed:
            if not one.live:
                raise StudyError(
                    f"{one!r} can't be used while a study is trained, because it writes one run after "
                    "another; export the study afterwards, with study.to_wandb(...)"
                )
        if len({id(one) for one in listed}) < len(listed):
            raise StudyError("trackers has the same tracker twice; make one for each place")
        self._given: list[Tracker] = listed
        self._active: list[Tracker] = []

    @contextmanager
    def following(self, name: str | None, records: Records, summary: Summary) -> Iterator[None]:
        """Open the trackers for a study, and close them at its end.

        Args:
            name: the study's.
            records: of the study.
            summary: what `Tracker.conclude` is given, called at the end.

        Raises:
            StudyError: a tracker can't begin; nothing was trained.
        """
        facts = Facts(name, [record.trial for record in records])
        try:
            for tracker in self._given:
                _begin(tracker, facts, "Nothing was trained. Correct this, or leave the tracker out")
                self._active.append(tracker)
            yield
        finally:
            with left_as_found():
                if self._active:
                    found = summary()
                    self._each(lambda tracker: tracker.conclude(found), "at the end of the study")
                self._each(lambda tracker: tracker.end(records), "at the end of the study")
            self._active.clear()

    def take(self, event: Event, record: Record) -> None:
        """Pass an event that the store has to every tracker."""
        if self._active:
            kind = type(event).__name__
            self._each(lambda tracker: tracker.take(event, record), f"at {kind} of {event.trial}")

    def _each(self, call: Callable[[Tracker], None], when: str) -> None:
        for tracker in list(self._active):
            try:
                call(tracker)
            except Exception as error:  # whatever a tool or a server does must not end the training
                self._active.remove(tracker)
                warnings.warn(
                    f"the tracker {tracker!r} is switched off for the rest of this study, because {when} it "
                    f"raised {_line(error)}. Training continues, and the study has everything: export it "
                    "afterwards, for example with study.to_tensorboard(...)",
                    FairlaneWarning,
                    stacklevel=2,
                )


def replay(records: Records, name: str | None, tracker: Tracker, summary: Summary) -> int:
    """Pass everything that is known of a study to a tracker.

    Args:
        records: of the study.
        name: the study's.
        tracker: the tracker.
        summary: what `Tracker.conclude` is given.

    Returns:
        How many trials had events.

    Raises:
        StudyError: the tracker raised; at which trial, and what.
    """
    known = list(records)
    exported = 0
    facts = Facts(name, [record.trial for record in known])
    with left_as_found():
        _begin(tracker, facts, "Nothing was exported. Correct this, and call it again")
        for record in known:
            events = list(events_of(record))
            exported += bool(events)
            for event in events:
                _export(tracker, partial(tracker.take, event, record), f"at {record.trial}")
        _export(tracker, lambda: tracker.conclude(summary()), "at the end")
        _export(tracker, partial(tracker.end, known), "at the end")
    return exported


def events_of(record: Record) -> Iterator[Event]:
    """The events that a record comes from, without weights and checkpoints; none if it was not begun."""
    trial, state = record.trial, record.state
    if record.engine and (record.epochs or state is not TrialState.WAITING):
        yield TrialStarted(
            trial, record.engine, record.reason, record.fleet, record.loop, worker=record.worker
        )
    for epoch, logs in record.epochs:
        yield EpochEnded(trial, epoch, logs)
    if state in (TrialState.DONE, TrialState.STOPPED, TrialState.DIVERGED):
        yield TrialDone(trial, record.seconds, None, record.loop)
    if state is TrialState.FAILED:
        within = next_epoch(record) if record.epochs else None
        yield TrialFailed(trial, within, record.error, record.traceback, record.seconds)
    if state is TrialState.DONE and (record.test_logs or record.error):
        yield Tested(trial, record.test_logs, record.error)


def _begin(tracker: Tracker, facts: Facts, then: str) -> None:
    try:
        with left_as_found():
            tracker.begin(facts)
    except FairlaneError:
        raise
    except Exception as error:
        raise StudyError(f"the tracker {tracker!r} can't begin: {_line(error)}. {then}") from error


def _export(tracker: Tracker, call: Callable[[], None], where: str) -> None:
    try:
        call()
    except Exception as error:
        raise StudyError(
            f"the export to {tracker!r} stopped {where}: {_line(error)}. What was written before stays; the "
            "same call again writes everything again"
        ) from error


def _line(error: Exception) -> str:
    """The error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
