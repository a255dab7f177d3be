"""A worker as an actor of Ray's.

In: messages from its driver, as calls of a method. Out: messages, as a stream of results. This module imports
neither Ray nor Keras: the actor imports Keras as a worker does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from fairlane.engines.pool.boxes import Boxes
from fairlane.engines.pool.crew import Lost
from fairlane.engines.pool.messages import Alive
from fairlane.kit.error_text import one_line
from fairlane.kit.lean_keras import import_keras

_SECONDS_BETWEEN_SIGNS = 1.0


class Actor(Boxes):
    """A worker. Its methods run in threads of their own, and so does `fairlane.engines.pool.serving`."""

    def __init__(self) -> None:
        super().__init__()
        import_keras()
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
                self.arrived(self._early.pop(self._next))
                self._next += 1

    def say(self) -> Iterator[list[Any]]:
        """What the worker says, several messages at once; the first call begins its work."""
        from fairlane.engines.pool.serving import serve

        threading.Thread(target=self._serve, args=(serve,), daemon=True, name="fairlane worker").start()
        while True:
            said = self.said(_SECONDS_BETWEEN_SIGNS)
            if said:
                yield said
                self.gone(said)
            elif self.alive():
                yield [Alive()]

    def live(self) -> None:
        """Live for ever: the call ends when the actor does, which a stream of results is slow to notice."""
        threading.Event().wait()

    def _serve(self, serve: Any) -> None:
        try:
            serve(self)
        except BaseException as error:  # nobody could be told otherwise
            self.signal(Lost(f"raised an error: {one_line(error)}", True))
