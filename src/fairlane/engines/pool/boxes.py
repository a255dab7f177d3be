"""What a worker is told and what it says, between the thread that trains and those that keep up its line.

In: messages from the driver, as they come; messages of the training thread. Out: the same, at the other end:
what waits to go goes together. This module imports neither Keras nor Ray.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import Any

from fairlane.engines.pool.messages import Happened
from fairlane.kit.hanging import Watch
from fairlane.trials import Checkpoint

_MOST_AT_ONCE = 256
"""How many messages go together, at most."""
_HOURS_OF_PATIENCE = 24
"""After so long without a message the thread that trains counts as hung. No epoch takes so long."""


class Boxes:
    """A worker's inbox and outbox, and a watch on the thread that trains."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outbox: queue.Queue[Any] = queue.Queue()
        then = ": it gives no sign of life any more, and its trials go on in another worker"
        self._watch = Watch(3600.0 * _HOURS_OF_PATIENCE, f"{_HOURS_OF_PATIENCE} h", then)

    # --- for the thread that trains ---

    def next(self, wait: bool) -> Any:
        """The next message of the driver; None where there is none and it is not to be waited for."""
        with self._watch.resting():
            try:
                return self._inbox.get(block=wait)
            except queue.Empty:
                return None

    def send(self, message: Any) -> None:
        """Send a message; a checkpoint is on its way when this returns, whatever becomes of this process."""
        self._watch.goes_on()
        self._outbox.put(message)
        if isinstance(message, Happened) and isinstance(message.event, Checkpoint):
            self._outbox.join()

    # --- for those that keep up the line ---

    def arrived(self, message: Any) -> None:
        """Take in a message of the driver."""
        self._inbox.put(message)

    def said(self, seconds: float | None = None) -> list[Any]:
        """What is to go to the driver; waits for it, for some seconds at most, after which it is nothing."""
        try:
            said = [self._outbox.get(timeout=seconds)]
        except queue.Empty:
            return []
        with suppress(queue.Empty):
            while len(said) < _MOST_AT_ONCE:
                said.append(self._outbox.get_nowait())
        return said

    def signal(self, message: Any) -> None:
        """Send a message that is not the training thread's."""
        self._outbox.put(message)

    def gone(self, said: list[Any]) -> None:
        """Know that messages are on their way."""
        for _ in said:
            self._outbox.task_done()

    def alive(self) -> bool:
        """Whether training comes further."""
        return self._watch.alive()
