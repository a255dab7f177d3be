"""A thread that commits steps, a batch at a time.

In: steps, in order, from the thread that trains. Out: batches of them, in order, for a function that commits
each as a whole, about twice a second while there are any. So training does not wait for a disk or a server,
and the last steps are committed although none follows. The function is called with an empty batch, too, when
there were no steps for some seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from fairlane.errors import StoreError

Step = TypeVar("Step")

BETWEEN = 0.5
"""Seconds for which steps are collected."""
MOST_STEPS = 50_000
MOST_BYTES = 256 * 2**20
"""How much may wait to be written; with more, `Committer.put` waits."""


class Committer(Generic[Step]):
    """Calls ``commit`` with steps, in a separate thread.

    Args:
        commit: is called with each batch.
        beat: seconds without steps, after which it is called with an empty batch.
    """

    def __init__(self, commit: Callable[[Sequence[Step]], None], beat: float) -> None:
        self._commit, self._beat = commit, beat
        self._changed = threading.Condition()
        self._waiting: list[Step] = []
        self._bytes = 0
        self._busy = self._hurry = self._closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="fairlane-store", daemon=True)
        self._thread.start()

    def put(self, steps: Sequence[Step], size: int = 0) -> None:
        """Add steps; wait where too many have not been written yet.

        Args:
            steps: what to write, after all steps that were added before.
            size: about how many bytes they hold.

        Raises:
            StoreError: earlier steps could not be written.
        """
        with self._changed:
            self._raise()
            if not self._waiting:  # else the thread is awake, and waking it again would cost both time
                self._changed.notify_all()
            self._waiting.extend(steps)
            self._bytes += size
            if len(self._waiting) > MOST_STEPS or self._bytes > MOST_BYTES:
                self._until_written()

    def flush(self) -> None:
        """Wait until all is written.

        Raises:
            StoreError: it could not be.
        """
        with self._changed:
            self._until_written()

    def close(self) -> None:
        """Write what is left, and end the thread.

        Raises:
            StoreError: something could not be written.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._raise()

    def _until_written(self) -> None:
        self._hurry = True
        self._changed.notify_all()
        while (self._waiting or self._busy) and self._failure is None:
            self._changed.wait()
        self._hurry = False
        self._raise()

    def _raise(self) -> None:
        if isinstance(self._failure, StoreError):
            raise StoreError(str(self._failure)) from self._failure
        if self._failure is not None:
            raise StoreError(
                f"writing to the store failed ({type(self._failure).__name__}: {self._failure}); what was "
                "stored before is complete"
            ) from self._failure

    # --- in the thread ---

    def _work(self) -> None:
        while True:
            batch = self._next()
            if batch is None:
                return
            failure: BaseException | None = None
            try:
                self._commit(batch)
            except BaseException as error:  # it is raised again where steps are added
                failure = error
            with self._changed:
                self._busy = False
                self._failure = failure
                self._changed.notify_all()
            if failure is not None:
                return

    def _next(self) -> list[Step] | None:
        """The next batch, which may be empty; None at the end."""
        with self._changed:
            if not self._waiting and not self._closing:
                self._changed.wait(self._beat)
            if self._waiting and not self._in_haste():
                self._changed.wait_for(self._in_haste, BETWEEN)
            if not self._waiting and self._closing:
                return None
            batch, self._waiting, self._bytes = self._waiting, [], 0
            self._busy = True
            return batch

    def _in_haste(self) -> bool:
        return self._hurry or self._closing
