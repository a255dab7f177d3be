"""Claim: the second run of a script compiles no fleet again, and gains over a loop that compiles nothing.

The digits MLP, 8 trials of 20 epochs, in two processes one after the other. The loop has JAX's own cache
switched on, for every program however small; Fairlane has its own, and in a row of its own JAX's beside it,
which keeps Keras's small programs too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import _common

PEERS = ("keras-jax", "fairlane", "fairlane-and-jax-cache")


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials in a process that is the first with its cache, or the second."""
    folder = Path(parameters.pop("folder")) / name
    if parameters.pop("first"):
        shutil.rmtree(folder, ignore_errors=True)
    os.environ["FAIRLANE_CACHE"] = str(folder / "fairlane")
    if name != "fairlane":
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "jax")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    import _peers
    import _tasks

    peer = _peers.keras_loop if name == "keras-jax" else _peers.fairlane
    return _peers.measure(peer, _tasks.digits(**parameters))


def main() -> None:
    """Run both processes of each peer, the peers side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs = 2, 1
    peers = _common.chosen(options, PEERS)
    with tempfile.TemporaryDirectory() as folder:
        parameters = {"trials": options.trials, "epochs": options.epochs, "folder": folder}
        jobs = [
            _common.Job(case, peer, {**parameters, "first": case == "first process"})
            for case in ("first process", "second process")
            for peer in peers
        ]
        rows = _common.run_jobs(__file__, jobs, options)
    _common.report("second_process", "digits MLP", rows, options, same=PEERS, data="scikit-learn's digits")


if __name__ == "__main__":
    main()
