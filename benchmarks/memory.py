"""Claim: memory does not grow with the number of trials.

1,000 trials of the digits MLP, 1 epoch each, in one process, on each engine, with the study in memory
and in a store, and in the plain Keras loop for comparison; the resident set is read when each trial
ends (``on_train_end`` of a callback), and its value after the last trial is told as a multiple of that
after the 50th. With ``--calls N`` the trials are split among N calls of ``fairlane.compare`` in the
same process, each study dropped before the next: on lanes, where the trials of a call end together,
that tells more than one call. A figure of all of it is drawn beside the results.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import psutil

import _common

WORKERS = ("keras-jax", "reference", "lanes", "reference-stored", "lanes-stored")
MARK = 50


class Recorder:
    """Counts the trials that ended, and keeps the resident set at each end."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._start = time.perf_counter()
        self.rows: list[dict[str, float]] = []
        self.record()

    def record(self, logs: Any = None) -> None:
        """Note the resident set; row 0 is the state before the first trial."""
        rss = self._process.memory_info().rss / 2**20
        seconds = time.perf_counter() - self._start
        self.rows.append({"trial": len(self.rows), "rss_mb": rss, "after_seconds": seconds})

    def callbacks(self) -> list[Any]:
        """The fresh callbacks of one trial."""
        import keras

        return [keras.callbacks.LambdaCallback(on_train_end=self.record)]


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run all trials in this process and return the resident set at the end of each."""
    import _peers
    import _tasks

    calls = parameters.pop("calls")
    task = _tasks.digits(**parameters)
    _peers.start_backend()
    run = _loop if name == "keras-jax" else _compare(name, calls)
    recorder = Recorder()
    start = time.perf_counter()
    run(task, recorder)
    return {"seconds": time.perf_counter() - start, "rss": recorder.rows}


def _loop(task: Any, recorder: Recorder) -> None:
    import keras

    for hyperparameters, seed in task.trials():
        keras.utils.set_random_seed(seed)
        model = task.build(**hyperparameters)
        model.fit(task.x, task.y, verbose=0, callbacks=recorder.callbacks(), **task.fit)


def _compare(name: str, calls: int) -> Callable[[Any, Recorder], None]:
    import fairlane as fl

    engine, _, stored = name.partition("-")

    def run(task: Any, recorder: Recorder) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for call in range(calls):
                kept = {"store": f"{folder}/runs.db", "name": f"call {call}"} if stored else {}
                compared(task, recorder, call, kept)

    def compared(task: Any, recorder: Recorder, call: int, kept: dict[str, str]) -> None:
        fl.compare(
            task.build,
            task.grid,
            task.x,
            task.y,
            seeds=task.seeds[call::calls],
            engine=engine,
            callbacks=recorder.callbacks,
            on_error="raise",
            verbose=0,
            **kept,
            **task.fit,
        )

    return run


def main() -> None:
    """Run each engine in a process of its own, and compare the early and the late resident set."""
    options = _options()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs = 6, 1
    parameters = {"trials": options.trials, "epochs": options.epochs, "calls": options.calls}
    names = [options.engine] if options.engine else _common.chosen(options, WORKERS)
    case = f"{options.trials} trials × {options.epochs} epochs"
    jobs = [_common.Job(case, name, parameters) for name in names]
    rows = _common.run_jobs(__file__, jobs, options)
    summary = [_summary(row) for row in rows]
    _print(summary, case, options)
    stem = _common.result_name("memory", options)
    stem = f"{stem}.partial" if options.engine and stem == "memory" else stem
    per_trial = [
        {"worker": r["worker"], "repeat": r["repeat"], **point} for r in rows for point in r.get("rss", [])
    ]
    _common.write(stem, per_trial, calls=options.calls)
    _draw(per_trial, case, _common.RESULTS / f"{stem}.png")
    _common.write(f"{stem}.summary", summary, calls=options.calls)


def _options() -> argparse.Namespace:
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--calls", type=int, default=1, help="calls of compare to split them among")
    parser.add_argument("--engine", choices=WORKERS[1:], help="this engine only")
    return parser.parse_args()


def _summary(row: _common.Row) -> _common.Row:
    """The resident set at the start, after the 50th trial and after the last, and their ratio."""
    points = row.get("rss")
    kept = {k: row.get(k) for k in ("case", "worker", "repeat", "seconds", "peak_rss_mb", "error")}
    if not points:
        return kept
    mark, last = points[min(MARK, len(points) // 2)], points[-1]
    return kept | {
        "start_mb": points[0]["rss_mb"],
        "mark": mark["trial"],
        "mark_mb": mark["rss_mb"],
        "last": last["trial"],
        "last_mb": last["rss_mb"],
        "ratio": last["rss_mb"] / mark["rss_mb"],
    }


def _draw(points: list[dict[str, Any]], case: str, path: Any) -> None:
    """The resident set over the trials that have ended, a line per worker."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(point["worker"] for point in points):
        mine = [p for p in points if p["worker"] == name and p["repeat"] == points[0]["repeat"]]
        axes.plot([p["trial"] for p in mine], [p["rss_mb"] for p in mine], label=name)
    axes.set(xlabel="trials that have ended", ylabel="resident set, MiB", title=case, ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def _print(rows: list[_common.Row], case: str, options: argparse.Namespace) -> None:
    columns = ["worker", "seconds", "start MB", "early MB", "last MB", "last ÷ early", "peak MB"]
    title = f"resident set, {case}, {options.calls} call(s) of compare"
    table = _common.new_table(title, columns)
    for worker_name in dict.fromkeys(r["worker"] for r in rows):
        mine = [r for r in rows if r["worker"] == worker_name]
        if _common.median_of(mine, "ratio") is None:
            table.add_row(worker_name, "failed")
            continue
        names = ("seconds", "start_mb", "mark_mb", "last_mb", "ratio", "peak_rss_mb")
        forms = (".1f", ".0f", ".0f", ".0f", ".3f", ".0f")
        cells = [_common.number(_common.median_of(mine, n), f) for n, f in zip(names, forms, strict=True)]
        table.add_row(f"{worker_name} (after trials {mine[0]['mark']}, {mine[0]['last']})", *cells)
    _common.console.print(table)
    _common.print_failures(rows)


if __name__ == "__main__":
    main()
