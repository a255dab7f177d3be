"""Where lanes wait: for a chunk, for the others of their convoy, or for an order.

In: lanes that are in no chunk, each with its own state. Out: the same lanes, when there is a place for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fairlane.engines.lanes.chunk import Shape
from fairlane.engines.lanes.convoy import Convoy
from fairlane.engines.lanes.fleet import Fleet
from fairlane.engines.lanes.lane import Lane
from fairlane.trials import Trial


class Yard:
    """Where lanes wait."""

    def __init__(self) -> None:
        self._idle: dict[Fleet, list[Lane]] = {}
        self._convoys: dict[Any, Convoy] = {}
        self._paused: dict[Trial, tuple[Lane, Fleet]] = {}

    # --- for a chunk --------------------------------------------------------------------------------

    def line_up(self, lane: Lane, fleet: Fleet) -> None:
        """Let a lane wait for a chunk: its next epoch is drawn."""
        convoy = self.convoy_of(lane)
        if convoy is None:
            self._idle.setdefault(fleet, []).append(lane)
        else:
            convoy.join(fleet, lane)

    def idle(self) -> int:
        """How many wait for a chunk, and read no batches."""
        return sum(map(len, self._idle.values()))

    def has_full_chunk(self) -> bool:
        """Whether there is a fleet with as many of them as it takes at once."""
        idle = self._idle.items()
        return any(len(lanes) >= fleet.width and not fleet.gathers for fleet, lanes in idle)

    def gathers(self) -> bool:
        """Whether a fleet waits for more lanes before its program is made."""
        return any(lanes and fleet.gathers for fleet, lanes in self._idle.items())

    def fleets(self) -> list[Fleet]:
        """The fleets of those that wait for a chunk, the oldest first."""
        return sorted((fleet for fleet, lanes in self._idle.items() if lanes), key=lambda f: f.number)

    def waiting(self, fleet: Fleet) -> Sequence[Lane]:
        """The lanes of a fleet that wait for a chunk."""
        return self._idle.get(fleet, [])

    def alike(self, fleet: Fleet) -> list[Lane]:
        """Lanes of a fleet for one chunk: their epochs look alike. None where no lane waits."""
        lanes = self._idle.get(fleet, [])
        if not lanes:
            return []
        shape = Shape.of(lanes[0])
        return [lane for lane in lanes if Shape.of(lane) == shape][: fleet.width]

    def call(self, fleet: Fleet, lanes: Sequence[Lane]) -> None:
        """Take lanes out of the yard, to a chunk."""
        self._idle[fleet] = [lane for lane in self._idle[fleet] if lane not in lanes]

    def empty_of(self, fleet: Fleet) -> list[Lane]:
        """Take all lanes of a fleet out of where they wait for a chunk."""
        lanes = self._idle.pop(fleet, [])
        for convoy in self._convoys.values():
            lanes += convoy.dismiss(fleet)
        return lanes

    # --- for the others of their convoy -------------------------------------------------------------

    def convoy_of(self, lane: Lane) -> Convoy | None:
        """The convoy that a lane goes with, or None where it reads nothing."""
        data = lane.data
        if not data.is_read:
            return None
        key = id(data), id(lane.reading), lane.steps_per_execution
        if key not in self._convoys:
            self._convoys[key] = Convoy(data, lane.reading)
        return self._convoys[key]

    def convoys(self) -> list[Convoy]:
        """All convoys that have a lane."""
        held = self._held_convoys()
        for key in [k for k, convoy in self._convoys.items() if convoy.is_empty and convoy not in held]:
            del self._convoys[key]
        return list(self._convoys.values())

    def moving_convoys(self) -> list[Convoy]:
        """Those of which no lane waits for an order.

        While one lane of a convoy is paused, all wait: they read the same batches, each once.
        """
        held = self._held_convoys()
        return [convoy for convoy in self.convoys() if convoy not in held]

    def _held_convoys(self) -> list[Convoy]:
        convoys = (self.convoy_of(lane) for lane, _ in self._paused.values())
        return [convoy for convoy in convoys if convoy is not None]

    # --- for an order -------------------------------------------------------------------------------

    def pause(self, lane: Lane, fleet: Fleet) -> None:
        """Let a lane wait for an order."""
        self._paused[lane.trial] = lane, fleet

    @property
    def paused(self) -> dict[Trial, tuple[Lane, Fleet]]:
        """The lanes that wait for an order, by their trials."""
        return dict(self._paused)

    def resume(self, lane: Lane) -> None:
        """Let it wait no longer."""
        del self._paused[lane.trial]

    def everybody(self) -> Iterator[Lane]:
        """All that wait for a chunk or an order, but for those of convoys."""
        for lanes in self._idle.values():
            yield from lanes
        for lane, _ in self._paused.values():
            yield lane
