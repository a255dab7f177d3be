"""The worker process's end of the line to its session: messages, standard output, warnings.

In: the two ends of pipes. Out: messages, as soon as they come, whatever the main thread does.
"""

from __future__ import annotations

import io
import os
import queue
import threading
import time
from typing import Any, BinaryIO

import cloudpickle

from fairlane.engines.workers import messages
from fairlane.engines.workers.messages import NoMore


class Line:
    """The line to the session; its messages are read as they come, whatever the main thread does."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._lock = threading.Lock()
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self._session = os.getppid()
        for target in (self._listen, self._watch):
            threading.Thread(target=target, daemon=True, name="fairlane line").start()

    def _watch(self) -> None:
        """End with the session even where a fork of it still holds the other end of the line."""
        while os.getppid() == self._session:
            time.sleep(1.0)
        os._exit(0)

    def _listen(self) -> None:
        while True:
            try:
                message = messages.receive(self._incoming)
            except Exception:
                os._exit(0)  # the session has ended, perhaps by force: so must this, in the midst of anything
            if isinstance(message, messages.Stop):
                self.stopped.set()
                message = NoMore()
            self._inbox.put(message)

    def next(self) -> Any:
        """The next message; waits for it."""
        return self._inbox.get()

    def send(self, message: Any) -> None:
        """Send a message."""
        with self._lock:
            messages.send(self._outgoing, message)


class Printer(io.TextIOBase):
    """Standard output, which goes to the session's."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def write(self, text: str) -> int:
        """Send text on."""
        if text:
            self._line.send(messages.Printed(text))
        return len(text)


def pass_warning_on(
    line: Line, message: Any, category: Any, filename: str, lineno: int, file: Any = None, text: Any = None
) -> None:
    """Send a warning on; as ``warnings.showwarning`` is called."""
    try:
        packed = cloudpickle.dumps((str(message), category, filename, lineno))
    except Exception:
        packed = cloudpickle.dumps((f"{category.__name__}: {message}", UserWarning, filename, lineno))
    line.send(messages.Warned(packed))
