"""How many lanes fit into memory at once.

In: one lane's state. Out: a number of lanes. When it is smaller than the number of trials, a fleet trains
in waves: a lane that ends makes room for the next trial.
"""

from __future__ import annotations

import os
from typing import Any

import jax

_COPIES = 4
"""A lane's state, its gradients and temporaries, the model's own copy, and the trained weights kept."""

_SHARE = 0.5
"""Of the free memory, what lanes may take; activations and the data want some too."""


def lanes_that_fit(state: Any, wanted: int) -> int:
    """The number of lanes to keep at once.

    Args:
        state: one lane's arrays.
        wanted: the number of trials.

    Returns:
        A number from 1 to ``wanted``.
    """
    bytes_per_lane = _COPIES * sum(a.nbytes for a in jax.tree.leaves(state))
    free = free_memory()
    if free is None or bytes_per_lane == 0:
        return max(1, wanted)
    return max(1, min(wanted, int(_SHARE * free / bytes_per_lane)))


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
