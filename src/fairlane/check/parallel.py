"""Many files at once.

In: paths. Out: a `Report` for each, in their order. Where there are several processors and many files, they
are checked in several processes, each of which begins with nothing loaded but the checker.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from fairlane.check.checking import check_file
from fairlane.check.report import Report

FEWEST = 128
"""With fewer files, starting processes takes longer than they save."""

_PER_TASK = 16


def check_files(paths: Sequence[Path], jobs: int = 1) -> Iterator[Report]:
    """Check files.

    Args:
        paths: the files.
        jobs: how many processes to use, at most.

    Yields:
        a report for each, in their order.
    """
    jobs = min(jobs, len(paths) // _PER_TASK)
    if jobs < 2 or len(paths) < FEWEST:
        yield from map(check_file, paths)
        return
    context = multiprocessing.get_context("spawn")  # a copy of a process with threads may hang
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin) as pool:
        yield from pool.map(check_file, paths, chunksize=_PER_TASK)


def _begin() -> None:
    """Syntax trees hold no circles, so looking for circles all the time is a waste."""
    gc.set_threshold(100_000, 50, 100)
