"""Jobs that wait for a worker, and which of them a worker gets.

In: a feed, jobs that came back, and what workers want. Out: jobs for a worker. A structure goes to one worker
until that one wants no more, then to others, so that it is compiled as few times as possible: a worker gets,
in this order, jobs of structures that it has, that nobody has, and that only workers have who want nothing
now.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Hashable, Iterator

from fairlane.engines.contract import NOT_YET, Feed, Job, Nothing
from fairlane.engines.pool.messages import Kind
from fairlane.engines.resources import likeness

_AHEAD = 64
"""How many jobs of the feed are looked at, at most, to find one of a structure that nobody has."""


def structure(job: Job) -> Hashable:
    """What jobs must have in common to share a program, as far as hyperparameters show it."""
    return job.builder, likeness(job.trial.hyperparameters)


class Waiting:
    """The jobs that no worker has.

    Args:
        feed: where jobs come from.
        kinds: the engines that may run them.
    """

    def __init__(self, feed: Feed, kinds: Collection[Kind]) -> None:
        self._feed, self._kinds = feed, kinds
        self._next: Job | Nothing = NOT_YET
        self._ahead: deque[Job] = deque()
        self._apart: deque[list[Job]] = deque()
        self._has: dict[int, Counter[Hashable]] = {}
        self._owners: dict[Hashable, set[int]] = {}
        self._wants: dict[int, set[Kind]] = {}

    def __bool__(self) -> bool:
        return bool(self._ahead or self._apart)

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
        wanted = self._wants.setdefault(worker, set())
        if more:
            wanted.add(kind)
        else:
            wanted.discard(kind)

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
        self._wants.pop(worker, None)

    def is_empty(self, worker: int) -> bool:
        """Whether a worker has no job."""
        return not self._has.get(worker)

    # --- jobs ---------------------------------------------------------------------------------------

    def back(self, jobs: Collection[Job]) -> None:
        """Take jobs back, to be given out before others."""
        self._ahead.extendleft(reversed(list(jobs)))

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
        best: tuple[int, Job] | None = None
        ranks: dict[Hashable, int | None] = {}
        for job in self._seen():
            if self.kind(job) is not kind:
                continue
            key = structure(job) if kind is Kind.LANES else None
            if key not in ranks:
                ranks[key] = 0 if key is None else self._rank(worker, key)
            rank = ranks[key]
            if rank is not None and (best is None or rank < best[0]):
                best = rank, job
                if rank == 0:
                    break
        if best is None:
            return None
        self._ahead.remove(best[1])
        return best[1]

    def _rank(self, worker: int, key: Hashable) -> int | None:
        """How good a structure is for a worker's lanes, 0 is best; None where another is to have its jobs."""
        owners = self._owners.get(key, ())
        if worker in owners:
            return 0
        if not owners:
            return 1
        return None if any(Kind.LANES in self._wants.get(owner, ()) for owner in owners) else 2

    def _seen(self) -> Iterator[Job]:
        """Jobs in the order in which they are to begin; the feed's are taken as they are looked at."""
        yield from list(self._ahead)
        while len(self._ahead) < _AHEAD and self.look() is not None:
            yield self._ahead[-1]

    def look(self) -> Job | None:
        """Take a job from the feed, where it has one."""
        if self._next is Nothing.OVER:
            return None
        found = self._feed.next()
        if isinstance(found, Job):
            self._ahead.append(found)
            return found
        self._next = found
        return None
