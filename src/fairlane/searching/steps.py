"""What a search's course and those around it say to each other.

In: `Results`, what is known of the variants, and `Log`, the decisions of an earlier run. Out: a `Step` for
each thing that is to be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Results(Protocol):
    """What is known of the variants."""

    def epochs(self, variant: int) -> int:
        """How many epochs all of a variant's trials have finished, of those that have not ended."""

    def ended(self, variant: int) -> bool:
        """Whether all of a variant's trials have ended."""

    def can_go_on(self, variant: int) -> bool:
        """Whether all of a variant's trials can be trained on: no earlier run has stopped one."""

    def values(self, variant: int, epochs: int) -> tuple[float, ...]:
        """The objectives' values after so many epochs, means over the seeds, small ones being better."""


class Log(Protocol):
    """The decisions, by what they are about."""

    def find(self, *about: Any) -> Mapping[str, Any] | None:
        """The decision that an earlier run made; None where it made none."""

    def add(self, *about: Any, **content: Any) -> None:
        """Record a decision."""


@dataclass(frozen=True)
class Begin:
    """A variant's trials begin."""

    variant: int
    hyperparameters: Mapping[str, Any]


@dataclass(frozen=True)
class TrainTo:
    """A variant may be trained until it has so many epochs."""

    variant: int
    epochs: int


@dataclass(frozen=True)
class End:
    """A variant's trials end now."""

    variant: int


@dataclass(frozen=True)
class Confirm:
    """Variants are trained once more, with seeds that the search has not used."""

    variants: tuple[int, ...]


Step = Begin | TrainTo | End | Confirm
