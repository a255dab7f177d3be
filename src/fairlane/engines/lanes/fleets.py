"""Which fleet a lane belongs to.

In: lanes whose programs are known to depend on this or that. Out: fleets, each numbered in order of its
making.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from fairlane.engines.lanes.dividing import cuts_of, parameters
from fairlane.engines.lanes.fleet import Fleet, Kinship, Member, all_float32
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.loops import choose
from fairlane.engines.program.compiled import Shelf
from fairlane.trials import State


class Fleets:
    """All fleets of a run.

    Args:
        threads: how many chunks run at once.
        limit: how many lanes may be under way at once.
    """

    def __init__(self, threads: int, limit: Callable[[], float]) -> None:
        self._threads, self._limit = threads, limit
        self._fleets: dict[Any, list[Fleet]] = {}
        self._static: dict[Any, str] = {}
        self._apart: dict[Any, str] = {}
        self._cuts: dict[Any, list[int]] = {}
        self._shelf = Shelf()

    def __iter__(self) -> Iterator[Fleet]:
        return chain.from_iterable(self._fleets.values())

    def of(self, lane: Lane) -> Fleet:
        """The fleet whose program can train a lane; a new one where there is none."""
        kin = self._kinship(lane)
        key: tuple[Any, ...] = (kin.shared,)
        if kin.static:  # its numbers can't be inputs of a program, so they decide which it is
            key += tuple(np.asarray(v).tobytes() for v in lane.examination.numbers.values())
        known = self._fleets.setdefault(key, [])
        for fleet in known:
            if fleet.suits(lane) or fleet.join(lane):
                return fleet
        alone = kin.shared in self._static and not kin.family
        expected = 1.0 if alone else min(lane.job.alike, self._limit())
        loop = choose(lane.model)
        width = max(1, min(math.ceil(expected / self._threads), loop.width))
        # Where others of its kind differ from it, those that come later will probably differ too.
        differing = frozenset(chain.from_iterable(fleet.differs_in(lane) for fleet in known))
        fleet = Fleet(len(list(self)), kin, loop, width, self._shelf, differing)
        fleet.apart = self._why_apart(kin, lane)
        if kin.family and known:
            fleet.follow(known[-1])
        known.append(fleet)
        return fleet

    def make_room(self, fleet: Fleet, members: Sequence[Member]) -> None:
        """Let a fleet that has no program yet know models that come later, so that it has room for them.

        Args:
            fleet: the fleet.
            members: the models; those that are too large beside its own are left out.
        """
        fleet.make_room([one for one in members if _scale_of(one.state) == fleet.kin.scale])

    def divide(self, fleet: Fleet, lanes: Sequence[Lane]) -> bool:
        """Divide a fleet that has no program yet into groups of sizes, where padding would cost too much.

        Args:
            fleet: the fleet.
            lanes: its lanes.

        Returns:
            Whether it was: then its lanes, and those that come later, belong to other fleets.
        """
        if fleet.kin.group is not None:
            return False
        members = fleet.divisible
        found = cuts_of(members, lanes) if len(members) > 1 else []
        if found:
            self._cuts[fleet.kin.shared] = found
        return bool(found)

    def part(self, fleet: Fleet, why: str, sizes: bool = False) -> None:
        """From now on, a fleet for each set of numbers, or each size: they can't differ within one program.

        Args:
            fleet: the fleet.
            why: the reason, in words.
            sizes: whether it is known to be the sizes; else it is the numbers, where any are inputs.
        """
        numbers = fleet.steps is not None and bool(fleet.steps.lift.paths) and not sizes
        if numbers or fleet.padded is None:
            self._static[fleet.kin.shared] = why
        else:
            self._apart[fleet.kin.shared] = why

    def _kinship(self, lane: Lane) -> Kinship:
        stop_on_nan, steps = lane.callbacks.stop_on_nan, lane.steps_per_execution
        rest = (lane.data.form, stop_on_nan, steps, lane.halts)
        # A model that was traced by itself is traced again for batches of a size that comes up later.
        later = lane.examination.tracing is not None and lane.data.is_read
        family = "" if later else lane.examination.family()
        scale = _scale_of(lane.own_state())
        alike: Any = ("sizes", lane.examination.kind, scale, *rest)
        shared: Any = ("sizes", family, scale, *rest)
        group = None
        if not family or shared in self._apart:
            alike = shared if family else alike
            shared, family = (lane.examination.likeness(), *rest), ""
        elif shared in self._cuts:
            group = bisect_left(self._cuts[shared], parameters(lane.own_state()))
            shared = (*shared, group)
        # Lifted numbers would round otherwise in another precision: they decide which program it is.
        exact = lane.examination.tracing is not None or all_float32(lane.model)
        static = shared in self._static or not exact
        kind = (lane.examination.kind, *rest)
        return Kinship(
            shared, stop_on_nan, steps, lane.halts, static, bool(family), alike, kind, scale, group
        )

    def _why_apart(self, kin: Kinship, lane: Lane) -> str:
        """Why a lane's new fleet has no models of other sizes, where there are some; those know it, too."""
        if kin.alike in self._apart:
            return self._apart[kin.alike]
        if kin.group is not None:
            return _DIVIDED
        others = [f for f in self if f.kin.kind == kin.kind and f.kin.scale != kin.scale]
        if kin.family and others:
            for other in others:
                other.apart = other.apart or _TOO_LARGE
            return _TOO_LARGE
        why = self._static.get(kin.shared, "") if kin.family else _READ
        alike = [
            f
            for f in self
            if f.kin.alike == kin.alike and (f.kin.family, f.kin.static) == (kin.family, kin.static)
        ]
        if not why or all(fleet.has_size_of(lane) for fleet in alike):
            return ""
        for other in alike:
            other.apart = other.apart or why
        return why


def _scale_of(state: State) -> int:
    """Models of one scale may be padded to the largest: what that costs is less than a compilation."""
    elements = parameters(state)
    return 0 if elements <= _SMALL else math.ceil(math.log(elements / _SMALL, 4))


_READ = "the training step runs code of your own, which is traced later where batches are read"

_DIVIDED = (
    "models of its kind are divided into groups of similar sizes, since padding all to the largest would "
    "take longer than to compile a program for each group"
)

_TOO_LARGE = (
    "its model is much larger or smaller than others of its kind: models with more than 250,000 parameters "
    "share a program with those that have up to four times as many, since padding costs more than compiling"
)

_SMALL = 250_000
"""Models with up to so many parameters are padded to any size; larger ones have up to four times as many."""
