"""The argument ``workers``: which processes train.

In: ``compare``'s argument. Out: a crew for the pool engine, ended with the call; or None, where this process
trains.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.running.budget import duration

if TYPE_CHECKING:
    from fairlane.engines.pool.crew import Crew

_DEVICES = "devices"
_CORES_PER_WORKER = 1
"""On a CPU, how many cores one of ``workers="devices"`` gets: one, since a trial's training uses one."""


@dataclass(frozen=True)
class Ray:
    """Workers on the nodes of a Ray cluster, for the argument ``workers``.

    They start on all nodes that have room for them, also on those that join later. Ray has to be installed:
    ``pip install 'fairlane[ray]'``.

    Args:
        address: of the cluster, as ``ray.init`` takes it: ``"auto"`` or a host and a port. By default the
            one that this session has joined, or that ``RAY_ADDRESS`` names; else a new one on this machine.
        workers: how many at most; by default as many as there is room for.
        cpus: how many CPUs each takes, 1 by default.
        gpus: how many GPUs each takes; 0.25 puts four on one, 0 trains on CPUs.
        memory: how many bytes of memory each takes; by default that is not looked at.

    Raises:
        StudyError: one of the numbers is not possible.

    Example:
        >>> import fairlane as fl
        >>> fl.Ray(gpus=0, cpus=2)
        Ray(address=None, workers=None, cpus=2, gpus=0, memory=None)
    """

    address: str | None = None
    workers: int | None = None
    cpus: float | None = None
    gpus: float = 1
    memory: float | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and not _is_count(self.workers):
            raise StudyError(f"workers of fl.Ray must be a number, 1 or more, or None, not {self.workers!r}")
        for name, least in (("cpus", 0.001), ("gpus", 0), ("memory", 1)):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (value is None and name != "gpus") and not (number and value >= least):
                raise StudyError(f"{name} of fl.Ray must be a number, {least} or more, not {value!r}")


@dataclass(frozen=True)
class Shared:
    """All processes that make the same call, for the argument ``workers``: they share its trials.

    Each leases trials from the store, and trains them itself. A process that is lost gives no sign of life
    any more: after a minute the others take over what it had leased (at once, on the same machine). Each
    process returns when all trials have ended, so that the study that it returns is complete.

    Args:
        batch: how many trials a process has at once. By default half of its share of those that are left: the
            processes count that are there when it begins, and at least four.
        patience: a time such as ``"2h"``, or seconds, in which an epoch or a trial must begin or end here.
            After it the process counts as hung: it gives no sign of life any more, so others take over what
            it had leased. It must be longer than the longest epoch, and its compilation.

    Raises:
        StudyError: the number or the time is not possible.

    Example:
        >>> import fairlane as fl
        >>> fl.Shared(batch=32)
        Shared(batch=32, patience='6h')
    """

    batch: int | None = None
    patience: str | float | timedelta = "6h"

    def __post_init__(self) -> None:
        if self.batch is not None and not _is_count(self.batch):
            raise StudyError(
                f"batch of fl.Shared must be a number of trials, 1 or more, or None, not {self.batch!r}"
            )
        if not duration(self.patience) > 0:
            raise StudyError(
                "patience of fl.Shared must be a time such as '2h', or a number of seconds, not "
                f"{self.patience!r}"
            )


def check_shared(workers: Any, store: Any, test_data: Any) -> None:
    """Refuse what processes that share a study can't do.

    Raises:
        StudyError: there is no store, or there are test data.
    """
    if not isinstance(workers, Shared):
        return
    if store is None:
        raise StudyError(
            "workers=fl.Shared() needs a store, from which processes lease trials: give store= and name=, "
            "the same in all of them"
        )
    if test_data is not None:
        raise StudyError(
            "test_data can't be evaluated with workers=fl.Shared(): several processes would do it. When all "
            "trials have ended, make the same call with test_data= and without workers="
        )


def _is_count(value: Any) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and bool(value >= 1)


def check_workers(workers: Any) -> None:
    """Refuse other values of ``workers``.

    Raises:
        StudyError: which are possible.
    """
    if isinstance(workers, Ray):
        needed("ray", "workers=fl.Ray(...)")
        return
    if isinstance(workers, Shared):
        return
    if workers is None or (isinstance(workers, str) and workers == _DEVICES) or _is_count(workers):
        return
    raise StudyError(
        "workers must be None (this process trains), a number of processes, 1 or more, 'devices' (one for "
        f"each accelerator; without one, as many as there are cores), fl.Ray(...), or fl.Shared(...), not "
        f"{workers!r}"
    )


@contextmanager
def hired(workers: Any) -> Iterator[Crew | None]:
    """The workers while they are needed; they start at once, and import Keras meanwhile.

    Args:
        workers: as `fairlane.compare` takes it.
    """
    if workers is None or isinstance(workers, Shared):
        yield None
        return
    crew = _crew(workers)
    try:
        yield crew
    finally:
        crew.end()


def _crew(workers: Any) -> Crew:
    if isinstance(workers, Ray):
        from fairlane.engines.pool.on_ray import RayCrew

        cpus = 1 if workers.cpus is None else workers.cpus
        return RayCrew(workers.address, workers.workers, cpus, workers.gpus, workers.memory)
    from fairlane.engines.pool.local import LocalCrew

    return LocalCrew(*places(workers))


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
