"""What a lane costs the caller's thread, which feeds all others: to admit one, and per epoch.

The digits MLP, in one process whose programs are compiled. Seconds are processor time of the caller's thread.
One number is the difference of two runs, divided by what the second has more of:

- an epoch: studies of ``--lanes`` trials, 10 and 10 + ``--epochs`` epochs;
- a lane of another seed: one variant, ``--lanes`` / 4 and ``--lanes`` seeds, one epoch, less that epoch;
- a lane of another variant: the same with learning rates instead of seeds; and what the builder takes of it.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import _common


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Measure all of them, in one process."""
    import _tasks
    import fairlane as fl

    task = _tasks.digits(8, 1)
    building: list[float] = []

    def build(**hyperparameters: Any) -> Any:
        began = time.thread_time()
        model = task.build(**hyperparameters)
        building.append(time.thread_time() - began)
        return model

    def train(rates: int, seeds: int, epochs: int) -> tuple[float, float]:
        variants = {"learning_rate": [1e-3 * (1 + i / rates) for i in range(rates)]}
        fit = {**task.fit, "epochs": epochs}
        began, spent = time.perf_counter(), time.thread_time()
        study = fl.compare(build, variants, task.x, task.y, seeds=seeds, engine="lanes", verbose=0, **fit)
        seconds = time.thread_time() - spent, time.perf_counter() - began
        assert (study.trials["state"] == "done").all(), study.trials["error"].dropna().iloc[0]
        return seconds

    lanes, epochs = parameters["lanes"], parameters["epochs"]
    few, started = max(1, lanes // 4), time.perf_counter()
    train(2, 8, 2)
    short, long = train(8, lanes // 8, 10), train(8, lanes // 8, 10 + epochs)
    per_epoch, wall = ((b - a) / (lanes * epochs) for a, b in zip(short, long, strict=True))
    by_seeds = train(1, lanes, 1)[0] - train(1, few, 1)[0]
    by_rates = -train(few, 1, 1)[0]
    building.clear()
    by_rates += train(lanes, 1, 1)[0]
    return {
        "seconds": time.perf_counter() - started,
        "epoch": per_epoch,
        "epoch_wall": wall,
        "seed": by_seeds / (lanes - few) - per_epoch,
        "variant": by_rates / (lanes - few) - per_epoch,
        "builder": statistics.median(building),
    }


ROWS = (
    ("an epoch of a lane", "epoch", 0.1),
    ("the same, wall time of the study", "epoch_wall", None),
    ("admitting a lane of another seed", "seed", 3.0),
    ("admitting a lane of another variant", "variant", 3.0),
    ("of it, the builder", "builder", None),
)


def main() -> None:
    """Measure in fresh processes, print medians and write them."""
    parser = _common.parser(__doc__)
    parser.add_argument("--lanes", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=50)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.lanes, options.epochs = 16, 2
    parameters = {"lanes": options.lanes, "epochs": options.epochs}
    jobs = [_common.Job("the caller's thread", "fairlane", parameters)]
    rows = _common.run_jobs(__file__, jobs, options)
    table = _common.new_table("The caller's thread, digits MLP", ["", "ms", "wanted"])
    written = []
    for label, name, wanted in ROWS:
        seconds = _common.median_of(rows, name)
        table.add_row(label, _common.number(seconds and seconds * 1e3, ".3f"), str(wanted or ""))
        written.append({"what": label, "milliseconds": seconds and seconds * 1e3})
    _common.console.print(table)
    _common.print_failures(rows)
    if not options.quick:
        _common.write("lane_cost", written, arguments=_common.plain(options))


if __name__ == "__main__":
    main()
