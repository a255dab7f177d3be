"""Models of different sizes → groups, each padded to its own largest: where to cut.

In: the sizes of a fleet's models, how many batches are trained of each, and what one batch costs, as far as
it is known. Out: the numbers of parameters at which to cut. Padding costs work in every batch; another group
costs a compilation. The sum of both is made smallest, by dynamic programming over the models by size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from fairlane.engines.lanes.fleet import Member
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.program import effort
from fairlane.engines.program.effort import SECONDS_PER_ELEMENT, SECONDS_PER_OPERATION
from fairlane.trials import State

_SLOPES = (0.3, 1.5)
"""How fast work may grow with the number of parameters: by this power."""


class Size(NamedTuple):
    """Models of one size.

    Attributes:
        state: the shapes of their state.
        batches: how many are trained of them in all.
        work: the elements that one batch computes; None where that is not known.
    """

    state: State
    batches: float
    work: float | None


def parameters(state: State) -> int:
    """How many numbers of a state are trained."""
    return sum(math.prod(np.shape(array)) for array in state.trainable)


def cuts_of(members: Mapping[Any, Member], lanes: Sequence[Lane]) -> list[int]:
    """Where to cut a fleet's models.

    Args:
        members: its models, by what decides their programs; none where they are not to be divided.
        lanes: its lanes.

    Returns:
        As `cuts`; nothing, too, where a model has no lane, or where nobody knows what a batch costs.
    """
    traced = {key: _training_step(member) for key, member in members.items()}
    work = {key: step and step[0] for key, step in traced.items()}
    known = [step for step in traced.values() if step is not None]
    batches = dict.fromkeys(members, 0.0)
    for lane in lanes:
        each = sum(steps for steps, _ in lane.order.shapes)
        batches[lane.examination.likeness()] += each * (lane.epochs - lane.epoch)
    if not known or not all(batches.values()) or math.inf in work.values():
        return []
    sizes = [Size(member.state, batches[key], work[key]) for key, member in members.items()]
    return cuts(sizes, effort.operations(known[0][1]))


def _training_step(member: Member) -> tuple[float, Any] | None:
    """The work and the program of a training step, for its largest batch; None where it was not traced."""
    steps = [step.program for kind, step in member.examination.probe.items() if kind.what == "train"]
    return max(((effort.work(step), step) for step in steps), key=itemgetter(0), default=None)


def cuts(sizes: Sequence[Size], operations: int) -> list[int]:
    """Where to cut.

    Args:
        sizes: of a fleet's models, in any order.
        operations: of a training step.

    Returns:
        The most parameters of a model in each group but the last, in order; nothing where all are one group.
    """
    ordered = sorted(sizes, key=lambda size: parameters(size.state))
    counts = [parameters(size.state) for size in ordered]
    work = _Work(ordered)
    compiling = SECONDS_PER_OPERATION * operations
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for end in range(1, len(ordered) + 1):
        options = [
            (best[begin][0] + compiling + spent, [*best[begin][1], begin])
            for begin, spent in _groups_until(ordered, end, work)
            if begin == 0 or counts[begin - 1] < counts[begin]
        ]
        best.append(min(options, key=lambda option: option[0]))
    return [counts[begin - 1] for begin in best[-1][1] if begin]


def _groups_until(ordered: Sequence[Size], end: int, work: _Work) -> list[tuple[int, float]]:
    """Each group that ends before ``end``: where it begins, and the seconds that its batches take."""
    found = []
    longest: list[tuple[int, ...]] = []
    batches = 0.0
    for begin in reversed(range(end)):
        shapes = [np.shape(array) for array in ordered[begin].state.trainable]
        longest = [tuple(map(max, *pair)) for pair in zip(longest or shapes, shapes, strict=True)]
        batches += ordered[begin].batches
        padded = sum(map(math.prod, longest))
        found.append((begin, batches * work.of(padded) * SECONDS_PER_ELEMENT))
    return found


class _Work:
    """The elements that a batch computes, as a power of the number of parameters.

    Args:
        sizes: models; the work of one at least is known.
    """

    def __init__(self, sizes: Sequence[Size]) -> None:
        known = [(parameters(size.state), size.work) for size in sizes if size.work is not None]
        counts, elements = np.log(np.array(known, dtype=float).T)
        self._count, self._elements = counts.mean(), elements.mean()
        spread = ((counts - self._count) ** 2).sum()
        slope = ((counts - self._count) * (elements - self._elements)).sum() / spread if spread else 1.0
        self._slope = float(np.clip(slope, *_SLOPES))

    def of(self, count: int) -> float:
        """That of a model with so many parameters."""
        return float(np.exp(self._elements + self._slope * (math.log(count) - self._count)))
