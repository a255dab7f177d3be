"""The machine that trains, and the versions of the packages that results depend on.

In: this process. Out: plain text, to be stored with a study and shown in its report.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata

import keras


def versions() -> dict[str, str]:
    """The packages that results depend on → their versions."""
    found = {"fairlane": metadata.version("fairlane"), "keras": keras.__version__}
    if keras.backend.backend() == "jax":
        found["jax"] = metadata.version("jax")
    return found


def machine() -> str:
    """This machine in words, such as ``Linux x86_64, Python 3.12.3, 8 CPUs, Keras on jax``."""
    cpus = os.cpu_count() or 1
    parts = [
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"{cpus} CPU" if cpus == 1 else f"{cpus} CPUs",
        f"Keras on {keras.backend.backend()}",
    ]
    if keras.backend.backend() == "jax":
        import jax

        parts += sorted({str(d.device_kind) for d in jax.devices() if d.platform != "cpu"})
    return ", ".join(parts)
