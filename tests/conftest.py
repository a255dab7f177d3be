"""For all tests: Keras on JAX; and caches of compiled programs for all processes, since many train the same small
models.

They are set in the environment, before anything imports Keras or JAX: pytest's workers and the processes that
tests start inherit them. Who sets ``JAX_COMPILATION_CACHE_DIR`` and ``FAIRLANE_CACHE`` keeps the programs for the
next run; who sets ``XLA_FLAGS``, to nothing too, has every program compiled with those.
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

_caches = []
for _variable in ("JAX_COMPILATION_CACHE_DIR", "FAIRLANE_CACHE"):
    if _variable not in os.environ:
        _caches.append(tempfile.TemporaryDirectory(prefix="fairlane-tests-", ignore_cleanup_errors=True))
        os.environ[_variable] = _caches[-1].name

if "FAIRLANE_CONFORMANCE" not in os.environ:  # what goes into the documentation is what users have
    hurry()


def pytest_collection_finish() -> None:
    """Collections of garbage leave out what is here before the first test: libraries, half a million objects.

    Each ``clear_session`` of Keras's collects, which took 0.3 s. `gc.get_objects` leaves them out too, so a
    function under ``jax.jit`` that lanes shall forget (`forget_foreign_traces`) is made inside of a test.
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    for cache in _caches:
        cache.cleanup()


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
def shipped_compiler(monkeypatch, tmp_path_factory):
    """Lanes are compiled as users have them; Keras alone is not, so that the two also are compiled differently."""
    from fairlane.engines.program.compiled import Program

    if not hurries():
        return
    monkeypatch.setenv("FAIRLANE_CACHE", str(tmp_path_factory.mktemp("shipped")))  # keys don't know of this
    effort = Program._effort
    monkeypatch.setattr(
        Program,
        "_effort",
        lambda self, run, program: {**SHIPPED, **(effort(self, run, program) or {})},
    )
