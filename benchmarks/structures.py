"""Claim: models of sizes and depths that occur once each train in less time, too.

The digits MLP in 16 widths, a CNN in 16 numbers of filters, and a deeper MLP in 24 structures; one trial of
each, by a loop and by Fairlane. On the clock: build, compilation, training. The loop compiles a program for
each trial.
"""

from __future__ import annotations

from typing import Any

import _common

PEERS = ("keras-jax", "fairlane")


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials of one kind with one peer."""
    import _peers
    import _tasks

    kind = parameters.pop("kind")
    return _peers.measure(_peers.PEERS[name], getattr(_tasks, kind)(**parameters))


def main() -> None:
    """Run both peers side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument(
        "--kinds", default="widths,filters,structures", help="of: widths, filters, structures"
    )
    parser.add_argument("--trials", default="16,16,24", help="N,N,N: how many of each kind")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs = "2,2,3", 1
    jobs = [
        _common.Job(
            f"{trials} {kind}, one trial each × {options.epochs} epochs",
            peer,
            {"kind": kind, "trials": int(trials), "epochs": options.epochs},
        )
        for kind, trials in zip(options.kinds.split(","), options.trials.split(","), strict=False)
        for peer in _common.chosen(options, PEERS)
    ]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.report("structures", "MLPs on digits", rows, options, same=PEERS, data="scikit-learn's digits")


if __name__ == "__main__":
    main()
