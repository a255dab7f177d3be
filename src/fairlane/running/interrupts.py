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
from typing import Any


@contextmanager
def heeded(terminate: bool = False) -> Iterator[Callable[[], None]]:
    """Remember Ctrl-C while this is entered, as well as raise it.

    A handler of the user's own stays as it is. Only the main thread gets signals: in others nothing is
    changed.

    Args:
        terminate: whether the signal TERM counts as Ctrl-C. Queues of clusters send it before they end a job.

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

    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
    if terminate:
        usual[signal.SIGTERM] = signal.SIG_DFL
    in_main = threading.current_thread() is threading.main_thread()
    heard = [n for n, handler in usual.items() if in_main and signal.getsignal(n) is handler]
    try:
        for number in heard:
            signal.signal(number, interrupted)
        yield check
    finally:
        for number in heard:
            if signal.getsignal(number) is interrupted:
                signal.signal(number, usual[number])
