"""SIGKILL at many moments, among them inside a store's write and a checkpoint's: nothing that was stored is lost.

Each run of a chain is killed at a random moment (of a fixed seed) and goes on from what the one before left;
the last is left alone. What comes out is the study that was never interrupted. ``tests/store`` does the same with
the store alone, many times over, and with PostgreSQL.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import _killed
import _processes
import fairlane as fl

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*ended without closing it:fairlane.errors.FairlaneWarning"),
]

CHAINS = {
    "rows": ["rows-before", "rows-within", "rows-after", "epoch"],
    "files": ["file-before", "file-half", "file-after", "epoch"],
}


def killed(store, where):
    """Run the program until it dies, as it must."""
    program = Path(_killed.__file__)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = _processes.run(
        [sys.executable, str(program), str(store), where], capture_output=True, text=True, env=environment
    )
    assert done.returncode == -signal.SIGKILL, f"{where}: {done.returncode}\n{done.stderr}"


def stored(store):
    """Each epoch that a reader finds: ``(trial, epoch)`` → loss."""
    history = fl.open(store, "killed").history
    if history.empty:
        return {}
    keys = list(zip(history["trial"], history["epoch"], strict=True))
    assert len(set(keys)) == len(keys)  # none twice
    return dict(zip(keys, history["loss"], strict=True))


@pytest.fixture(scope="module")
def expected():
    return _killed.compare()


@pytest.mark.parametrize("chain", CHAINS)
def test_nothing_that_was_stored_is_lost(tmp_path, expected, chain):
    moments = random.Random(chain)
    for place in CHAINS[chain]:
        killed(tmp_path / "runs.db", f"{place}:{moments.randint(2, 8)}")
    before = stored(tmp_path / "runs.db")
    assert len(before) >= _killed.EPOCHS  # of twice as many, so that there is something to lose, and to do
    study = _killed.compare(tmp_path / "runs.db")
    after = stored(tmp_path / "runs.db")
    truth = expected.history
    assert sorted(after) == sorted(zip(truth["trial"], truth["epoch"], strict=True))
    for key, loss in before.items():
        np.testing.assert_allclose(after[key], loss, rtol=1e-5)
    np.testing.assert_allclose(study.history["loss"], truth["loss"], rtol=1e-5)
    for trial in range(len(_killed.RATES)):
        for mine, theirs in zip(study.model(trial).variables, expected.model(trial).variables, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6, err_msg=theirs.path)
