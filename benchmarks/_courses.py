"""A search on known curves: the course of `fairlane.search` itself, with a table instead of training.

In: what is searched (`fairlane.running.wanted.Wanted`), and the curve of each variant. Out: who was trained
how far, and which variant a study would call the best. No file is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlane.running.wanted import Wanted
from fairlane.searching.course import Course
from fairlane.searching.steps import Begin, TrainTo

Curve = Callable[[Mapping[str, Any]], Sequence[float]]
"""Hyperparameters → the objective after each epoch, small values being better."""


class _Log:
    """The decisions of one run, which is never continued."""

    def find(self, *about: Any) -> None:
        """Nothing: no run came before."""

    def add(self, *about: Any, **content: Any) -> None:
        """Nothing is kept."""


@dataclass
class Walk:
    """What a search did.

    Attributes:
        variants: the hyperparameters of each, in the order in which they began.
        curves: of each variant.
        trained: how many epochs each has had.
    """

    variants: list[Mapping[str, Any]] = field(default_factory=list)
    curves: list[Sequence[float]] = field(default_factory=list)
    trained: list[int] = field(default_factory=list)

    def epochs(self, variant: int) -> int:
        """How many epochs a variant has."""
        return self.trained[variant] if variant < len(self.trained) else 0

    def ended(self, variant: int) -> bool:
        """No trial ends by itself."""
        return False

    def values(self, variant: int, epochs: int) -> tuple[float, ...]:
        """The value after so many epochs."""
        return (float(self.curves[variant][epochs - 1]),)

    def ranking(self, epochs: int) -> list[int]:
        """The variants that were trained to their end, by their last values, the best first.

        Args:
            epochs: the most that a variant gets.
        """
        whole = [number for number, count in enumerate(self.trained) if count >= epochs]
        return sorted(whole, key=lambda number: (self.values(number, epochs), number))


def walk(wanted: Wanted, curve: Curve) -> Walk:
    """Run a search.

    Args:
        wanted: what is searched, as ``fairlane.search`` understands its arguments.
        curve: of a variant.
    """
    log, made = _Log(), Walk()
    sampler = wanted.sampler_for(log)  # type: ignore[arg-type]
    width = wanted.width_for(sampler)
    course = Course(wanted.space, sampler, wanted.stopping, wanted.trials, wanted.epochs, width, 0, [], log)
    while not course.over:
        for step in course.advance(made):
            if isinstance(step, Begin):
                made.variants.append(step.hyperparameters)
                made.curves.append(curve(step.hyperparameters))
                made.trained.append(0)
            elif isinstance(step, TrainTo):
                made.trained[step.variant] = step.epochs
    return made
