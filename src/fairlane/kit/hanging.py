"""Whether training still comes further, in a process that gives signs of life to others.

In: a note of each thing that happens. Out: whether this process is to give signs of life; where it is not any
more, a message that says where training is stuck. Signs of life come from threads of their own, so without
this a process whose training hangs would keep its trials for ever.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HUNG = 4
"""The exit code of a process of ``fairlane work`` that hangs."""


class Watch:
    """Watches a thread: the one that notes what happens.

    Args:
        seconds: for how long nothing may happen.
        words: the same, for messages.
        then: what becomes of a process that hangs, for messages.
        ends: whether the process is to end where it hangs.
        clock: the time in seconds.
    """

    def __init__(
        self,
        seconds: float,
        words: str,
        then: str,
        ends: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._words, self._then = seconds, words, then
        self._ends, self._clock = ends, clock
        self._thread = threading.get_ident()
        self._last, self._told, self._rests = clock(), False, False

    def goes_on(self) -> None:
        """Note that something has happened, in this thread."""
        self._last, self._thread = self._clock(), threading.get_ident()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Wait for others, as long as it takes."""
        self._rests = True
        try:
            yield
        finally:
            self.goes_on()
            self._rests = False

    def alive(self) -> bool:
        """Whether something has happened lately; called from other threads."""
        if self._rests or self._clock() - self._last <= self._seconds:
            return True
        if not self._told:
            self._told = True
            print(self._message(), file=sys.stderr, flush=True)
            if self._ends:
                os._exit(HUNG)  # the thread that hangs can't be asked to end
        return False

    def _message(self) -> str:
        frame = sys._current_frames().get(self._thread)
        where = "".join(traceback.format_stack(frame)) if frame is not None else "it has ended\n"
        return (
            f"fairlane: in process {os.getpid()} no epoch and no trial has begun or ended for {self._words}, "
            f"so it counts as hung{self._then}. Training is here:\n{where}"
        )
