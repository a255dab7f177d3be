"""What proposes the next variant: the contract, and the samplers that need no other package.

In: a `fairlane.searching.space.Space`, and what is known of the variants until now. Out: a variant. A
proposal depends on nothing but these, a seed, and the proposals before: so a search that was stopped
proposes the same again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlane.errors import StudyError
from fairlane.searching.space import Space

_PER_STRUCTURE = 4
"""How many variants of one structure are drawn, where a search could not compile all structures."""

_LONG = 32
"""From how many variants on structures are repeated."""


@dataclass(frozen=True)
class Seen:
    """What is known of a variant.

    Attributes:
        hyperparameters: its own.
        state: ``"running"``, ``"done"``, ``"stopped"`` by a rule before its last epoch, or ``"failed"``.
        values: of the objectives in its last epoch, small ones being better; infinite where its loss was not
            finite; empty while it runs.
        epochs: how many it was trained.
        curve: the first objective's value after each epoch, small ones being better.
    """

    hyperparameters: Mapping[str, Any]
    state: str
    values: tuple[float, ...] = ()
    epochs: int = 0
    curve: tuple[float, ...] = ()


class Sampler(ABC):
    """Proposes variants.

    Attributes:
        name: as `fairlane.search` takes it.
        learns: whether a proposal depends on what is known of others.
        remembers: whether it also depends on the proposals before. Then a search that continues asks for
            these again, though it knows them.
    """

    name: str
    learns: bool = False
    remembers: bool = False

    @abstractmethod
    def propose(self, space: Space, number: int, seen: Sequence[Seen]) -> dict[str, Any] | None:
        """A variant; None where there is none left.

        Args:
            space: where to look.
            number: how many proposals came before, those that were refused as repetitions included.
            seen: all variants until now, in order.
        """

    def check(self, space: Space, objectives: int) -> None:  # noqa: B027
        """Refuse, before any training, a space or a number of objectives that it can't take; none here.

        Raises:
            StudyError: it can't.
        """


class RandomSampler(Sampler):
    """Draws each hyperparameter independently and evenly, on its own scale.

    Where a space has more structures than can be compiled for a search of this length, four variants in a row
    have the same structure and differ in their numbers.

    Args:
        seed: of all draws.
        trials: how many variants will be requested.
    """

    name = "random"

    def __init__(self, seed: int, trials: int) -> None:
        self._seed, self._trials = seed, trials

    def propose(self, space: Space, number: int, seen: Sequence[Seen]) -> dict[str, Any] | None:
        """A variant."""
        group = grouping(space, self._trials)
        own = np.random.default_rng([self._seed, number]).random(len(space.domains))
        shared = np.random.default_rng([self._seed, number // group, 1]).random(len(space.domains))
        return space.at(_mixed(space, own, shared if group > 1 else own))


class SobolSampler(Sampler):
    """Draws from a scrambled Sobol sequence, which covers a space more evenly than independent draws.

    Structures are drawn as by `RandomSampler`.

    Source: A. B. Owen, Scrambling Sobol' and Niederreiter-Xing points, Journal of Complexity 14 (1998),
    as implemented in ``scipy.stats.qmc.Sobol``.

    Args:
        seed: of the scrambling.
        trials: how many variants will be requested.
    """

    name = "sobol"

    def __init__(self, seed: int, trials: int) -> None:
        self._seed, self._trials = seed, trials
        self._points: dict[int, np.ndarray] = {}

    def propose(self, space: Space, number: int, seen: Sequence[Seen]) -> dict[str, Any] | None:
        """The variant at the sequence's next point."""
        if not space.domains:
            return space.at([])
        group = grouping(space, self._trials)
        points = self._sequence(len(space.domains), number)
        return space.at(_mixed(space, points[number], points[number // group]))

    def _sequence(self, dimensions: int, number: int) -> np.ndarray:
        from scipy.stats import qmc

        points = self._points.get(dimensions)
        if points is None or len(points) <= number:
            power = max(6, math.ceil(math.log2(number + 1)) + 1)
            engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(self._seed))
            points = self._points[dimensions] = np.minimum(engine.random_base2(power), 1 - 1e-12)
        return points


class GridSampler(Sampler):
    """All combinations, each once."""

    name = "grid"

    def __init__(self) -> None:
        self._grid: Iterator[dict[str, Any]] | None = None
        self._made: list[dict[str, Any]] = []

    def check(self, space: Space, objectives: int) -> None:
        """Refuse a space without an end.

        Raises:
            StudyError: which hyperparameter has none.
        """
        next(space.grid(), None)

    def propose(self, space: Space, number: int, seen: Sequence[Seen]) -> dict[str, Any] | None:
        """The combination of this number."""
        if self._grid is None:
            self._grid = space.grid()
        while len(self._made) <= number:
            following = next(self._grid, None)
            if following is None:
                return None
            self._made.append(following)
        return self._made[number]


def grouping(space: Space, trials: int) -> int:
    """How many variants in a row have one structure: 1 where there are few structures, or no numbers.

    Whole numbers don't count: models of different sizes mostly share a program.
    """
    kinds = space.kinds
    few = kinds is not None and kinds * _PER_STRUCTURE <= trials
    # A short search would see hardly any structure.
    return 1 if few or not space.has_numbers or trials < _LONG else _PER_STRUCTURE


def _mixed(space: Space, numbers: np.ndarray, structure: np.ndarray) -> list[float]:
    domains = space.domains.values()
    own = [domain.numeric or domain.whole for domain in domains]
    return [float(numbers[i] if own[i] else structure[i]) for i in range(len(own))]


def unseen(
    sampler: Sampler, space: Space, number: int, seen: Sequence[Seen], taken: set[Any]
) -> tuple[dict[str, Any] | None, int]:
    """A proposal that no variant has yet.

    A sampler that repeats itself is asked again; then chance decides, and at last the grid of what is left.

    Args:
        sampler: proposes.
        space: where to look.
        number: how many proposals came before.
        seen: all variants until now.
        taken: their keys, as `fairlane.searching.space.Space.key` gives them.

    Returns:
        The variant, or None where there is none left; and how many proposals there were now.
    """
    size = space.size
    if size is not None and len(taken) >= size:
        return None, number
    chance = RandomSampler(number, 1)
    for attempt in range(_ATTEMPTS):
        asks = sampler if attempt < _ATTEMPTS // 2 or isinstance(sampler, GridSampler) else chance
        found = asks.propose(space, number, seen)
        number += 1
        if found is None:
            return None, number
        if space.key(found) not in taken:
            return found, number
    left = (one for one in space.grid() if space.key(one) not in taken) if size is not None else iter(())
    return next(left, None), number


_ATTEMPTS = 20
"""How often a proposal that repeats a variant is refused."""


def sampler_named(name: Any, seed: int, trials: int) -> Sampler | None:
    """One of the samplers of this module; None for another name.

    Args:
        name: as `fairlane.search` takes it.
        seed: of its draws.
        trials: how many variants will be requested.

    Raises:
        StudyError: it is neither a text nor a sampler.
    """
    if name == "random":
        return RandomSampler(seed, trials)
    if name == "sobol":
        return SobolSampler(seed, trials)
    if name == "grid":
        return GridSampler()
    if isinstance(name, Sampler):
        return name
    if isinstance(name, str) or hasattr(name, "sample_relative"):
        return None
    raise StudyError(f"sampler must be a name or a sampler of Optuna's, not {name!r}")
