"""Chunks on their way: sent to worker threads, and waited for.

In: chunks that are ready. Out: each with its outcome, or the error that ended it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from fairlane.engines.lanes.chunk import Chunk, Outcome
from fairlane.engines.lanes.forming import Forming
from fairlane.engines.lanes.yard import Yard


class Flights:
    """Chunks in worker threads.

    Args:
        executor: runs them.
        threads: how many run at once.
    """

    def __init__(self, executor: ThreadPoolExecutor, threads: int) -> None:
        self._executor, self._threads = executor, threads
        self._flying: dict[Future[Outcome], Chunk] = {}

    def __len__(self) -> int:
        return len(self._flying)

    @property
    def wants_more(self) -> bool:
        """Whether workers could be idle if no chunk were sent now: each has one, and one that comes next."""
        return len(self._flying) < 2 * self._threads

    @property
    def are_busy(self) -> bool:
        """Whether each worker has a chunk."""
        return len(self._flying) >= self._threads

    def send(self, chunk: Chunk) -> None:
        """Send a chunk through its next epoch."""
        chunk.set_off(stops=chunk.fleet.kin.halts)
        self._submit(chunk, chunk.epoch())

    def send_on(self, chunk: Chunk, trained: Outcome) -> None:
        """Send a chunk that has been trained on to its validation."""
        self._submit(chunk, chunk.rest_of_epoch(trained))

    def _submit(self, chunk: Chunk, work: Callable[[], Outcome]) -> None:
        self._flying[self._executor.submit(work)] = chunk

    def launch(self, yard: Yard, forming: Forming, more: bool, last: bool) -> None:
        """Form chunks of lanes that wait, and send them, as long as workers want them.

        Args:
            yard: where they wait.
            forming: forms chunks.
            more: whether more lanes can be admitted now.
            last: whether there is no job for another lane now.
        """
        for fleet in yard.fleets():
            if self.wants_more and not (more and fleet.gathers):
                forming.divide(fleet)
        for fleet in yard.fleets():
            if more and fleet.gathers:
                continue
            if last:
                fleet.settle(self._threads)
            while self.wants_more and (lanes := yard.alike(fleet)):
                if len(lanes) < fleet.width and self.are_busy:
                    break  # wait for company: the workers are busy anyway
                yard.call(fleet, lanes)
                chunk = forming.chunk(fleet, lanes)
                if forming.ready(chunk):
                    self.send(chunk)

    def landed(self, timeout: float | None) -> Iterator[tuple[Chunk, Outcome | BaseException]]:
        """Chunks that have come to the end of their work, with what it gave or raised.

        Args:
            timeout: seconds to wait for one; None waits as long as it takes.
        """
        done, _ = wait(self._flying, timeout=timeout, return_when=FIRST_COMPLETED)
        for future in done:
            yield self._flying.pop(future), future.exception() or future.result()

    def remaining(self) -> list[tuple[Chunk, Outcome | None]]:
        """After the workers' end: chunks that were not given out, with their outcomes.

        An outcome is None where the work was never begun. Chunks whose work raised have lost their states.
        """
        left: list[tuple[Chunk, Outcome | None]] = []
        for future, chunk in self._flying.items():
            if future.cancelled():
                left.append((chunk, None))
            elif future.exception() is None:
                left.append((chunk, future.result()))
        return left
