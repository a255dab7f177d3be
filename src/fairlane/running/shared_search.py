"""A search that several processes train, and each of them decides.

In: the search's course, the store that they share, and what happens in this process. Out: jobs of the trials
that are leased to this process, and orders for them.

No process leads. Each follows the whole course, by the results of all trials as the store has them, so all
come to the same proposals and decisions; whoever comes to one first stores it, and the others see that theirs
is the same. A process that is lost takes nothing with it but its leases.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fairlane.engines.contract import NOT_YET, OVER, EngineEvent, Idle, Job, Nothing, Order
from fairlane.running.searching import Search, StoredLog
from fairlane.store import Decision, next_epoch
from fairlane.trials import Trial

if TYPE_CHECKING:
    from fairlane.running.sharing import Leases
    from fairlane.store.shared import SharedStore

_BETWEEN = 1.0
"""Seconds between two looks at what others have done, while this process trains."""
_SHORTEST, _LONGEST = 0.05, 1.0
"""Seconds of rest while others train: they become more while nothing changes."""


class SharedLog(StoredLog):
    """The decisions of a search that other processes make, too.

    Args:
        store: of the study.
    """

    _store: SharedStore

    def __init__(self, store: SharedStore) -> None:
        super().__init__(store)
        self._new: list[tuple[Decision, Mapping[str, Any] | None]] = []

    def add(self, *about: Any, **content: Any) -> None:
        """Record a decision; it is stored by `agree`."""
        self._new.append((Decision(about, content), self._made.get(about)))
        self._made[about] = content

    def agree(self) -> None:
        """Store what was decided.

        Raises:
            StudyError: another process has decided otherwise.
        """
        new, self._new = self._new, []
        if new:
            self._store.agree(new)
            self.learn()

    def learn(self) -> None:
        """Take over what others have decided, as far as the store has read it."""
        self._made |= {one.about: one.content for one in self._store.decisions()}


class SharedSearch(Search):
    """The feed and the policy of a search in one of the processes that share it.

    Args:
        *parts: as for `Search`; the log is a `SharedLog`.

    Attributes:
        leases: of this process; set before the search begins.
    """

    leases: Leases
    _log: SharedLog
    _store: SharedStore

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._leased: deque[Job] = deque()
        self._offered: set[int] = set()
        self._over = False
        self._looked, self._pause = -math.inf, _SHORTEST

    # --- the feed ---

    def next(self) -> Job | Nothing:
        """The next job of this process; `NOT_YET` while others have trials."""
        self.leases.goes_on()
        if not self._leased:
            self._lease()
        if self._leased:
            return self._leased.popleft()
        self._over = self._course.over and not self._unfinished()
        return OVER if self._over else NOT_YET

    def _unfinished(self) -> bool:
        return any(self._store.unfinished(trial) for trial in self.trials)

    def _lease(self) -> None:
        """Lease trials that may train now, and those that only have to be ended."""
        self._jobs = deque(job for job in self._jobs if self._store.unfinished(job.trial))
        offered = {job.trial.number: job for job in self._jobs if self._may_begin(job.trial)}
        if offered.keys() - self._offered:
            self.leases.has_more()
        self._offered = set(offered)
        resting = self._waiting.values()
        leased = self.leases.ask([job.trial for job in offered.values()], resting) if offered else []
        taken = {trial.number for trial in leased}
        self._jobs = deque(job for job in self._jobs if job.trial.number not in taken)
        for trial in leased:
            if self._is_ended(trial):
                self._write_end(self._store[trial])
            else:
                self._leased.append(self.leases.begun(offered[trial.number]))

    def _may_begin(self, trial: Trial) -> bool:
        """Whether a trial that no lane here has may train an epoch, or is to be ended."""
        number = self._number_of[id(trial)]
        if self._is_ended(trial) or id(trial) in self._confirming:
            return True
        allowed = self._allowed[number]
        return next_epoch(self._store[trial]) < allowed or allowed >= self._epochs

    def _reach(self, number: int) -> float:
        """Any number: nobody waits for the epochs of other processes where nothing is to be decided."""
        return math.inf

    # --- the other processes ---

    def wait(self) -> bool:
        """Rest for a moment, if other processes have trials; says whether they do."""
        self.leases.goes_on()
        if not self._over:
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST)
        return not self._over

    def through(self, source: Generator[EngineEvent]) -> Generator[EngineEvent]:
        """What an engine reports, and failures of trials that are not tried any more."""
        return self.leases.through(source)

    def after(self, event: EngineEvent) -> Iterable[Order]:
        """The orders that follow from an event, and from what others have done since the last look."""
        orders = list(super().after(event))
        if isinstance(event, Idle) or time.monotonic() - self._looked >= _BETWEEN:
            orders += self._look()
        return orders

    def _look(self) -> list[Order]:
        changed = self._store.look()
        self._looked = time.monotonic()
        self._log.learn()
        self.leases.heard(changed)
        if changed:
            self._pause = _SHORTEST
        self._advance()  # in any case: what is leased is read again, too
        return [] if self.standing else list(self._orders(list(self._waiting.values())))

    def _advance(self) -> None:
        super()._advance()
        self._log.agree()

    def _end(self, variant: int) -> None:
        """End a variant's trials: those that no lane has, by the process that leases them."""
        self._ended.add(variant)
        for record in self._variants[variant]:
            self._jobs.extend(self._held.pop(id(record.trial), ()))
