"""Claim: rules that stop variants find as good ones in a part of the epochs.

Replays samplers and rules on the table of learning curves that `curves.py` makes: 1,024 variants of the
digits MLP, 27 epochs, 5 seeds. What proposes, compares, stops and refills is `fairlane.search`'s own course,
with its own widths; only the training is read from the table. A search sees one seed's `val_loss`.

`epochs`: how many were trained, over all variants. `regret`: (last value of the variant that the study calls
the best - best of the table) / (median of the table - best of the table), of the seed that the search saw.
`fresh`: the same of the mean over the other seeds of the table, which the search did not see; left out where
there are none. Medians over the repeats, each with its bootstrap 90 % interval.
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
TRIALS = (32, 64, 128, 256)
MORE = {"halving": (512,), "hyperband": (512,)}
"""Rules with brackets spend few epochs per variant, so they are shown with more variants, too."""
ORDERED = ("learning_rate", "dropout", "l2", "units", "batch_size")


def table() -> tuple[dict[str, list[Any]], np.ndarray]:
    """The space, and `val_loss`: an axis per hyperparameter, then seed, then epoch."""
    with np.load(_common.RESULTS / "curves.npz", allow_pickle=False) as file:
        names, values = json.loads(str(file["names"])), json.loads(str(file["values"]))
        return dict(zip(names, values, strict=True)), file["val_loss"].astype(np.float64)


def run(sampler: str, rule: str, trials: int, repeat: int) -> dict[str, Any]:
    """One replay."""
    import fairlane as fl
    from _courses import walk
    from fairlane.running.wanted import wanted_of

    choices, losses = table()
    places = {name: {value: i for i, value in enumerate(of)} for name, of in choices.items()}
    seed, epochs = repeat % losses.shape[-2], losses.shape[-1]

    def place(variant: Any) -> tuple[int, ...]:
        return tuple(places[name][variant[name]] for name in choices)

    space = {name: fl.Choice(of, ordered=name in ORDERED) for name, of in choices.items()}
    stop, fit = None if rule == "none" else rule, {"epochs": epochs}
    wanted = wanted_of(space, trials, "val_loss", [0], True, sampler, stop, None, None, repeat, fit)
    start = time.process_time()
    made = walk(wanted, lambda variant: losses[place(variant)][seed])
    chosen = place(made.variants[made.best(epochs)])
    own, others = losses[..., seed, -1], np.delete(losses[..., -1], seed, axis=-1)
    fresh = others.mean(axis=-1) if others.shape[-1] else None
    return {
        "sampler": sampler,
        "rule": rule,
        "trials": trials,
        "repeat": repeat,
        "epochs": sum(made.trained),
        "regret": regret(float(own[chosen]), own),
        "fresh": None if fresh is None else regret(float(fresh[chosen]), fresh),
        "seconds": time.process_time() - start,
    }


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All replays; those that ``--rows`` has are not run again."""
    kept = Path(options.rows)
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {(row["sampler"], row["rule"], row["trials"], row["repeat"]) for row in done}
    todo = [
        (sampler, rule, trials, repeat)
        for repeat in range(options.repeats)
        for rule in RULES
        for trials in (*map(int, options.trials.split(",")), *MORE.get(rule, ()))
        for sampler in SAMPLERS
    ]
    left = [one for one in todo if one not in known]
    with ProcessPoolExecutor(options.processes) as pool, kept.open("a") as file:
        for future in as_completed([pool.submit(run, *one) for one in left]):
            done.append(future.result())
            print(json.dumps(done[-1]), file=file, flush=True)
    return sorted(
        done, key=lambda row: todo.index((row["sampler"], row["rule"], row["trials"], row["repeat"]))
    )


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the repeats, and their intervals, a row per sampler, rule and number of variants."""
    made = []
    for key in dict.fromkeys((row["sampler"], row["rule"], row["trials"]) for row in rows):
        own = [row for row in rows if (row["sampler"], row["rule"], row["trials"]) == key]
        line: dict[str, Any] = dict(zip(("sampler", "rule", "trials"), key, strict=True))
        line |= {"repeats": len(own), "epochs": float(np.mean([row["epochs"] for row in own]))}
        for name in ("regret", "fresh"):
            values = [row[name] for row in own if row[name] is not None]
            if values:
                medians = np.median(np.array(values)[resampled(len(values))], axis=1)
                low, high = interval(medians[1:])
                line |= {name: float(medians[0]), f"{name}_low": low, f"{name}_high": high}
        line["ms_per_trial"] = 1000 * float(np.mean([row["seconds"] for row in own])) / key[2]
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
    shown = _common.new_table("medians, 90 %", ["", "variants", "epochs", "regret", "fresh"])
    for line in lines:
        name = f"{line['sampler']}, {line['rule']}"
        cells = [_cell(line, "regret"), _cell(line, "fresh")]
        shown.add_row(name, str(line["trials"]), f"{line['epochs']:.0f}", *cells)
    _common.console.print(shown)
    _common.write("rules", lines, repeats=options.repeats)


if __name__ == "__main__":
    main()
