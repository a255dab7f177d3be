"""Claim: over few seeds, Student's t intervals hold what they promise and bootstrap intervals do not.

Draws n values of a known distribution two thousand times, and counts how often their 95 % interval holds the
true mean, median or interquartile mean: of normal values, and of log-normal ones, which are strongly skewed.
Then it counts how often, among variants that are all alike, any corrected p-value is 0.05 or less.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import integrate
from scipy import stats as scipy_stats

from fairlane.results.comparison import summary
from fairlane.results.statistics import estimate
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant

REPETITIONS = 2000
STUDIES = 1000
RESULTS = Path(__file__).parent / "results"
DISTRIBUTIONS = {"normal": scipy_stats.norm(), "log-normal": scipy_stats.lognorm(1.0)}


def truth(distribution, statistic: str, n: int) -> float:
    """The true value; what the interquartile mean cuts off of n values depends on n."""
    if statistic == "mean":
        return float(distribution.mean())
    if statistic == "median":
        return float(distribution.median())
    cut = math.floor(n / 4) / n
    area, _ = integrate.quad(distribution.ppf, cut, 1 - cut)
    return area / (1 - 2 * cut)


def coverage(name: str, statistic: str, interval: str, n: int, rng: np.random.Generator) -> float:
    """The share of intervals that hold the true value; NaN where there is no interval."""
    distribution = DISTRIBUTIONS[name]
    value = truth(distribution, statistic, n)
    hits = 0
    for _ in range(REPETITIONS):
        x = distribution.rvs(size=n, random_state=rng)
        _, low, high = estimate(x, statistic, interval=interval, resamples=999, rng=rng)
        if np.isnan(low):
            return math.nan
        hits += low <= value <= high
    return hits / REPETITIONS


def shares() -> Iterator[tuple[object, ...]]:
    """Every kind of interval with every number of seeds."""
    rng = np.random.default_rng(0)
    for name in DISTRIBUTIONS:
        for statistic in ("mean", "iqm", "median"):
            for interval in ("t", "bootstrap"):
                for n in (2, 3, 5, 10, 20):
                    row = (name, statistic, interval, n, coverage(name, statistic, interval, n, rng))
                    print(f"{name:10}  {statistic:6}  {interval:9}  {n:3} seeds: {row[-1]:.1%}", flush=True)
                    yield row


def false_alarms(variants: int, seeds: int, baseline: int | None, rng: np.random.Generator) -> float:
    """The share of studies of equal variants with a corrected p-value of at most 0.05."""
    alarms = 0
    for _ in range(STUDIES):
        values = rng.normal(size=(variants, seeds))
        records = [
            Record(
                Trial(v * seeds + s, Variant(v, {"v": v}), s), TrialState.DONE, [(0, {"loss": values[v, s]})]
            )
            for v in range(variants)
            for s in range(seeds)
        ]
        frame = summary(records, "loss", baseline=baseline, rng=rng)
        alarms += bool((frame["p_value"] <= 0.05).any())
    return alarms / STUDIES


def alarms() -> Iterator[tuple[object, ...]]:
    """Against a chosen variant, and against the best."""
    rng = np.random.default_rng(0)
    for variants, seeds in ((2, 8), (5, 10)):
        for baseline in (0, None):
            share = false_alarms(variants, seeds, baseline, rng)
            against = "the best" if baseline is None else "a baseline"
            print(f"{variants} equal variants, {seeds} seeds, against {against}: {share:.1%} false alarms")
            yield variants, seeds, against, share


def write(name: str, header: list[str], rows: list[tuple[object, ...]]) -> None:
    """Write one table."""
    with (RESULTS / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Print the shares and write the CSVs."""
    rows = list(shares())
    write("coverage.csv", ["distribution", "statistic", "interval", "seeds", "coverage"], rows)
    frame = pd.DataFrame(rows, columns=["distribution", "statistic", "interval", "seeds", "coverage"])
    print(frame.pivot_table(index=["distribution", "statistic", "interval"], columns="seeds").round(3))
    write("coverage.alarms.csv", ["variants", "seeds", "against", "alarms"], list(alarms()))


if __name__ == "__main__":
    main()
