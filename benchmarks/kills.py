"""Claim: a stored search that is killed at any moments comes to the same trials, decisions and best.

A Hyperband search of 40 small models (27 epochs at most, the three best trained again with two fresh seeds),
stored after each epoch. A process that runs it is killed with SIGKILL as soon as its store has a random
number of epochs more, or, one time in four, at a random time after its start, which may be before its first
epoch. The same call then continues the search in a new process, until it has ended; then a new search begins,
until there were enough kills. Each is compared with one that was never interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _common

TRIALS, EPOCHS = 40, 27
SAMPLES = 20_000
"""So many that a search trains for much longer than its store takes to write an epoch."""


def search(store: Path | None, trials: int, epochs: int, samples: int) -> Any:
    """Run the search, or continue it."""
    import keras
    import numpy as np

    import fairlane as fl

    rng = np.random.default_rng(4)
    x = rng.normal(size=(samples, 4)).astype("float32")
    y = (x @ rng.normal(size=(4, 1)) + 0.3 * rng.normal(size=(samples, 1))).astype("float32")

    def build(learning_rate: float, rate: float) -> keras.Model:
        inside = [keras.layers.Dense(8, "tanh"), keras.layers.Dropout(rate), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((4,)), *inside])
        model.compile(keras.optimizers.Adam(learning_rate), "mse")
        return model

    kept = {} if store is None else {"store": store, "name": "killed", "checkpoint_every": 1}
    return fl.search(
        build,
        {"learning_rate": fl.Float(1e-3, 1e-1, log=True), "rate": fl.Float(0.0, 0.5)},
        x,
        y,
        trials=trials,
        epochs=epochs,
        stop="hyperband",
        confirm=(3, 2),
        validation_split=0.25,
        batch_size=32,
        engine="lanes",
        verbose=0,
        **kept,
    )


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run a search in this process, and say what came out."""
    store = parameters.pop("store")
    study = search(Path(store) if store else None, **parameters)
    decided = [[list(one.about), dict(one.content)] for one in study._store.decisions()]
    return {
        "decisions": sorted(decided, key=lambda one: json.dumps(one[0])),
        "states": study.trials["state"].tolist(),
        "trials": study.trials[["learning_rate", "rate", "seed", "epochs"]].values.tolist(),
        "val_loss": study.history.sort_values(["trial", "epoch"])["val_loss"].tolist(),
        "best": study.best_variant().number,
    }


class Running:
    """A process that runs the search."""

    def __init__(self, folder: Path, store: str, size: dict[str, int]) -> None:
        self._out = folder / "out"
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", "search"]
        command += ["--parameters", json.dumps({"store": store, **size})]
        with self._out.open("w") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.DEVNULL,
                env=_common.environment("search"),
                start_new_session=True,
            )
        self.began = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def kill(self) -> bool:
        """Kill it and all its children; False where it had ended already."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait() == -signal.SIGKILL

    def result(self) -> dict[str, Any]:
        """What came out."""
        code = self._process.wait()
        lines = [line for line in self._out.read_text().splitlines() if line.startswith("{")]
        if code or not lines:
            raise SystemExit(f"the search ended with exit status {code}")
        found: dict[str, Any] = json.loads(lines[-1])
        return found


def epochs_in(store: str) -> int:
    """How many epochs a store has; 0 where it can't be read yet."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=1)) as found:
            return int(found.execute("SELECT count(*) FROM fairlane_epochs WHERE place <= 0").fetchone()[0])
    except sqlite3.Error:
        return 0


def killed(folder: Path, store: str, size: dict[str, int], moments: random.Random, most: int) -> Any:
    """Start the search once, and kill it at a random moment.

    Returns:
        The epochs that were stored, and the seconds since its start; None where it had ended before.
    """
    wanted = epochs_in(store) + moments.randrange(1, most)
    seconds = moments.uniform(0.5, 20) if moments.random() < 0.25 else 1e9
    running = Running(folder, store, size)
    while not running.ended:
        if epochs_in(store) >= wanted or time.monotonic() - running.began > seconds:
            if running.kill():
                return epochs_in(store), time.monotonic() - running.began
            break
        time.sleep(0.01)
    running.result()  # it has ended without an error
    return None


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What is not the same, in words."""
    wrong = [name for name in ("states", "trials", "best") if found[name] != expected[name]]
    ours, theirs = ({json.dumps(a): c for a, c in one["decisions"]} for one in (found, expected))
    if ours.keys() != theirs.keys():
        return [*wrong, "which decisions were made"]
    return wrong + [
        f"{name!r} of the decision {about}"
        for about, content in theirs.items()
        for name in content
        if name not in ("value", "values" if about.startswith(('["rung"', '["confirm"')) else "")
        and ours[about].get(name) != content[name]
    ]


def furthest(found: list[float], expected: list[float]) -> float:
    """The largest relative difference of two lists of numbers."""
    if len(found) != len(expected):
        return float("inf")
    return max(abs(a - b) / max(abs(b), 1e-12) for a, b in zip(found, expected, strict=True))


def main() -> None:
    """Kill searches, continue them, and compare what comes out."""
    parser = _common.parser(__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how many kills there are to be")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    size = {"trials": TRIALS, "epochs": EPOCHS, "samples": SAMPLES}
    if options.quick:
        size = {"trials": 4, "epochs": 3, "samples": 64}
    kills, most = (1, 5) if options.quick else (options.kills, 150)
    moments, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = Running(folder, "", size).result()
        while sum("seconds" in row for row in rows) < kills:
            number = sum("same" in row for row in rows)
            store = str(folder / f"{number}.db")
            while sum("seconds" in row for row in rows) < kills:
                moment = killed(folder, store, size, moments, most)
                if moment is None:
                    break
                rows.append({"search": number, "killed_at_epochs": moment[0], "seconds": round(moment[1], 2)})
                _common.console.print(rows[-1], highlight=False)
            found = Running(folder, store, size).result()
            wrong = differences(found, expected)
            distance = furthest(found["val_loss"], expected["val_loss"])
            rows.append(
                {
                    "search": number,
                    "same": not wrong,
                    "different": "; ".join(wrong),
                    "val_loss_difference": distance,
                }
            )
            _common.console.print(rows[-1], highlight=False)
    about = {"size": size, "epochs": len(expected["val_loss"]), "kills": kills}
    _common.write(_common.result_name("kills", options), rows, options=_common.plain(options), **about)


if __name__ == "__main__":
    main()
