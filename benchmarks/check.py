"""How many files `fairlane check` reads per second, on one processor and on all: of installed packages.

Writes results/check.csv. The time on one processor is the processor's own, so other programs on the machine
do not count in it.
"""

import argparse
import csv
import importlib.util
import os
import time
from pathlib import Path

from fairlane.check import check_paths
from fairlane.check.checking import check_file
from fairlane.check.sources import files

RESULTS = Path(__file__).parent / "results"


def folder_of(package: str) -> Path:
    """Where a package is installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: name packages that are, with --packages")
    return Path(spec.origin).parent


def main() -> None:
    """Measure, print and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", nargs="+", default=["keras", "sklearn", "pandas"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    rows = []
    for package in given.packages:
        paths = list(files([folder_of(package)]))
        slowest = (0.0, "")
        start = time.process_time()
        for path in paths:
            before = time.process_time()
            check_file(path)
            slowest = max(slowest, (time.process_time() - before, path.name))
        alone = time.process_time() - start
        start = time.perf_counter()
        report = check_paths(paths, jobs=given.jobs)
        together = time.perf_counter() - start
        rates = len(paths) / alone, len(paths) / together
        rows.append((package, len(paths), *rates, *slowest))
        print(
            f"{package}: {len(paths)} files, {rates[0]:.0f} per second on one processor, {rates[1]:.0f} with "
            f"{given.jobs} processes; slowest {slowest[1]} ({slowest[0]:.2f} s); "
            f"{len(report.findings)} findings"
        )
    with (RESULTS / "check.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["package", "files", "per_second_alone", "per_second_together", "slowest_s", "slowest"]
        )
        writer.writerows((name, n, f"{a:.0f}", f"{t:.0f}", f"{s:.2f}", w) for name, n, a, t, s, w in rows)


if __name__ == "__main__":
    main()
