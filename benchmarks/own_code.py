"""Claim: models with code of one's own cost a trace more per trial and batch size, and gain from lanes too.

The digits MLP with Keras's loss, and with a loss function of one's own that calculates the same: in a loop,
and in lanes. Of a model with foreign code, each trial's step is traced by itself, to see what it reads.
"""

from __future__ import annotations

from typing import Any

import _common

PEERS = ("keras-jax", "fairlane")


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials in a loop or in lanes."""
    import _peers
    import _tasks

    peers: dict[str, Any] = {"keras-jax": _peers.keras_loop, "fairlane": _peers.fairlane}
    make = getattr(_tasks, parameters.pop("task"))
    return _peers.measure(peers[name], make(**parameters))


def main() -> None:
    """Run both losses side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", default="8,64", help="N,N: sizes of the study")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs = "2", 2
    cases: dict[str, dict[str, Any]] = {
        f"{what}, {n} trials × {options.epochs} epochs": {"task": task, "trials": n, "epochs": options.epochs}
        for n in map(int, options.trials.split(","))
        for task, what in (("digits", "Keras's loss"), ("digits_own_loss", "own loss"))
    }
    peers = _common.chosen(options, PEERS)
    jobs = [_common.Job(case, peer, parameters) for case, parameters in cases.items() for peer in peers]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.report("own_code", "own code", rows, options, same=PEERS, base="fairlane")


if __name__ == "__main__":
    main()
