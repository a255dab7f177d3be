"""The turn of one lane between two epochs: one ends, and the next begins, or the lane ends.

In: what an epoch gave. Out: the lane's new state, where its callbacks changed it; and events.
"""

from __future__ import annotations

from collections import deque

from fairlane.engines import phases
from fairlane.engines.contract import Job
from fairlane.engines.eligibility import TooLate
from fairlane.engines.lanes.callbacks import Look
from fairlane.engines.lanes.chunk import Chunk, Outcome
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.roster import Reports, Roster
from fairlane.models.variables import same_weights
from fairlane.trials import EpochEnded, State, TrialDone


class Turns:
    """Ends and begins epochs of lanes; what goes wrong there ends the lane.

    Args:
        roster: the lanes under way.
        reports: takes what happened.
        following: takes the jobs of next phases, which come before others.
    """

    def __init__(self, roster: Roster, reports: Reports, following: deque[Job]) -> None:
        self._roster, self._reports, self._following = roster, reports, following

    def begin_test(self, chunk: Chunk, outcome: Outcome, i: int) -> State | None:
        """Tell the callbacks of lane ``i`` that training has ended, and validation begins.

        Returns:
            Its new state, where they changed it.
        """
        lane, look = chunk.lanes[i], chunk.viewer(i)
        try:
            return lane.begin_test(look, outcome.logs_of(i), outcome.steps_of(i))
        except TooLate as reason:
            self._roster.decline(lane, str(reason), reason)
        except Exception as error:
            self._lose(lane, lane.epoch, error, look)
        return None

    def end_epoch(self, chunk: Chunk, outcome: Outcome, i: int) -> State | None:
        """End the epoch of lane ``i``.

        Returns:
            Its new state, where callbacks changed it.
        """
        lane, look = chunk.lanes[i], chunk.viewer(i)
        logs, val_logs = outcome.logs_of(i), outcome.val_logs_of(i)
        steps, epoch = outcome.steps_of(i), lane.epoch
        try:
            epoch_logs, changed = lane.end_epoch(look, logs, val_logs, steps)
        except Exception as error:
            self._lose(lane, epoch, error, look)
            return None
        self._reports.add(EpochEnded(lane.trial, epoch, epoch_logs, lane.take_directions()))
        return changed

    def save(self, lane: Lane, look: Look) -> None:
        """Report a lane's checkpoint, where one is due."""
        if lane.is_due():
            checkpoint = lane.checkpoint(look)
            if not isinstance(checkpoint, str):
                self._reports.add(checkpoint)

    def begin(self, lane: Lane, look: Look, loop: str = "") -> tuple[bool, State | None]:
        """Begin a lane's next epoch; or end the lane, where there is none.

        Args:
            lane: the lane.
            look: reads its state.
            loop: what it was trained with, for the report.

        Returns:
            Whether it goes on; and its new state, where a callback changed it.
        """
        try:
            if lane.finished:
                self._finish(lane, look, loop)
                return False, None
            return True, lane.begin_epoch(look)
        except TooLate as reason:
            self._roster.decline(lane, str(reason), reason)
        except Exception as error:
            self._lose(lane, lane.epoch, error, look)
        return False, None

    def _finish(self, lane: Lane, look: Look, loop: str) -> None:
        state = look()  # which copies it
        remembered, weights = lane.what_it_remembers(), lane.end(lambda: state)
        ended = None if weights is None else lane.opening(weights)
        if ended is not None:
            self._roster.hand_over(lane, ended)
            self._following.append(phases.next_job(lane.job, ended))
            return
        memory = None if isinstance(remembered, str) else remembered
        if memory is not None and weights is not None and not same_weights(weights.state, state):
            memory = None  # the end of training has changed the weights: more epochs could not follow
        done = TrialDone(
            lane.trial, lane.seconds, weights, loop, memory, lane.weights_epoch, stopped=lane.stopped
        )
        self._roster.finish(lane, done)

    def _lose(self, lane: Lane, epoch: int, error: Exception, look: Look) -> None:
        lane.give_up(look)
        self._roster.lose(lane, epoch, error)
