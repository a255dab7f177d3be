"""What a search costs beside its training: the processor time of the caller's thread in each of its parts.

In: a call. Out: seconds of the caller's thread in the sampler, in other decisions (rungs, clock, jobs of new
variants), and in records (all that is written of each event, progress included), beside those of the process.

Methods of Fairlane are replaced by ones that look at the thread's clock before and after; what is called in
between counts for the inner one alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock


class Account:
    """Seconds of this thread's processor time, by part.

    Attributes:
        seconds: part → seconds.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def charged(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time counts for a part."""

        def counted(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            start = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.thread_time() - start
                self.seconds[part] += spent - self._inner.pop()
                self._inner[-1] += spent

        return counted

    @contextmanager
    def on(self, parts: list[tuple[str, type, str]]) -> Iterator[None]:
        """Count while this is open.

        Args:
            parts: part, class, name of a method; an abstract class means all that inherit from it.
        """
        with ExitStack() as stack:
            for part, owner, name in parts:
                for one in [owner, *_heirs(owner)]:
                    if name in vars(one):
                        changed = self.charged(part, vars(one)[name])
                        stack.enter_context(mock.patch.object(one, name, changed))
            yield


def _heirs(owner: type) -> list[type]:
    return [one for heir in owner.__subclasses__() for one in (heir, *_heirs(heir))]


def spent(search: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Run a search, and see what it spends.

    Args:
        search: makes it.

    Returns:
        What it returns; and ``sampler``, ``decisions``, ``records`` (seconds of the caller's thread),
        ``caller`` (all of that thread), ``process`` (all threads), and ``seconds`` on the clock.
    """
    import fairlane.searching.optuna_samplers  # noqa: F401  (so that its samplers are known)
    from fairlane.running.driver import Driver
    from fairlane.running.searching import Search
    from fairlane.searching.samplers import Sampler

    account = Account()
    parts = [
        ("sampler", Sampler, "propose"),
        ("decisions", Search, "begin"),
        ("decisions", Search, "after"),
        ("decisions", Search, "next"),
        ("records", Driver, "_take"),
    ]
    clocks = (time.thread_time, time.process_time, time.perf_counter)
    start = [clock() for clock in clocks]
    with account.on(parts):
        result = search()
    caller, process, seconds = (clock() - then for clock, then in zip(clocks, start, strict=True))
    found = {part: account.seconds[part] for part in ("sampler", "decisions", "records")}
    return result, {**found, "caller": caller, "process": process, "seconds": seconds}
