"""A study that several processes train: each leases some of its trials from the store.

In: jobs for all trials that may be left, and the store. Out: a feed of those that are leased to this process.
Every process plans the same study and asks for trials until all have ended, so that it also takes over those
of a process that is lost.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fairlane.engines import phases
from fairlane.engines.contract import NOT_YET, OVER, EngineEvent, Job, Nothing
from fairlane.errors import FairlaneWarning
from fairlane.kit.call_sites import caller, warn_at
from fairlane.running.hanging import Watch
from fairlane.store import Record
from fairlane.trials import Trial, TrialFailed, TrialStarted

if TYPE_CHECKING:
    from fairlane.store.shared import SharedStore

_BETWEEN = 2.0
"""Seconds after which trials are asked for again, where there were none."""
_PAUSE = 0.2
"""Seconds of rest while others train."""
_ROUNDS = 2
"""How many batches of the usual size each process would train, if all were equally fast."""
_FEWEST = 4
"""For so many processes a batch leaves some, at least: others may begin a moment later."""


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


class LeasedFeed:
    """Gives the jobs of those trials that the store has leased to this process.

    Args:
        jobs: of all trials that may be left.
        store: leases trials.
        batch: how many trials this process has at once; by default a share of those that are left, by the
            number of processes.
        watch: is told of all that happens.
        show: gets each other process's record that has changed.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        store: SharedStore,
        batch: int | None,
        watch: Watch,
        show: Callable[[Record], None],
    ) -> None:
        self._jobs = {job.trial.number: job for job in jobs}
        self._store, self._show, self._size, self._watch = store, show, batch, watch
        store.lives_while(watch.alive)
        self._given: deque[Job] = deque()
        self._mine: list[Trial] = []
        self._fatal: list[Trial] = []
        self._left, self._again, self._was_alone = 1, -math.inf, False

    def next(self) -> Job | Nothing:
        """The next job; `NOT_YET` while other processes have trials."""
        self._watch.goes_on()
        if not self._given:
            self._ask()
        if self._given:
            return self._given.popleft()
        return NOT_YET if self._left else OVER

    def wait(self) -> bool:
        """Rest for a moment, if other processes have trials; says whether they do."""
        self._watch.goes_on()
        if self._left:
            time.sleep(_PAUSE)
        return bool(self._left)

    def through(self, source: Generator[EngineEvent]) -> Generator[EngineEvent]:
        """What an engine reports, and failures of trials that are not tried any more."""
        try:
            for event in source:
                self._watch.goes_on()
                yield from self._failures()
                yield replace(event, worker=_this_process()) if isinstance(event, TrialStarted) else event
            yield from self._failures()
        finally:
            source.close()

    def _failures(self) -> Iterator[EngineEvent]:
        while self._fatal:
            text = (
                "the processes that trained it were lost, three times one after another, the last times with "
                "this trial alone, and it came to no new checkpoint"
            )
            yield TrialFailed(self._fatal.pop(0), None, text, f"{text}\n")

    def _ask(self) -> None:
        """Lease more, where at most half of a batch is under way."""
        self._mine = [trial for trial in self._mine if not self._store[trial].state.ended]
        alone = not self._mine
        if self._size is not None and 2 * len(self._mine) > self._size:
            return
        if time.monotonic() < self._again and (self._was_alone or not alone):
            return
        wanted = [job.trial for job in self._jobs.values()]
        leased = self._store.lease(wanted, self._room, alone)
        self._left, self._was_alone = leased.left, alone
        self._again = -math.inf if leased.trials else time.monotonic() + _BETWEEN
        self._mine += leased.trials
        self._fatal += leased.fatal
        for record in leased.changed:
            self._show(record)
        notes, self._store.notes[:] = list(self._store.notes), []
        for note in notes:
            warn_at(caller(), note, FairlaneWarning)
        self._given += map(self._job, leased.trials)

    def _room(self, free: int, processes: int) -> int:
        """How many more trials this process may have."""
        if self._size is None:
            if not free:
                return 0
            self._size = math.ceil(free / (_ROUNDS * max(processes, _FEWEST)))
        return self._size - len(self._mine)

    def _job(self, trial: Trial) -> Job:
        job = self._jobs[trial.number]
        job = replace(job, alike=min(job.alike, self._size or 1))
        return job if job.pace is None else phases.resumed(job, self._store.checkpoint(trial))
