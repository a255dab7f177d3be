"""Ctrl-C that is not lost.

In: the signal. Out: ``KeyboardInterrupt``, at the latest with the next event of training.

Python raises ``KeyboardInterrupt`` wherever the main thread happens to be. A bare ``except:`` swallows it
(Keras has one around each value of the logs), and so does Python itself in finalizers and in callbacks of the
garbage collector: training would go on for hours after the user has ended it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heeded() -> Iterator[Callable[[], None]]:
    """Remember Ctrl-C while this is entered, as well as raise it.

    A handler of the user's own stays as it is. Only the main thread gets signals: in others nothing is
    changed.

    Yields:
        A function that raises ``KeyboardInterrupt`` where one was raised before and forgotten.
    """
    seen = threading.Event()

    def interrupted(number: int, frame: FrameType | None) -> None:
        seen.set()
        signal.default_int_handler(number, frame)

    def check() -> None:
        if seen.is_set():
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, interrupted)
    try:
        yield check
    finally:
        if signal.getsignal(signal.SIGINT) is interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
