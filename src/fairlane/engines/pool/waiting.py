"""Jobs that wait for a worker, and which of them a worker gets.

In: a feed, jobs that came back, and what workers want. Out: jobs for a worker. A structure goes to one worker
until that one wants no more, then to others, so that it is compiled as few times as possible: a worker gets,
in this order, jobs of structures that it has, that nobody has, and that only workers have who want nothing
now.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Hashable, Sequence

from fairlane.engines.contract import NOT_YET, Feed, Job, Nothing
from fairlane.engines.pool.messages import Kind
from fairlane.engines.resources import likeness

_AHEAD = 64
"""How many jobs of the feed are looked at, at most, to find one of a structure that nobody has."""


def structure(job: Job) -> Hashable:
    """What jobs must have in common to share a program, as far as hyperparameters show it."""
    return job.builder, likeness(job.trial.hyperparameters)


Group = tuple[Kind, Hashable]
"""The jobs of one structure on lanes; or all those for the reference engine."""


class Waiting:
    """The jobs that no worker has.

    Args:
        feed: where jobs come from.
        kinds: the engines that may run them.
    """

    def __init__(self, feed: Feed, kinds: Collection[Kind]) -> None:
        self._feed, self._kinds = feed, kinds
        self._next: Job | Nothing = NOT_YET
        self._groups: dict[Group, deque[tuple[int, Job]]] = {}
        """The jobs of each group with their places in the order in which they are to begin."""
        self._first = self._last = self._count = 0
        self._apart: deque[list[Job]] = deque()
        self._has: dict[int, Counter[Hashable]] = {}
        self._owners: dict[Hashable, set[int]] = {}
        self._wanting: dict[Kind, set[int]] = {kind: set() for kind in Kind}

    def __bool__(self) -> bool:
        return bool(self._groups or self._apart)

    @property
    def over(self) -> bool:
        """Whether there is no job, and will be none by itself."""
        return not self and self._next is Nothing.OVER

    def kind(self, job: Job) -> Kind:
        """The engine that a job is for."""
        on_lanes = Kind.LANES in self._kinds and not (job.reason and Kind.REFERENCE in self._kinds)
        return Kind.LANES if on_lanes else Kind.REFERENCE

    # --- who has what -------------------------------------------------------------------------------

    def wants(self, worker: int, kind: Kind, more: bool) -> None:
        """Note whether a worker wants jobs."""
        if more:
            self._wanting[kind].add(worker)
        else:
            self._wanting[kind].discard(worker)

    def has(self, worker: int, job: Job, count: int) -> None:
        """Note that a worker has one job more (1) or less (-1)."""
        key, counter = structure(job), self._has.setdefault(worker, Counter())
        counter[key] += count
        if counter[key]:
            self._owners.setdefault(key, set()).add(worker)
        else:
            del counter[key]
            self._disown(worker, key)

    def _disown(self, worker: int, key: Hashable) -> None:
        self._owners[key].discard(worker)
        if not self._owners[key]:
            del self._owners[key]

    def gone(self, worker: int) -> None:
        """Forget a worker."""
        for key in self._has.pop(worker, ()):
            self._disown(worker, key)
        for wanting in self._wanting.values():
            wanting.discard(worker)

    def is_empty(self, worker: int) -> bool:
        """Whether a worker has no job."""
        return not self._has.get(worker)

    # --- jobs ---------------------------------------------------------------------------------------

    def back(self, jobs: Sequence[Job]) -> None:
        """Take jobs back, to be given out before others."""
        for job in reversed(jobs):
            self._first -= 1
            self._add(job, self._first)

    def set_apart(self, jobs: list[Job]) -> None:
        """Take jobs that a worker is to get by themselves."""
        self._apart.append(jobs)

    def together(self, worker: int, kind: Kind) -> list[Job]:
        """Jobs that were set apart, all of them for one worker that has no other; or none."""
        if not self.is_empty(worker):
            return []
        for jobs in self._apart:
            if self.kind(jobs[0]) is kind:
                self._apart.remove(jobs)
                return jobs
        return []

    def take(self, worker: int, kind: Kind) -> Job | None:
        """The next job for a worker; None where there is none for it now."""
        choices = [one for group in self._groups if (one := self._choice(worker, kind, group))]
        best = min(choices, default=None)
        while (best is None or best[0] > 0) and self._count < _AHEAD and (job := self.look()) is not None:
            group = self._group(job)
            new = self._choice(worker, kind, group) if len(self._groups[group]) == 1 else None
            best = new if best is None or (new is not None and new < best) else best
        return None if best is None else self._removed(best[2])

    def _choice(self, worker: int, kind: Kind, group: Group) -> tuple[int, int, Group] | None:
        """A group's rank for a worker and its first job's place; None where the worker gets none of it."""
        rank = self._rank(worker, group[1]) if kind is Kind.LANES else 0
        return None if rank is None or group[0] is not kind else (rank, self._groups[group][0][0], group)

    def _rank(self, worker: int, key: Hashable) -> int | None:
        """How good a structure is for a worker's lanes, 0 is best; None where another is to have its jobs."""
        owners = self._owners.get(key, set[int]())
        if worker in owners:
            return 0
        if not owners:
            return 1
        return 2 if owners.isdisjoint(self._wanting[Kind.LANES]) else None

    def _group(self, job: Job) -> Group:
        kind = self.kind(job)
        return kind, structure(job) if kind is Kind.LANES else None

    def _add(self, job: Job, place: int) -> None:
        jobs = self._groups.setdefault(self._group(job), deque())
        if place < 0:
            jobs.appendleft((place, job))
        else:
            jobs.append((place, job))
        self._count += 1

    def _removed(self, group: Group) -> Job:
        """The first job of a group, taken out of it."""
        jobs = self._groups[group]
        self._count -= 1
        job = jobs.popleft()[1]
        if not jobs:
            del self._groups[group]
        return job

    def look(self) -> Job | None:
        """Take a job from the feed, where it has one."""
        if self._next is Nothing.OVER:
            return None
        found = self._feed.next()
        if isinstance(found, Job):
            self._add(found, self._last)
            self._last += 1
            return found
        self._next = found
        return None
