"""R for the tests: where it is, and whether its package reticulate is new enough."""

import os
import shutil
import sys
from pathlib import Path

import pytest

import _processes

ROOT = Path(__file__).parents[1]


def rscript():
    """The program that runs scripts; skips the test where R or reticulate is not here."""
    found = shutil.which("Rscript")
    if found is None:
        pytest.skip("no R here; on Debian and Ubuntu, as root: .ci/install-r")
    ask = 'cat(requireNamespace("reticulate", quietly = TRUE) && packageVersion("reticulate") >= "1.41")'
    if _processes.run([found, "-e", ask], capture_output=True, text=True).stdout != "TRUE":
        pytest.skip("R has no reticulate, or one older than 1.41, which can't read arrays of NumPy 2")
    return found


def environment(*libraries):
    """All that a script of Python or R gets: this checkout's Fairlane, folders of R's packages, no choice of a backend."""
    kept = ("PATH", "HOME", "KERAS_HOME", "LD_LIBRARY_PATH", "XLA_FLAGS")
    found = {n: value for n, value in os.environ.items() if n in kept or n.startswith("JAX_")}
    places = [str(place) for place in libraries] + [p for p in [os.environ.get("R_LIBS")] if p]
    return {
        **found,
        "PYTHONPATH": str(ROOT / "src"),
        "RETICULATE_PYTHON": sys.executable,
        "R_LIBS": os.pathsep.join(places),
    }
