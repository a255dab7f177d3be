"""What a replay of samplers is worth: regrets, shares of a gain, and their intervals. No file is read.

In: the regrets of all repeats, by table and by what ran. Out: medians, means, shares.

A share divides by a gain. Where sequential TPE gains hardly anything over random draws, it means nothing:
so a table counts only if the bootstrap interval of that gain lies above zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

RESAMPLES = 4000
LEVEL = 0.9
"""Of all intervals here."""

Regrets = Mapping[str, Mapping[str, Sequence[float]]]
"""Table → what ran → the regret of each repeat."""
Middle = Callable[..., Any]


def regret(best: float, values: Sequence[float] | np.ndarray) -> float:
    """How far a value is from a table's best, in units of the table's median minus its best."""
    lowest, middle = float(np.min(values)), float(np.median(values))
    return (best - lowest) / (middle - lowest)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The percentile interval of a statistic's bootstrap values; a sample without a gain has no share."""
    low, high = np.quantile(values[np.isfinite(values)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resampled(repeats: int, seed: int = 0) -> np.ndarray:
    """The places of bootstrap samples of so many repeats, the repeats themselves being the first row."""
    drawn = np.random.default_rng(seed).integers(repeats, size=(RESAMPLES, repeats))
    return np.concatenate([np.arange(repeats)[None], drawn])


def middles(of: Mapping[str, Sequence[float]], places: np.ndarray, middle: Middle) -> dict[str, np.ndarray]:
    """A table's medians (or means) in each bootstrap sample: repeats are drawn with all that ran in them."""
    return {name: middle(np.asarray(values)[places], axis=1) for name, values in of.items()}


def share(random: np.ndarray, sequential: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The share of sequential TPE's gain over random draws.

    Args:
        random: the regrets of random draws.
        sequential: those of TPE, one at a time.
        other: those of the sampler and way in question.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return (random - other) / (random - sequential)


def gains(regrets: Regrets, base: str, best: str) -> dict[str, dict[str, Any]]:
    """The gain of what ran best over the base, by medians; and which tables count.

    Returns:
        Table → ``gain``, its ``interval``, and whether it ``counts``.
    """
    found: dict[str, dict[str, Any]] = {}
    for number, (table, of) in enumerate(regrets.items()):
        at = middles(of, resampled(len(of[base]), number), np.median)
        gain = at[base] - at[best]
        low, high = interval(gain[1:])
        found[table] = {"gain": float(gain[0]), "interval": [low, high], "counts": low > 0}
    return found


def summary(regrets: Regrets, base: str, best: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Medians and means of the regrets, and shares.

    Args:
        regrets: table → what ran → the regret of each repeat.
        base: what ran with random draws.
        best: what ran with TPE, one at a time.

    Returns:
        What ran → ``median`` and ``mean`` (table → regret), ``shares`` (table that counts → share of
        medians), ``share`` (their mean) and ``share_interval``; the same of mean regrets, which vary less.
        And the gains, as `gains` gives them.
    """
    counted = gains(regrets, base, best)
    names = list(next(iter(regrets.values())))
    made: dict[str, Any] = {name: {} for name in names}
    kinds: tuple[tuple[str, str, str, Middle], ...] = (
        ("median", "shares", "share", np.median),
        ("mean", "shares_of_means", "share_of_means", np.mean),
    )
    for kind, of_tables, of_all, middle in kinds:
        found = {
            table: middles(of, resampled(len(of[base]), number), middle)
            for number, (table, of) in enumerate(regrets.items())
        }
        for name in names:
            row = made[name]
            row[kind] = {table: float(at[name][0]) for table, at in found.items()}
            shares = {t: share(a[base], a[best], a[name]) for t, a in found.items() if counted[t]["counts"]}
            row[of_tables] = {table: float(values[0]) for table, values in shares.items()}
            together = np.mean(list(shares.values()), axis=0) if shares else None
            row[of_all] = None if together is None else float(together[0])
            row[f"{of_all}_interval"] = None if together is None else interval(together[1:])
    return made, counted
