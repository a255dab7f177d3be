"""The jobs that workers have, and what becomes of those whose worker is lost.

In: jobs as they are given out, and their events. Out: which are to be run again and from where; which are to
be run apart from others, to find out which of them it is that ends workers; and which fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fairlane.engines import phases
from fairlane.engines.contract import Job
from fairlane.trials import Checkpoint, EpochEnded, Event, Trial

MOST_DEATHS = 2
"""With how many lost workers a trial fails, where no other trial can be the reason."""


@dataclass(eq=False)
class Entry:
    """A job that a worker has.

    Attributes:
        ticket: its number.
        job: the job.
        worker: the number of the worker.
        checkpoint: the last that came; else the job's own.
    """

    ticket: int
    job: Job
    worker: int
    checkpoint: Checkpoint | None = None

    def again(self) -> Job:
        """The job, to go on from the last checkpoint."""
        return replace(phases.resumed(phases.first_job(self.job), self.checkpoint), forked=self.job.forked)


@dataclass(frozen=True)
class Fates:
    """What becomes of the jobs of a lost worker.

    Attributes:
        again: those that are simply run again.
        apart: groups of those that are run again by themselves.
        failed: those that fail.
    """

    again: Sequence[Entry]
    apart: Sequence[Sequence[Entry]]
    failed: Sequence[Entry]


@dataclass(eq=False)
class Ledger:
    """The jobs that workers have.

    Attributes:
        entries: by their tickets.
        waiting: those whose trials wait for an order, by these.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    waiting: dict[Trial, Entry] = field(default_factory=dict)
    _deaths: Counter[Trial] = field(default_factory=Counter)
    _next: int = 0

    def enter(self, job: Job, worker: int) -> Entry:
        """Note that a worker gets a job."""
        entry = Entry(self._next, job, worker, job.checkpoint or job.opening)
        self.entries[self._next] = entry
        self._next += 1
        return entry

    def of(self, worker: int) -> list[Entry]:
        """The jobs that a worker has."""
        return [entry for entry in self.entries.values() if entry.worker == worker]

    def note(self, entry: Entry, event: Event) -> None:
        """Take in an event of a job's trial."""
        if isinstance(event, EpochEnded):
            self.waiting[entry.job.trial] = entry
        elif isinstance(event, Checkpoint):
            entry.checkpoint = event

    def forget(self, entry: Entry) -> None:
        """A worker does not have a job any more."""
        del self.entries[entry.ticket]
        self.waiting.pop(entry.job.trial, None)

    def lose(self, worker: int) -> Fates:
        """Decide about the jobs of a worker that is lost, and forget them.

        The first time, all go back. From the second time on, those that it was the second time for are halved
        until the one is found that ends workers.
        """
        lost = self.of(worker)
        for entry in lost:
            self.forget(entry)
            self._deaths[entry.job.trial] += 1
        suspects = [entry for entry in lost if self._deaths[entry.job.trial] >= MOST_DEATHS]
        others = [entry for entry in lost if entry not in suspects]
        copies = [entry for entry in lost if entry.job.forked and entry.checkpoint is None]
        if len(suspects) == 1 and not others:
            return Fates([], [], suspects)
        suspects = [entry for entry in suspects if entry not in copies]
        others = [entry for entry in others if entry not in copies]
        half = -(-len(suspects) // 2)
        groups = [suspects[:half], suspects[half:]]
        return Fates(others, [group for group in groups if group], copies)
