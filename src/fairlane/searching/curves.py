"""The curves of all variants as they grow: what a rule that looks at each epoch compares.

In: values of each variant, one per epoch, and which variants have ended. Out: the curves of others, and their
best values until an epoch. These are kept sorted: a search of a thousand variants asks for them at each epoch
of each.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence


class Curves:
    """The values of all variants until now, small ones being better.

    Args:
        epochs: the most that a variant gets.

    Example:
        >>> curves = Curves(epochs=3)
        >>> curves.follow(0, [2.0, 3.0])
        >>> curves.follow(1, [4.0])
        >>> curves.bests_of_others(1), curves.bests_of_others(0)
        ([2.0], [])
        >>> curves.end(1)
        >>> curves.bests_of_others(0)
        [4.0]
    """

    def __init__(self, epochs: int) -> None:
        self._of: dict[int, Sequence[float]] = {}
        self._bests: dict[int, list[float]] = {}
        self._sorted: list[list[float]] = [[] for _ in range(epochs)]
        self._ended: set[int] = set()

    def follow(self, number: int, curve: Sequence[float]) -> None:
        """Take a variant's values; those that it had before have not changed.

        Args:
            number: the variant's.
            curve: all its values until now, one per epoch.
        """
        self._of[number] = curve
        bests = self._bests.setdefault(number, [])
        for value in curve[len(bests) :]:
            best = min(bests[-1] if bests else math.inf, value)  # NaN is smaller than nothing
            insort(self._sorted[len(bests)], best)
            bests.append(best)

    def end(self, number: int) -> None:
        """A variant has ended: at all later epochs it counts with its best value.

        Args:
            number: the variant's.
        """
        bests = self._bests.get(number)
        if bests and number not in self._ended:
            self._ended.add(number)
            for later in self._sorted[len(bests) :]:
                insort(later, bests[-1])

    def own(self, number: int) -> Sequence[float]:
        """A variant's values."""
        return self._of[number]

    def best(self, number: int) -> float:
        """A variant's best value; infinite where it has no number."""
        return self._bests[number][-1]

    def others(self, number: int) -> list[Sequence[float]]:
        """The curves of all others that have trained as long as a variant, or have ended."""
        length = len(self._of[number])
        return [
            curve
            for one, curve in self._of.items()
            if one != number and (len(curve) >= length or one in self._ended)
        ]

    def bests_of_others(self, number: int) -> list[float]:
        """The best values that these `others` had until the variant's newest epoch, sorted."""
        bests = self._bests[number]
        all_of_them = self._sorted[len(bests) - 1]
        place = bisect_left(all_of_them, bests[-1])
        return all_of_them[:place] + all_of_them[place + 1 :]
