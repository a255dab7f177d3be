"""Who is under way: the lanes that have not ended, their fleets, and what is to be reported of them.

In: what the other parts of the scheduler find out. Out: events, in the order in which they happened.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from fairlane.engines.contract import Declined, EngineEvent, Job
from fairlane.engines.lanes.fleet import Fleet
from fairlane.engines.lanes.lane import Lane
from fairlane.kit.error_text import one_line
from fairlane.trials import Checkpoint, CutOff, EpochEnded, Event, TrialDone, TrialFailed, TrialStarted

ENGINE = "lanes"


class Reports:
    """What happened and is not reported yet."""

    def __init__(self) -> None:
        self._events: deque[EngineEvent] = deque()
        self._given: EngineEvent | None = None

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: EngineEvent) -> None:
        """Note what happened."""
        self._events.append(event)

    def given_out(self) -> Iterator[EngineEvent]:
        """Each event, once; where this is closed, the others are still there."""
        while self._events:
            self._given = self._events.popleft()
            yield self._given
            self._given = None

    def rest(self) -> list[Event]:
        """What a store can take of that which was never given out.

        The event that was given out last comes first, unless somebody came back for the next.
        """
        last = [] if self._given is None or isinstance(self._given, Checkpoint) else [self._given]
        kinds = (TrialStarted, EpochEnded, TrialDone, TrialFailed, Checkpoint, CutOff)
        return [event for event in (*last, *self._events) if isinstance(event, kinds)]


class Roster:
    """The lanes that have not ended, with their fleets. Only here does a lane get or lose its fleet.

    Args:
        reports: takes what happened.
    """

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._fleets: dict[Lane, Fleet] = {}

    def __len__(self) -> int:
        return len(self._fleets)

    def enter(self, lane: Lane, fleet: Fleet) -> None:
        """A lane begins."""
        self._fleets[lane] = fleet
        fleet.take_in(lane)
        self._reports.add(TrialStarted(lane.trial, ENGINE, fleet=fleet.number, epoch=lane.epoch))

    def move(self, lane: Lane, fleet: Fleet) -> None:
        """A lane changes its fleet."""
        self._fleets[lane].let_go()
        self._fleets[lane] = fleet
        fleet.take_in(lane)

    def decline(self, lane: Lane, reason: str, error: BaseException | None = None) -> None:
        """A lane goes to another engine."""
        lane.withdraw()
        self._leave(lane)
        self._reports.add(Declined(lane.job, reason, error))

    def hand_over(self, lane: Lane, ended: Checkpoint) -> None:
        """A lane's phase has ended, and another follows. Where checkpoints are wanted, its end is one."""
        self._leave(lane)
        if lane.job.pace is not None:
            self._reports.add(ended)

    def finish(self, lane: Lane, done: TrialDone) -> None:
        """A lane was trained to its end."""
        fleet = self._fleets[lane]
        self._leave(lane)
        self._reports.add(replace(done, fleet=fleet.number, reason=fleet.apart))

    def lose(self, lane: Lane, epoch: int, error: BaseException) -> None:
        """A lane fails."""
        self._leave(lane)
        self._reports.add(failed(lane.job, epoch, error, lane.seconds))

    def _leave(self, lane: Lane) -> None:
        lane.leave()
        self._fleets.pop(lane).let_go()


def failed(job: Job, epoch: int | None, error: BaseException, seconds: float) -> TrialFailed:
    """The event of a job that raised."""
    text = "".join(traceback.format_exception(error))
    return TrialFailed(job.trial, epoch, one_line(error), text, seconds, error)
