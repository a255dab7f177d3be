"""Claim: many small models train many times faster in lanes than in a loop, with the same numbers.

The digits MLP (64-64-64-10, RMSprop, batch 32, validation_split 0.2) on scikit-learn's digits, as
8 and as 64 trials (learning rates × seeds) of 20 epochs, by every peer. On the clock: build,
compilation, training. Before it: imports, data and, for Ray, the start of its cluster.
"""

from __future__ import annotations

from typing import Any

import _common


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials with one peer."""
    import _peers
    import _tasks

    return _peers.measure(_peers.PEERS[name], _tasks.digits(**parameters))


def main() -> None:
    """Run the peers side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", default="8,64", help="N,N: the sizes of the study")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs = "2", 1
    jobs = [
        _common.Job(
            f"{trials} trials × {options.epochs} epochs",
            peer,
            {"trials": trials, "epochs": options.epochs},
        )
        for trials in map(int, options.trials.split(","))
        for peer in _common.chosen(options, _common.ALL_PEERS)
    ]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.report("digits", "digits MLP", rows, options, data="scikit-learn's digits")


if __name__ == "__main__":
    main()
