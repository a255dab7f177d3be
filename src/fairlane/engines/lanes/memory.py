"""How many lanes fit into memory at once, and what it means that memory ran out.

In: one lane's state, a compiled program, an error. Out: a number of lanes, bytes, `OutOfMemory`. When fewer
lanes fit than there are trials, a fleet trains in waves: a lane that ends makes room for the next trial.
"""

from __future__ import annotations

import math
import os
from typing import Any

import jax

_COPIES = 4
"""A lane's state, its gradients and temporaries, the model's own copy, and the trained weights kept."""

_SHARE = 0.5
"""Of the free memory, what lanes may take; activations and the data want some too."""


class OutOfMemory(Exception):
    """A program wants more memory than there is.

    Attributes:
        kept: a copy of what the program would have used up, to go on from.
        fits: how many lanes would fit, as far as that is known; else None.
    """

    def __init__(self, message: str, kept: Any, fits: int | None = None) -> None:
        super().__init__(message)
        self.kept = kept
        self.fits = fits


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, the device's or the machine's, ran out."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def bytes_needed(compiled: Any) -> int:
    """Bytes that a compiled program takes beyond its arguments, by XLA's own account of it."""
    account = compiled.memory_analysis()
    if account is None:
        return 0
    results = account.output_size_in_bytes - account.alias_size_in_bytes
    return int(account.temp_size_in_bytes + max(0, results))


def lanes_that_fit(state: Any) -> float:
    """The number of lanes to keep under way at once.

    Args:
        state: one lane's arrays.

    Returns:
        A whole number from 1 on; infinite where nothing limits it.
    """
    bytes_per_lane = _COPIES * sum(a.nbytes for a in jax.tree.leaves(state))
    room = room_for_data()
    if bytes_per_lane == 0 or room == math.inf:
        return math.inf
    return max(1, int(room / bytes_per_lane))


def room_for_data() -> float:
    """Bytes of arrays that may be put on the default device; infinite where it does not say."""
    free = free_memory()
    return math.inf if free is None else _SHARE * free


def free_memory() -> int | None:
    """Bytes free on the default device, or None where it does not say."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        if "bytes_limit" in stats:
            return int(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
        return None
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
