"""Two engines as one: what the first declines, the second runs.

In: a feed of jobs. Out: the events of both, those of the second when the first has nothing to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from fairlane.engines.contract import (
    NOT_YET,
    OVER,
    Declined,
    Engine,
    EngineEvent,
    Feed,
    Idle,
    Job,
    Nothing,
    Orders,
)
from fairlane.trials import Event


class FallbackEngine:
    """Runs jobs on one engine, and those that it declines on another.

    Each `Declined` is yielded before the second engine takes its job, so that whoever iterates can object.

    Args:
        first: gets all jobs.
        second: gets what the first declines, with the reason.
    """

    def __init__(self, first: Engine, second: Engine) -> None:
        self.name = first.name
        self._first, self._second = first, second

    def run(self, feed: Feed, orders: Orders) -> Generator[EngineEvent]:
        """Run every job of the feed; see `fairlane.engines.contract.Engine`."""
        declined = _Declined()
        first, second = self._first.run(feed, orders), self._second.run(declined, orders)
        try:
            idle: Idle | None = Idle()
            while idle is not None:
                # An order may set either of them going again.
                idle = yield from _until_idle(first, declined)
                declined.over = idle is None
                others = yield from _until_idle(second, None)
                if idle is not None and others is not None:
                    yield Idle((*idle.waiting, *others.waiting))
                elif others is not None:
                    idle = others
                    yield others
        finally:
            first.close()
            second.close()

    def unreported(self) -> Sequence[Event]:
        """What a run that was closed before its end did not report."""
        return [*self._first.unreported(), *self._second.unreported()]


class _Declined:
    """The feed of the second engine."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self.over = False

    def add(self, event: Declined) -> None:
        """Take in a job that the first engine has declined."""
        self._jobs.append(replace(event.job, reason=event.reason))

    def next(self) -> Job | Nothing:
        """The next of them."""
        if self._jobs:
            return self._jobs.popleft()
        return OVER if self.over else NOT_YET


def _until_idle(
    source: Iterator[EngineEvent], declined: _Declined | None
) -> Generator[EngineEvent, None, Idle | None]:
    """What an engine reports until it has nothing to do.

    Returns:
        How it said so; None where it has come to its end.
    """
    for event in source:
        if isinstance(event, Idle):
            return event
        yield event
        if isinstance(event, Declined) and declined is not None:
            declined.add(event)
    return None
