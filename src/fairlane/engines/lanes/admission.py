"""Admitting: jobs of a feed → lanes, as many as memory and the workers have use for.

In: a feed. Out: lanes that have drawn their first epoch, in the yard; and events of those that did not become
lanes.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from typing import Any

from fairlane.engines import phases
from fairlane.engines.contract import OVER, Declined, Feed, ForkRefused, Job
from fairlane.engines.data.fit_data import FitData
from fairlane.engines.data.orders import test_batches
from fairlane.engines.eligibility import Unsuitable
from fairlane.engines.lanes.beginning import begin
from fairlane.engines.lanes.fleets import Fleets
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.memory import lanes_that_fit
from fairlane.engines.lanes.prebuilt import Prebuilt
from fairlane.engines.lanes.replicas import Replicas
from fairlane.engines.lanes.room import has_room_to_make, members_at_extremes
from fairlane.engines.lanes.roster import ENGINE, Reports, Roster, failed
from fairlane.engines.lanes.turns import Turns
from fairlane.engines.lanes.yard import Yard
from fairlane.engines.program.tracing import LOGS, Kind, Registry, kind_of, needs_plain_recurrence
from fairlane.engines.resources import Resources
from fairlane.errors import FairlaneWarning
from fairlane.models.callback_memory.trial_memory import CannotGoOn
from fairlane.trials import Checkpoint, TrialStarted


class Admission:
    """Takes jobs, and makes lanes of them.

    Args:
        feed: where jobs come from.
        resources: what they name by a key.
        threads: how many chunks run at once.
        turns: ends lanes that have no epoch left.
        roster: takes the lanes.
        yard: where they wait.
        reports: takes what happened.
        following: jobs that come before those of the feed: of next phases, and copies of lanes.
    """

    def __init__(
        self,
        feed: Feed,
        resources: Resources,
        threads: int,
        turns: Turns,
        roster: Roster,
        yard: Yard,
        reports: Reports,
        following: deque[Job],
    ) -> None:
        self._feed, self._resources, self._turns = feed, resources, turns
        self._roster, self._yard, self._reports = roster, yard, reports
        self.fleets = Fleets(threads, self.limit)
        self._next: Job | None = None
        self._over = False
        self._following = following
        self._limit: float | None = None
        self._registry = Registry()
        self._tests: dict[Any, list[Any]] = {}
        self._replicas, self._prebuilt = Replicas(resources), Prebuilt(resources)

    def limit(self) -> float:
        """How many lanes may be under way at once, as far as that is known: by the first lane."""
        return math.inf if self._limit is None else self._limit

    def fork(self, job: Job) -> None:
        """Let a job that goes on from a copy of a lane come next."""
        self._following.append(job)

    def has_job(self) -> bool:
        """Whether there is a job now. It asks the feed, where none is known."""
        if self._following or self._next is not None:
            return True
        if not self._over:
            found = self._feed.next()
            if isinstance(found, Job):
                self._next = found
            self._over = found is OVER
        return self._next is not None

    @property
    def over(self) -> bool:
        """Whether there will be no job any more."""
        return self._over and not self._following and self._next is None

    def admit(self) -> None:
        """Take a job and make a lane of it."""
        job = self._following.popleft() if self._following else self._next
        if job is self._next:
            self._next = None
        if job is None:
            return
        data = self._resources.data_of(job).parts
        if job.reason or data is None:
            self._reports.add(Declined(job, job.reason or "its data can't be taken apart"))
            return
        if job.phases and not data.repeats:
            self._reports.add(Declined(job, "it is trained in phases, and its data can be read once"))
            return
        try:
            lane = self._lane(job, data)
            self._limit_lanes(lane, job, data)
        except Unsuitable as reason:
            self._reports.add(Declined(job, str(reason)))
        except CannotGoOn as why:
            self._reports.add(ForkRefused(job, str(why)))
        except Exception as error:
            self._reports.add(failed(job, job.began if job.phase else None, error, 0.0))
        else:
            if lane.described is not None:
                self._reports.add(lane.described)
            self._assign(lane, data)

    def _lane(self, job: Job, data: FitData) -> Lane:
        """The job's lane, where its checkpoint was taken; or at the beginning, where it can't go on there."""
        checkpoint = job.checkpoint if data.repeats else None
        try:
            return self._begun(job, data, checkpoint)
        except CannotGoOn as why:
            if job.forked:  # it is a copy, or it is not
                raise
            warnings.warn(
                f"{job.trial} starts again from its first epoch: {why}", FairlaneWarning, stacklevel=2
            )
            return self._begun(phases.first_job(job), data, None)

    def _begun(self, job: Job, data: FitData, checkpoint: Checkpoint | None) -> Lane:
        began = time.perf_counter()
        beginning = self._replicas.find(job, data)
        beginning = beginning or begin(job, self._resources, data, checkpoint, self._prebuilt)
        lane = Lane(job, self._resources, data, beginning, checkpoint)
        lane.spend(time.perf_counter() - began)
        return lane

    def _limit_lanes(self, lane: Lane, job: Job, data: FitData) -> None:
        """Find out, by the first lane, how many may be under way at once."""
        if self._limit is None:
            self._limit = lanes_that_fit(lane.own_state())
            readers = self._resources.data_of(job).readers
            if data.once and self._limit < readers:
                raise Unsuitable(
                    f"a generator is read once, by all {readers} trials together, and only "
                    f"{int(self._limit)} fit into memory; give a keras.utils.PyDataset"
                )

    def _assign(self, lane: Lane, data: FitData) -> None:
        """Begin a lane's first epoch, and give it to the fleet whose program can train it."""
        try:
            changed = None if lane.finished else lane.begin_epoch(lane.own_state)
        except Exception as error:
            self._reports.add(TrialStarted(lane.trial, ENGINE, epoch=lane.epoch))
            lane.give_up(lane.own_state)
            self._reports.add(failed(lane.job, lane.epoch, error, lane.seconds))
            return
        if changed is not None:
            lane.rest_with(changed)
        try:  # only now: Keras traces the step after the callbacks' on_epoch_begin
            if not lane.finished:
                lane.examine(self._kinds(lane, data), self._registry)
        except Unsuitable as reason:
            self._withdraw(lane, str(reason), reason.__cause__)
            return
        if lane.beginning is not None and not lane.finished:
            self._replicas.learn(lane.job, data, lane.beginning)
            self._prebuilt.learn(lane.job, data, lane.beginning)
        lane.beginning = None
        fleet = self.fleets.of(lane)
        if fleet.lacks_room and not lane.finished and has_room_to_make(lane, data):
            known = self._kinds(lane, data), self._registry
            self.fleets.make_room(fleet, members_at_extremes(lane, self._resources, data, *known))
        if fleet.failure:
            self._withdraw(lane, fleet.failure, fleet.error)
            return
        self._roster.enter(lane, fleet)
        if lane.finished:  # it goes on from its end, and has no epoch more
            self._turns.begin(lane, lane.own_state)
        else:
            self._yard.line_up(lane, fleet)

    def _withdraw(self, lane: Lane, reason: str, error: BaseException | None) -> None:
        lane.withdraw()
        self._reports.add(Declined(lane.job, reason, error))

    def _kinds(self, lane: Lane, data: FitData) -> list[Kind]:
        """The steps that a lane needs, as far as its batches are known, in the order of ``fit``."""
        key = data.likeness, lane.steps_per_execution
        if key not in self._tests:
            self._tests[key] = test_batches(data, lane.steps_per_execution)
        plain = needs_plain_recurrence(lane.model)
        training = [kind_of("train", batch, plain) for batch in lane.batches(data)]
        tests = [kind_of("test", batch, plain) for batch in self._tests[key]]
        return list(dict.fromkeys([*training, LOGS, *tests]))
