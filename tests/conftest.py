"""For all tests: Keras on JAX; and one compilation cache for all processes, since many train the same small models.

Both are set in the environment, before anything imports Keras or JAX: pytest's workers and the processes that
tests start inherit them. Who sets ``JAX_COMPILATION_CACHE_DIR`` keeps the programs for the next run; who sets
``XLA_FLAGS``, to nothing too, has every program compiled with those.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile

import pytest

from _compiler import SHIPPED, hurries, hurry

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

_cache = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="fairlane-tests-", ignore_cleanup_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name

if "FAIRLANE_CONFORMANCE" not in os.environ:  # what goes into the documentation is what users have
    hurry()


def pytest_unconfigure() -> None:
    if _cache is not None:
        _cache.cleanup()


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """JAX keeps every program it has compiled in memory, and with it Keras's models: gigabytes by the end."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def browser():
    """A real browser, for the tests of a module."""
    from _chromium import Chromium

    found = Chromium()
    yield found
    found.close()


@pytest.fixture
def shipped_compiler(monkeypatch):
    """Lanes are compiled as users have them; Keras alone is not, so that the two also are compiled differently."""
    from fairlane.engines.program.compiled import Program

    if not hurries():
        return
    effort = Program._effort
    monkeypatch.setattr(Program, "_effort", lambda self, run: {**SHIPPED, **(effort(self, run) or {})})
