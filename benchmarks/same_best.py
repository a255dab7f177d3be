"""Claim: a search on lanes comes to the same best value in a small part of the time of an Optuna loop.

The digits MLP on scikit-learn's digits, batch 32, validation_split 0.2, at most 20 epochs: the learning
rate, from 1e-4 to 1e-1 on a logarithmic scale. 128 variants of TPE with the median rule. `optuna`: the loop
of its pages, `study.optimize`, with a callback that reports `val_loss` and prunes. `fairlane`: `fl.search`.
Both train every variant from one seed, another one in each round, so that a value is decided by the
learning rate and not by luck with the initial weights. On the clock: all of it, compilation included, in a
fresh process. The best values of the two differ, since they propose other variants: the time is that to the
worse of the two. ``--rows FILE`` keeps each round.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import _common

PEERS = ("optuna", "fairlane")
LOW, HIGH = 1e-4, 1e-1


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Search with one peer, and note when which value was the best."""
    import _data
    import _peers

    x, y = _data.digits()
    run = {"optuna": _optuna, "fairlane": _fairlane}[name]
    _peers.start_backend()
    start = time.perf_counter()
    trace: list[tuple[float, float]] = []

    def note(value: float) -> None:
        if math.isfinite(value) and (not trace or value < trace[-1][1]):
            trace.append((time.perf_counter() - start, value))

    epochs = run(x, y, note, **parameters)
    seconds = time.perf_counter() - start
    trials = parameters["trials"]
    return {"seconds": seconds, "trials": trials, "epochs": epochs / trials, "outcomes": [], "trace": trace}


def _optuna(x: Any, y: Any, note: Any, trials: int, epochs: int, rng: int) -> int:
    import keras
    import optuna

    import _models

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    done = 0

    class Report(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, trial: Any) -> None:
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            nonlocal done
            done += 1
            note(float(logs["val_loss"]))
            self.trial.report(float(logs["val_loss"]), epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def objective(trial: Any) -> float:
        keras.utils.set_random_seed(rng)
        model = _models.digits_mlp(trial.suggest_float("learning_rate", LOW, HIGH, log=True))
        history = model.fit(
            x, y, validation_split=0.2, batch_size=32, epochs=epochs, verbose=0, callbacks=[Report(trial)]
        )
        return float(history.history["val_loss"][-1])

    sampler, pruner = optuna.samplers.TPESampler(seed=rng), optuna.pruners.MedianPruner(n_startup_trials=5)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=trials)
    return done


def _fairlane(x: Any, y: Any, note: Any, trials: int, epochs: int, rng: int) -> int:
    import _models
    import fairlane as fl
    from fairlane.trials import EpochEnded

    class Report(fl.trackers.Tracker):
        def begin(self, facts: Any) -> None:
            pass

        def take(self, event: Any, record: Any) -> None:
            if isinstance(event, EpochEnded):
                note(float(event.logs["val_loss"]))

        def end(self, records: Any) -> None:
            pass

    study = fl.search(
        _models.digits_mlp,
        {"learning_rate": fl.Float(LOW, HIGH, log=True)},
        x,
        y,
        trials=trials,
        epochs=epochs,
        sampler="tpe",
        stop="median",
        rng=rng,
        seeds=[rng],
        validation_split=0.2,
        batch_size=32,
        verbose=0,
        trackers=[Report()],
    )
    return len(study.history)


def round_of(rng: int, trials: int, epochs: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Both peers with one seed of the sampler: how long each took to the worse of their best values."""
    jobs = [
        _common.Job(f"{trials} variants of TPE", peer, {"trials": trials, "epochs": epochs, "rng": rng})
        for peer in _common.chosen(options, PEERS)
    ]
    pair = _common.run_jobs(__file__, jobs, options)
    target = max((row["trace"][-1][1] for row in pair if row.get("trace")), default=math.nan)
    for row in pair:
        trace = row.pop("trace", [])
        reached = [seconds for seconds, value in trace if value <= target]
        row |= {"repeat": rng, "best": trace[-1][1] if trace else math.nan, "target": target}
        row["seconds_to_target"] = reached[0] if reached else math.nan
    return pair


def main() -> None:
    """Run both peers side by side, with as many seeds of the sampler as there are rounds."""
    parser = _common.parser(__doc__)
    parser.add_argument("--rows", help="keep each round in this file, and go on from it")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    trials, epochs = (4, 2) if options.quick else (128, 20)
    kept = Path(options.rows) if options.rows else None
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept and kept.exists() else []
    known, rounds, options.repeat = {row["repeat"] for row in rows}, options.repeat, 1
    for rng in range(rounds):
        if rng not in known:
            pair = round_of(rng, trials, epochs, options)
            rows += pair
            if kept is not None:
                with kept.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in pair)
    options.repeat = rounds
    _common.report("same_best", "digits MLP", rows, options, same=("optuna",), data="scikit-learn's digits")
    times = {peer: [row["seconds_to_target"] for row in rows if row["worker"] == peer] for peer in PEERS}
    for peer, own in times.items():
        _common.console.print(f"{peer}: seconds to the same best: {', '.join(f'{t:.2f}' for t in own)}")
    ratios = [theirs / ours for theirs, ours in zip(*times.values(), strict=True)]
    if ratios:
        _common.console.print(f"median of the rounds' ratios: {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
