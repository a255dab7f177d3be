"""Claim: a session on TensorFlow or torch gains from lanes too, the start of the worker process included.

The digits MLP as 16 trials of 5 epochs, in a session on each backend: a plain loop of ``fit``; ``compare`` as
the session's first study, which starts the worker (it imports Keras and JAX on the clock); and ``compare``
again with other seeds, on the worker that is there. Dropout and shuffling draw other numbers on JAX, so
only the mean losses compare.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import _common

SESSIONS = ("tensorflow", "torch")


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials with one peer; with Fairlane, once more in the same session."""
    import _peers
    import _tasks

    peer, _, _ = name.rpartition("-")
    task = _tasks.digits(**parameters)
    if peer == "keras":
        return _peers.measure(_peers.keras_loop, task)
    first = _peers.measure(_peers.PEERS["fairlane-lanes"], task)
    other = replace(task, seeds=[100 + seed for seed in task.seeds])
    again = _peers.measure(_peers.PEERS["fairlane-lanes"], other)
    return {**first, "seconds_again": again["seconds"]}


def main() -> None:
    """Run the peers side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs = 2, 1
    peers = [f"{peer}-{backend}" for backend in SESSIONS for peer in ("keras", "fairlane")]
    parameters = {"trials": options.trials, "epochs": options.epochs}
    jobs = [
        _common.Job(f"in a session on {name.rpartition('-')[2]}", name, parameters)
        for name in _common.chosen(options, peers)
    ]
    rows = [_common.flat(row) for row in _common.run_jobs(__file__, jobs, options)]
    title = f"digits MLP, {options.trials} trials × {options.epochs} epochs"
    columns = ["worker", "seconds", "× the loop", "again, seconds", "peak RSS MB", "mean final loss"]
    table = _common.new_table(title, columns)
    for name in dict.fromkeys(row["worker"] for row in rows):
        mine = [row for row in rows if row["worker"] == name]
        loop = [row for row in rows if row["worker"] == f"keras-{name.rpartition('-')[2]}"]
        seconds, base = (_common.median_of(some, "seconds") for some in (mine, loop))
        table.add_row(
            name,
            _common.number(seconds, ".2f"),
            _common.number(base / seconds if base and seconds else None, ".2f"),
            _common.number(_common.median_of(mine, "seconds_again"), ".2f"),
            _common.number(_common.median_of(mine, "peak_rss_mb"), ".0f"),
            _common.number(_common.median_of(mine, "mean_final_loss"), ".4f"),
        )
    _common.console.print(table)
    _common.print_failures(rows)
    _common.write(_common.result_name("backends", options), rows, options=_common.plain(options))


if __name__ == "__main__":
    main()
