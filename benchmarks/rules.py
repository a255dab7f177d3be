"""Claim: rules find as good variants in a part of the epochs, and a value that was searched for is no result.

Replays samplers and rules on the table of learning curves that `curves.py` makes: 1,024 variants of the
digits MLP, 27 epochs, 5 seeds. What proposes, compares, stops and refills is `fairlane.search`'s own
course, with its own widths; only the training is read from the table. A search sees the mean `val_loss`
of one seed, or of three; other ones in each repeat. Two more seeds, which no search sees, are the judges.

`epochs`: how many were trained, over all variants and seeds. `seen`: (last value of the variant that the
study calls the best - best of the table) / (median of the table - best of the table), of the seeds that
the search saw. `judged`: the same of the mean over the two judges. `confirmed`: of the five best, the one
that is best with two seeds more, as with ``confirm=5``, by the judges. Medians over the repeats, each
with its bootstrap 90 % interval.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

import _common
from _shares import interval, regret, resampled

SAMPLERS = ("random", "tpe")
RULES = ("none", "median", "halving", "hyperband")
SEEDS = (1, 3)
TRIALS = (32, 64, 128, 256)
MORE = {"halving": (512,), "hyperband": (512,)}
"""Rules with brackets spend few epochs per variant, so they are shown with more variants, too."""
CONFIRMED = 5
KEY = ("seeds", "sampler", "rule", "trials", "repeat")
FOUND = ("seen", "judged", "confirmed")
ORDERED = ("learning_rate", "dropout", "l2", "units", "batch_size")


def table() -> tuple[dict[str, list[Any]], np.ndarray]:
    """The space, and `val_loss`: an axis per hyperparameter, then seed, then epoch."""
    with np.load(_common.RESULTS / "curves.npz", allow_pickle=False) as file:
        names, values = json.loads(str(file["names"])), json.loads(str(file["values"]))
        return dict(zip(names, values, strict=True)), file["val_loss"].astype(np.float64)


def run(seeds: int, sampler: str, rule: str, trials: int, repeat: int) -> dict[str, Any]:
    """One replay."""
    import fairlane as fl
    from _courses import walk
    from fairlane.running.wanted import wanted_of

    choices, losses = table()
    places = {name: {value: i for i, value in enumerate(of)} for name, of in choices.items()}
    epochs = losses.shape[-1]
    order = [(repeat + i) % losses.shape[-2] for i in range(5)]
    seen, more = losses[..., order[:seeds], :].mean(axis=-2), order[seeds:3]
    judges = losses[..., order[3:], -1].mean(axis=-1)

    def place(variant: Any) -> tuple[int, ...]:
        return tuple(places[name][variant[name]] for name in choices)

    space = {name: fl.Choice(of, ordered=name in ORDERED) for name, of in choices.items()}
    stop, fit = None if rule == "none" else rule, {"epochs": epochs}
    wanted = wanted_of(space, trials, "val_loss", [0], True, sampler, stop, None, None, repeat, fit)
    start = time.process_time()
    made = walk(wanted, lambda variant: seen[place(variant)])
    best = [place(made.variants[number]) for number in made.ranking(epochs)[:CONFIRMED]]
    confirmed = min(best, key=lambda one: losses[one][more, -1].mean()) if more else None
    return {
        "seeds": seeds,
        "sampler": sampler,
        "rule": rule,
        "trials": trials,
        "repeat": repeat,
        "epochs": sum(made.trained) * seeds,
        "seen": regret(float(seen[best[0]][-1]), seen[..., -1]),
        "judged": regret(float(judges[best[0]]), judges),
        "confirmed": None if confirmed is None else regret(float(judges[confirmed]), judges),
        "seconds": time.process_time() - start,
    }


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All replays; those that ``--rows`` has are not run again."""
    kept = Path(options.rows)
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {tuple(row[name] for name in KEY) for row in done}
    todo = [
        (seeds, sampler, rule, trials, repeat)
        for repeat in range(options.repeats)
        for seeds in SEEDS
        for rule in RULES
        for trials in (*map(int, options.trials.split(",")), *MORE.get(rule, ()))
        for sampler in SAMPLERS
    ]
    left = [one for one in todo if one not in known]
    with ProcessPoolExecutor(options.processes) as pool, kept.open("a") as file:
        for future in as_completed([pool.submit(run, *one) for one in left]):
            done.append(future.result())
            print(json.dumps(done[-1]), file=file, flush=True)
    return sorted(done, key=lambda row: todo.index(tuple(row[name] for name in KEY)))


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the repeats, and their intervals, a row per kind of search."""
    made = []
    for key in dict.fromkeys(tuple(row[name] for name in KEY[:-1]) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in KEY[:-1]) == key]
        line: dict[str, Any] = dict(zip(KEY, key, strict=False))
        line |= {"repeats": len(own), "epochs": float(np.mean([row["epochs"] for row in own]))}
        for name in FOUND:
            values = [row[name] for row in own if row[name] is not None]
            if values:
                medians = np.median(np.array(values)[resampled(len(values))], axis=1)
                low, high = interval(medians[1:])
                line |= {name: float(medians[0]), f"{name}_low": low, f"{name}_high": high}
        line["ms_per_trial"] = 1000 * float(np.mean([row["seconds"] for row in own])) / line["trials"]
        made.append(line)
    return made


def _cell(line: dict[str, Any], name: str) -> str:
    """A median with its interval."""
    if name not in line:
        return "–"
    return f"{line[name]:.3f} ({line[name + '_low']:.3f} to {line[name + '_high']:.3f})"


def main() -> None:
    """Replay, and write ``results/rules.csv``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", default=",".join(map(str, TRIALS)))
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--rows", default="rules.jsonl", help="keep each replay in this file, and go on from it"
    )
    options = parser.parse_args()
    lines = summary(measured(options))
    shown = _common.new_table("medians, 90 %", ["", "seeds", "variants", "epochs", *FOUND])
    for line in lines:
        name = f"{line['sampler']}, {line['rule']}"
        cells = [_cell(line, found) for found in FOUND]
        shown.add_row(name, str(line["seeds"]), str(line["trials"]), f"{line['epochs']:.0f}", *cells)
    _common.console.print(shown)
    _common.write("rules", lines, repeats=options.repeats)


if __name__ == "__main__":
    main()
