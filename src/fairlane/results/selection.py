"""Predictions of many models → which of them to average, and how often each.

In: what each predicts on held-out data, and a function that says how good a mean is. Out: the picks.

Source: R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, Ensemble Selection from Libraries of Models,
ICML 2004.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlane.errors import StudyError

Means = Sequence[NDArray[np.float64]]
"""Each output of several models or means, with an axis for these in front."""


@dataclass(frozen=True)
class Picks:
    """Which models were picked, in order, and how good the mean was after each pick.

    Attributes:
        order: the places of the models; one that was picked twice is there twice.
        values: of the means of the first pick, of the first two, and so on.
    """

    order: list[int]
    values: list[float]


def greedy(members: Means, scores: Callable[[Means], NDArray[np.float64]], most: int, better: str) -> Picks:
    """Begin with the best model, and add the one that improves the mean most; the same may come again.

    Args:
        members: what each model predicts, as it is averaged.
        scores: means → a value for each.
        most: how many picks.
        better: ``"min"`` or ``"max"``: which values are good.

    Returns:
        The picks up to the best mean among all that were on the way.

    Raises:
        StudyError: no model has a finite value.

    Example:
        >>> truth = np.array([0.0, 1.0])
        >>> members = [np.array([[0.2, 1.2], [-0.2, 0.8], [3.0, 3.0]])]
        >>> greedy(members, lambda means: ((means[0] - truth) ** 2).mean(axis=1), 4, "min").order
        [0, 1]
    """
    total = [np.zeros_like(one[:1]) for one in members]
    order: list[int] = []
    values: list[float] = []
    for picks in range(1, most + 1):
        means = [(sum_so_far + one) / picks for sum_so_far, one in zip(total, members, strict=True)]
        found = np.asarray(scores(means), "float64")
        usable = np.where(np.isfinite(found), found if better == "min" else -found, np.inf)
        best = int(np.argmin(usable))
        if not np.isfinite(usable[best]):
            if not order:
                raise StudyError("no member has a finite value on these data, so none can be picked")
            break
        order.append(best)
        values.append(float(found[best]))
        total = [so_far + one[best : best + 1] for so_far, one in zip(total, members, strict=True)]
    signed = np.array(values) if better == "min" else -np.array(values)
    until = int(np.argmin(signed)) + 1
    return Picks(order[:until], values[:until])
