"""A study that several processes train: each leases some of its trials from the store.

In: jobs for all trials that may be left, and the store. Out: a feed of those that are leased to this process.
Every process plans the same study and asks for trials until all have ended, so that it also takes over those
of a process that is lost. `Leases` does the asking, for the trials of a search, too.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from fairlane.engines import phases
from fairlane.engines.contract import NOT_YET, OVER, EngineEvent, Feed, Job, Nothing
from fairlane.errors import FairlaneWarning
from fairlane.kit.call_sites import caller, warn_at
from fairlane.kit.hanging import Watch
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


class Sharing(Feed, Protocol):
    """Gives the jobs of this process's part of a study that others train, too."""

    def wait(self) -> bool:
        """Rest for a moment, if other processes have trials; says whether they do."""

    def through(self, source: Generator[EngineEvent]) -> Generator[EngineEvent]:
        """What an engine reports, and failures of trials that are not tried any more."""


class Leases:
    """The trials that the store has leased to this process.

    Args:
        store: leases trials.
        batch: how many trials this process has at once; by default a share of those that are left, by the
            number of processes.
        watch: is told of all that happens.
        show: gets each other process's record that has changed.
        release: gets each trial that has ended in another process.

    Attributes:
        store: the same.
        left: how many of the trials that were last asked for are other processes'.
    """

    def __init__(
        self,
        store: SharedStore,
        batch: int | None,
        watch: Watch,
        show: Callable[[Record], None],
        release: Callable[[Trial], None],
    ) -> None:
        self.store, self._size, self._watch = store, batch, watch
        self._show, self._release = show, release
        store.lives_while(watch.alive)
        self._mine: list[Trial] = []
        self._fatal: list[Trial] = []
        self._here: set[Trial] = set()
        """Trials that have been asked for: the study may have others, of an earlier call."""
        self.left, self._again, self._was_alone = 1, -math.inf, False

    def goes_on(self) -> None:
        """Note that something has happened."""
        self._watch.goes_on()

    def has_more(self) -> None:
        """Know that there are trials to ask for that there were not before."""
        self._again = -math.inf

    def through(self, source: Generator[EngineEvent]) -> Generator[EngineEvent]:
        """What an engine reports, and failures of trials that are not tried any more."""
        try:
            for event in source:
                self.goes_on()
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

    def ask(self, wanted: Sequence[Trial], resting: Collection[Trial] = ()) -> list[Trial]:
        """Lease more, where at most half of a batch is under way.

        Args:
            wanted: from which, in order.
            resting: those of this process that wait for what others do.

        Returns:
            What is leased to this process now; nothing, too, where it asked a moment ago.
        """
        self._mine = [trial for trial in self._mine if not self.store[trial].state.ended]
        self._here.update(wanted)
        under_way = len(self._mine) - len(resting)
        alone = under_way <= 0
        if self._size is not None and 2 * under_way > self._size:
            return []
        if time.monotonic() < self._again and (self._was_alone or not alone):
            return []
        leased = self.store.lease(wanted, lambda free, all_: self._room(free, all_) - under_way, alone)
        self.left, self._was_alone = leased.left, alone
        self._again = -math.inf if leased.trials else time.monotonic() + _BETWEEN
        self._mine += leased.trials
        self._fatal += leased.fatal
        self.heard(leased.changed)
        notes, self.store.notes[:] = list(self.store.notes), []
        for note in notes:
            warn_at(caller(), note, FairlaneWarning)
        return leased.trials

    def heard(self, changed: Sequence[Record]) -> None:
        """Take in what other processes' trials have come to."""
        for record in changed:
            self._show(record)
            if not record.state.is_open and record.trial in self._here:
                self._release(record.trial)

    def _room(self, free: int, processes: int) -> int:
        """How many trials this process may have."""
        if self._size is None:
            if not free:
                return 0
            self._size = math.ceil(free / (_ROUNDS * max(processes, _FEWEST)))
        return self._size

    def begun(self, job: Job) -> Job:
        """The job of a trial that was leased, from where the trial's last process came to."""
        job = replace(job, alike=min(job.alike, self._size or 1))
        return job if job.pace is None else phases.resumed(job, self.store.checkpoint(job.trial))


class LeasedFeed:
    """Gives the jobs of those trials that the store has leased to this process.

    Args:
        jobs: of all trials that may be left.
        leases: of this process.
    """

    def __init__(self, jobs: Sequence[Job], leases: Leases) -> None:
        self._jobs = {job.trial.number: job for job in jobs}
        self._leases = leases
        self._given: deque[Job] = deque()

    def next(self) -> Job | Nothing:
        """The next job; `NOT_YET` while other processes have trials."""
        self._leases.goes_on()
        if not self._given:
            leased = self._leases.ask([job.trial for job in self._jobs.values()])
            self._given += [self._leases.begun(self._jobs[trial.number]) for trial in leased]
        if self._given:
            return self._given.popleft()
        return NOT_YET if self._leases.left else OVER

    def wait(self) -> bool:
        """Rest for a moment, if other processes have trials; says whether they do."""
        self._leases.goes_on()
        if self._leases.left:
            time.sleep(_PAUSE)
        return bool(self._leases.left)

    def through(self, source: Generator[EngineEvent]) -> Generator[EngineEvent]:
        """What an engine reports, and failures of trials that are not tried any more."""
        return self._leases.through(source)
