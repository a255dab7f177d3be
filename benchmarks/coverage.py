"""Claim: bootstrap intervals over few seeds are too narrow, by as much as the README says.

Draws n normal values ten thousand times, and counts how often their 95 % interval holds the true mean.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from fairlane.stats import mean_interval

REPETITIONS = 10_000


def coverage(n: int, rng: np.random.Generator) -> float:
    """The share of intervals over n values that hold the mean, 0."""
    intervals = [mean_interval(rng.normal(size=n), resamples=999, rng=rng) for _ in range(REPETITIONS)]
    return float(np.mean([low <= 0 <= high for _, low, high in intervals]))


def main() -> None:
    """Print the shares and write the CSV."""
    rng = np.random.default_rng(0)
    rows = [(n, coverage(n, rng)) for n in (2, 3, 5, 10, 20)]
    for n, share in rows:
        print(f"{n:3} seeds: {share:.1%}")
    with (Path(__file__).parent / "results" / "coverage.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seeds", "coverage"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
