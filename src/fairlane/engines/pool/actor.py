"""A worker as an actor of Ray's.

In: messages from its driver, as calls of a method. Out: messages, as a stream of results. This module imports
neither Ray nor Keras: the actor imports Keras as a worker does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fairlane.engines.pool.crew import Lost
from fairlane.engines.pool.messages import Alive
from fairlane.kit.error_text import one_line
from fairlane.kit.lean_keras import import_keras

_SECONDS_BETWEEN_SIGNS = 1.0
_MOST_AT_ONCE = 256
"""How many messages go from an actor at once, at most."""


class Actor:
    """A worker. Its methods run in threads of their own, and so does `fairlane.engines.pool.serving`."""

    def __init__(self) -> None:
        import_keras()
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._early: dict[int, Any] = {}
        self._next = 0
        self._lock = threading.Lock()

    def tell(self, number: int, message: Any) -> None:
        """Take a message; they may come in another order than they were sent in.

        Args:
            number: which message it is, from 0.
            message: the message.
        """
        with self._lock:
            self._early[number] = message
            while self._next in self._early:
                self._inbox.put(self._early.pop(self._next))
                self._next += 1

    def say(self) -> Iterator[list[Any]]:
        """What the worker says, several messages at once; the first call begins its work."""
        from fairlane.engines.pool.serving import serve

        threading.Thread(target=self._serve, args=(serve,), daemon=True, name="fairlane worker").start()
        while True:
            try:
                said = [self._outbox.get(timeout=_SECONDS_BETWEEN_SIGNS)]
            except queue.Empty:
                yield [Alive()]
                continue
            with suppress(queue.Empty):
                while len(said) < _MOST_AT_ONCE:
                    said.append(self._outbox.get_nowait())
            yield said

    def live(self) -> None:
        """Live for ever: the call ends when the actor does, which a stream of results is slow to notice."""
        threading.Event().wait()

    def _serve(self, serve: Any) -> None:
        try:
            serve(self)
        except BaseException as error:  # nobody could be told otherwise
            self._outbox.put(Lost(f"raised an error: {one_line(error)}", True))

    def next(self, wait: bool) -> Any:
        """The next message."""
        try:
            return self._inbox.get(block=wait)
        except queue.Empty:
            return None

    def send(self, message: Any) -> None:
        """Send a message."""
        self._outbox.put(message)
