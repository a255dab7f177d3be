"""Claim: keeping a study costs less than 5 % of its training, and as much per trial however many there are.

Two measurements. The digits MLP, 64 trials × 20 epochs, in memory and kept in SQLite, side by side, each in a
fresh process; the difference of two such runs is within their noise, so the kept one also tells directly
how long the training thread was in calls of the store, and how much processor time the store's own threads
took. And studies of 100, 1,000 and 10,000 trials that are told and not trained: 20 epochs of four logs each,
and the weights of a digits MLP, one file per trial.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _common

EPOCHS = 20


class Clock:
    """Adds up the time of calls, the outermost of nested ones."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.seconds, self._now, self._inside = 0.0, now, False

    def around(self, owner: Any, *names: str) -> None:
        """Time these functions of a class or module from now on."""
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside, began = True, self._now()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += self._now() - began
                self._inside = False

        return timed


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """One job: ``memory`` and ``sqlite`` train, ``told`` does not."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "told":
            return told(Path(folder) / "runs.db", **parameters)
        return trained(None if name == "memory" else Path(folder) / "runs.db", **parameters)


def trained(store: Path | None, trials: int, epochs: int) -> dict[str, Any]:
    """Train the digits MLP; how long it took, and how much of it the store."""
    import _peers
    import _tasks
    import fairlane as fl
    from fairlane.engines import resources
    from fairlane.provenance import fingerprint
    from fairlane.running import compare
    from fairlane.store import artifacts, writing

    task = _tasks.digits(trials=trials, epochs=epochs)
    _ = fl.compare  # imports come before the clock, the store's too
    with tempfile.TemporaryDirectory() as folder:
        writing_nothing(Path(folder) / "runs.db")
    _peers.start_backend()
    calls, threads, files = Clock(time.perf_counter), Clock(time.thread_time), Clock(time.perf_counter)
    names = ("__init__", "adopt", "unfinished", "write", "describe", "rewind", "flush", "close")
    calls.around(writing.SqlStore, *names)
    calls.around(fingerprint, "spec")
    calls.around(compare, "written")
    calls.around(resources, "description")
    threads.around(writing.SqlStore, "_commit")
    files.around(artifacts.Artifacts, "sync")
    began = time.perf_counter()
    kept = {} if store is None else {"store": store, "name": "digits"}
    made = fl.compare(task.build, task.grid, task.x, task.y, seeds=task.seeds, verbose=0, **kept, **task.fit)
    seconds = time.perf_counter() - began
    assert made.trials["state"].tolist() == ["done"] * trials
    return {
        "seconds": seconds,
        "trials": trials,
        "epochs": epochs,
        "seconds_in_calls": calls.seconds,
        "cpu_seconds_of_its_thread": threads.seconds,
        "share": (calls.seconds + threads.seconds) / seconds,
    }


def writing_nothing(path: Path) -> None:
    """Open and close a store, so that all that it imports is imported."""
    from fairlane.store import written

    written(path, "a", {}, {}, "auto").close()


def told(path: Path, trials: int) -> dict[str, Any]:
    """Tell a store of trials; how long each took, with all of it on disk."""
    import numpy as np

    from fairlane.store import read, written
    from fairlane.trials import EpochEnded, State, Trial, TrialDone, TrialStarted, Variant, Weights

    writing_nothing(path.with_name("other.db"))
    shapes = [(64, 64), (64,), (64, 64), (64,), (64, 10), (10,)]
    arrays = [np.random.default_rng(0).normal(size=shape).astype("float32") for shape in shapes]
    optimizer = [*arrays, np.array(1e-3, "float32"), np.array(900, "int32")]
    weights = Weights(State(arrays, [], optimizer, []))
    variants = [Variant(i, {"learning_rate": 1e-3 / (i + 1)}) for i in range(max(1, trials // 10))]
    planned = [Trial(i, variants[i // 10], i % 10) for i in range(trials)]
    began = time.perf_counter()
    store = written(path, "a", {}, {}, "auto")
    adopted = store.adopt(planned, [EPOCHS] * trials)
    opened = time.perf_counter()
    for trial in adopted:
        store.write(TrialStarted(trial, "lanes"))
        for epoch in range(EPOCHS):
            loss = 1.0 / (epoch + 1)
            logs = {"loss": loss, "accuracy": loss, "val_loss": loss, "val_accuracy": loss}
            store.write(EpochEnded(trial, epoch, logs))
        store.write(TrialDone(trial, 1.0, weights))
    store.close()
    ended = time.perf_counter()
    rows = sum(len(record.epochs) for record in read(path, "a"))
    assert rows == trials * EPOCHS
    return {
        "seconds": ended - began,
        "trials": trials,
        "epochs": EPOCHS,
        "ms_per_trial_planned": (opened - began) / trials * 1e3,
        "ms_per_trial_told": (ended - opened) / trials * 1e3,
        "seconds_to_read_all": time.perf_counter() - ended,
        "mb": sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file()) / 2**20,
    }


COLUMNS = (
    *("seconds", "seconds_in_calls", "cpu_seconds_of_its_thread", "share"),
    *("ms_per_trial_planned", "ms_per_trial_told", "seconds_to_read_all", "mb"),
)


def main() -> None:
    """Measure, print and write the CSV."""
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", type=int, default=64, help="of the study that is trained")
    parser.add_argument("--told", default="100,1000,10000", help="N,N: trials of those that are told")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.told = 2, "10"
    study = {"trials": options.trials, "epochs": 1 if options.quick else EPOCHS}
    case = f"digits MLP, {study['trials']} trials × {study['epochs']} epochs"
    jobs = [_common.Job(case, name, study) for name in ("memory", "sqlite")]
    jobs += [_common.Job(f"told, {n} trials", "told", {"trials": int(n)}) for n in options.told.split(",")]
    rows = _common.run_jobs(__file__, jobs, options)
    table = _common.new_table("the store", ["case", "worker", *COLUMNS])
    for job in jobs:
        mine = [row for row in rows if (row["case"], row["worker"]) == (job.case, job.worker)]
        cells = [_common.number(_common.median_of(mine, name), ".4g") for name in COLUMNS]
        table.add_row(job.case, job.worker, *cells)
    _common.console.print(table)
    _common.print_failures(rows)
    _common.write(_common.result_name("store", options), rows, options={"repeat": options.repeat})


if __name__ == "__main__":
    main()
