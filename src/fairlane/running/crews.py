"""The argument ``workers``: which processes train.

In: ``compare``'s argument. Out: a crew for the pool engine, ended with the call; or None, where this process
trains.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlane.errors import StudyError

if TYPE_CHECKING:
    from fairlane.engines.pool.crew import Crew

_DEVICES = "devices"
_CORES_PER_WORKER = 1
"""On a CPU, how many cores one of ``workers="devices"`` gets (`benchmarks/NOTES.md`)."""


def check_workers(workers: Any) -> None:
    """Refuse other values of ``workers``.

    Raises:
        StudyError: which are possible.
    """
    whole = isinstance(workers, (int, np.integer)) and not isinstance(workers, bool)
    if workers is None or workers == _DEVICES or (whole and workers >= 1):
        return
    raise StudyError(
        "workers must be None (this process trains), a number of processes, 1 or more, or 'devices' (one for "
        f"each accelerator; without one, as many as there are cores), not {workers!r}"
    )


@contextmanager
def hired(workers: Any) -> Iterator[Crew | None]:
    """The workers while they are needed; they start at once, and import Keras meanwhile.

    Args:
        workers: as `fairlane.compare` takes it.
    """
    if workers is None:
        yield None
        return
    from fairlane.engines.pool.local import LocalCrew

    crew = LocalCrew(*places(workers))
    try:
        yield crew
    finally:
        crew.end()


def places(workers: Any) -> tuple[Sequence[Mapping[str, str]], int | None]:
    """The environment of each process, and how many chunks of lanes each runs at once."""
    devices = accelerators() if workers == _DEVICES else []
    if devices:
        return [{"CUDA_VISIBLE_DEVICES": one, "JAX_PLATFORMS": ""} for one in devices], None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = max(1, cores // _CORES_PER_WORKER) if workers == _DEVICES else int(workers)
    return [{}] * count, max(1, cores // count)


def accelerators() -> list[str]:
    """The accelerators that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    They are counted without JAX, which would take hold of them.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        lines = [line for line in listed.splitlines() if line.startswith("GPU ")]
        return [str(number) for number in range(len(lines))]
    return []
