"""Forming chunks: lanes → chunks that are ready to run; and narrower ones, where memory runs out.

In: lanes of one fleet. Out: a `Chunk` whose programs are compiled; or the lanes in the yard again, in other
fleets or chunks, or declined, where that can't be.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import chain

from fairlane.engines.data.sources import Piece
from fairlane.engines.eligibility import TooLate
from fairlane.engines.lanes.chunk import Chunk
from fairlane.engines.lanes.fleet import Fleet
from fairlane.engines.lanes.fleets import Fleets
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.memory import OutOfMemory
from fairlane.engines.lanes.roster import Roster
from fairlane.engines.lanes.yard import Yard
from fairlane.engines.program.compiled import SlowInLoop
from fairlane.engines.program.expressions import CannotLift
from fairlane.engines.program.sizes.aligned import CannotUnify
from fairlane.engines.program.tracing import DoesNotTrace
from fairlane.errors import FairlaneWarning
from fairlane.kit.error_text import first_line


class Forming:
    """Forms chunks.

    Args:
        fleets: all fleets.
        roster: the lanes under way.
        yard: where lanes wait.
        executor: where programs are compiled.
        threads: how many chunks run at once.
    """

    def __init__(self, fleets: Fleets, roster: Roster, yard: Yard, executor: Executor, threads: int) -> None:
        self._fleets, self._roster, self._yard = fleets, roster, yard
        self._executor, self._threads = executor, threads

    def chunk(self, fleet: Fleet, lanes: list[Lane]) -> Chunk:
        """A chunk of lanes."""
        return Chunk.of(fleet, lanes, self._threads)

    def divide(self, fleet: Fleet) -> None:
        """Before a fleet has a program: where padding all of its models would cost too much, divide it."""
        if self._fleets.divide(fleet, self._yard.waiting(fleet)):
            self._rehome(fleet, [])

    def ready(self, chunk: Chunk, pieces: Sequence[tuple[bool, Piece]] = ()) -> bool:
        """Have a chunk's programs compiled; where that can't be, let its lanes wait for other chunks."""
        fleet = chunk.fleet
        try:
            chunk.prepare(self._executor, pieces)
        except SlowInLoop:
            fleet.go_stepwise()
            chunk.unstack()
            for lane in chunk.lanes:
                self._yard.line_up(lane, fleet)
        except CannotLift as error:
            self._regroup(chunk, error, sizes=isinstance(error, CannotUnify))
        except TooLate as reason:
            self.decline(chunk, str(reason), reason)
        except DoesNotTrace as error:
            if fleet.steps is not None and (fleet.steps.lift.paths or fleet.padded is not None):
                self._regroup(chunk, error)  # it may be the lifted numbers that Keras's code stumbled over
            else:
                self.decline(chunk, f"its training step can't be traced ({first_line(error)})", error)
        else:
            for lane in chunk.lanes:
                lane.board()
            return True
        return False

    def _regroup(self, chunk: Chunk, why: Exception, sizes: bool = False) -> None:
        """The fleet's numbers, or sizes, can't differ within one program: a fleet for each set of them."""
        fleet = chunk.fleet
        chunk.unstack()
        self._fleets.part(fleet, first_line(why), sizes)
        self._rehome(fleet, chunk.lanes)

    def _rehome(self, fleet: Fleet, lanes: Sequence[Lane]) -> None:
        """Some lanes of a fleet, and all that wait, go to the fleets that they belong to now."""
        for lane in [*lanes, *self._yard.empty_of(fleet)]:
            home = self._fleets.of(lane)
            self._roster.move(lane, home)
            self._yard.line_up(lane, home)

    def decline(self, chunk: Chunk, reason: str, error: BaseException) -> None:
        """A chunk's fleet can't train: all of its lanes go to another engine."""
        fleet = chunk.fleet
        fleet.fail(reason, error)
        for lane in [*chunk.going(), *self._yard.empty_of(fleet)]:
            self._roster.decline(lane, reason, error)

    # --- where memory or a worker fails -------------------------------------------------------------

    def crash(self, chunk: Chunk, error: BaseException) -> None:
        """A worker raised: the states of its lanes are gone, and all others are as they were."""
        if not isinstance(error, Exception):
            raise error
        if isinstance(error, TooLate):
            self.decline(chunk, str(error), error)
            return
        if isinstance(error, OutOfMemory):
            try:
                parts = self._divided(chunk, error)
            except MemoryError as alone:
                error = alone
            else:  # they wait on the host, so that no more of them is on the device than what runs
                for lane in chain.from_iterable(parts):
                    self._yard.line_up(lane, chunk.fleet)
                return
        for lane in chunk.going():
            self._roster.lose(lane, lane.epoch, error)

    def halves(self, chunk: Chunk, ran_out: OutOfMemory) -> list[Chunk]:
        """Narrower chunks instead of one that memory ran out with.

        Raises:
            MemoryError: it is one lane.
        """
        return [self.chunk(chunk.fleet, lanes) for lanes in self._divided(chunk, ran_out)]

    def _divided(self, chunk: Chunk, ran_out: OutOfMemory) -> list[list[Lane]]:
        """The lanes of a chunk that memory ran out with, in narrower groups; each has its state, on the host.

        Raises:
            MemoryError: it is one lane.
        """
        width = chunk.width
        if width == 1:
            raise MemoryError(
                f"memory ran out with this trial alone ({first_line(ran_out)}); a smaller batch needs less"
            ) from ran_out
        narrower = max(1, min(ran_out.fits or width // 2, width // 2))
        chunk.fleet.narrow(narrower)
        warnings.warn(
            f"memory is too small for {width} lanes at once ({first_line(ran_out)}): training continues "
            f"with {narrower} at a time. No finished epoch is lost",
            FairlaneWarning,
            stacklevel=2,
        )
        chunk.land(ran_out.kept.state)
        chunk.unstack()
        going = chunk.going()
        return [going[i : i + narrower] for i in range(0, len(going), narrower)]
