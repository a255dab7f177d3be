"""What the replay of samplers runs: orders of asks and tells. No file is read here.

In: a space, a sampler of Fairlane's, the value of each variant, and a way to run them. Out: the best values
found so far, after each trial that began.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fairlane.searching.samplers import Sampler, Seen, unseen
from fairlane.searching.space import Space

Value = Callable[[Mapping[str, Any]], float]
WAYS = ("one", "waves-8", "waves-64", "lanes-64")
"""One at a time; waves whose trials all end together; 64 lanes, each refilled when its own trial ends."""


def replay(
    space: Space, sampler: Sampler, value: Value, trials: int, way: str, rng: np.random.Generator
) -> list[float]:
    """Run a search on known values.

    Args:
        space: where to look.
        sampler: what proposes.
        value: a variant's value, small ones being better.
        trials: how many variants.
        way: one of `WAYS`.
        rng: of the times that trials take, for ``"lanes-64"``.

    Returns:
        The best value of the first variants, for each number of variants.
    """
    kind, _, width = way.partition("-")
    run = _Run(space, sampler, value)
    if kind == "lanes":
        _refilled(run, trials, int(width), rng)
    else:
        for first in range(0, trials, int(width or 1)):
            wave = range(first, min(first + int(width or 1), trials))
            for _ in wave:
                run.begin()
            for place in wave:
                run.end(place)
    return [float(best) for best in np.minimum.accumulate(run.values)]


class _Run:
    """Asks and tells as `fairlane.searching.course.Course` does."""

    def __init__(self, space: Space, sampler: Sampler, value: Value) -> None:
        self._space, self._sampler, self._value = space, sampler, value
        self._asked = 0
        self._taken: set[Any] = set()
        self._seen: list[Seen] = []
        self.values: list[float] = []

    def begin(self) -> None:
        """Ask for a variant, which runs from now on."""
        found, self._asked = unseen(self._sampler, self._space, self._asked, list(self._seen), self._taken)
        assert found is not None
        self._taken.add(self._space.key(found))
        self._seen.append(Seen(found, "running"))
        self.values.append(self._value(found))

    def end(self, place: int) -> None:
        """Let the sampler see a variant's value."""
        own = (self.values[place],)
        self._seen[place] = Seen(self._seen[place].hyperparameters, "done", own, 1, own)


def _refilled(run: _Run, trials: int, width: int, rng: np.random.Generator) -> None:
    """Lanes begin one after another within one training's time, as in a search; then each goes on alone."""
    events = [(lane / width, 0, -1) for lane in range(width)]  # when, of whom (equal times), which ends
    begun = 0
    while events and begun < trials:
        now, _, ends = heapq.heappop(events)
        if ends >= 0:
            run.end(ends)
        run.begin()
        heapq.heappush(events, (now + rng.uniform(0.5, 1.5), begun + 1, begun))
        begun += 1
