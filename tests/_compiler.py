"""How hard XLA works at the programs that tests compile: most of the suite's time is XLA's, compiling them.

In: nothing. Out: `QUICK`, the options that make it three times as fast and leave the operations as they are,
and `SHIPPED`, what users have. The flags of a process are fixed when it starts; a single program's may be
others, which is how tests that ask for the fixture ``shipped_compiler`` get lanes as users do.
"""

from __future__ import annotations

import os
import sys

import _processes

QUICK = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
SHIPPED = {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True}
"""XLA's own defaults for `QUICK`'s options."""

FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in QUICK.items())


def hurry() -> None:
    """Ask for `QUICK` in this process and those that it starts, unless somebody has chosen flags, even none.

    XLA ends a process whose flags it does not know, so another process tries them first.
    """
    if "XLA_FLAGS" in os.environ:
        return
    environment = {**os.environ, "XLA_FLAGS": FLAGS}
    tried = _processes.run(
        [sys.executable, "-c", "import jax; jax.devices()"], env=environment, capture_output=True
    )
    os.environ["XLA_FLAGS"] = FLAGS if tried.returncode == 0 else ""


def hurries() -> bool:
    """Whether this process has `QUICK`."""
    return os.environ.get("XLA_FLAGS") == FLAGS
