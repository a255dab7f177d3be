"""Claim: a search on lanes takes a small part of the time of one trial after another.

The digits MLP (64-64-64-10, RMSprop, batch 32, validation_split 0.2) on scikit-learn's digits. One space: the
learning rate, from 1e-4 to 1e-2 on a logarithmic scale. `hyperband`: the 49 variants and 375 epochs of
Hyperband(27, 3). `random`: 64 variants × 20 epochs. Each by KerasTuner and by Fairlane, which draw other
variants of the same space; both have the same number of variants and epochs. On the clock: all of the
search, compilation included. `overhead`: 1,000 variants with Hyperband in a store on the disk; the processor
time of the caller's thread in the sampler, in other decisions and in records, as a share of the time on the
clock, and of the processor time of all threads. `lanes`: how full the dispatched programs are during
Hyperband, where trials that end leave gaps, and others fill them: places with a trial, of all places of all
epochs that were dispatched.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

import _common

PEERS = ("keras-tuner", "fairlane")
LOW, HIGH = 1e-4, 1e-2
EVERY_KIND = "hyperband,random,overhead,lanes"


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run one kind of search with one peer."""
    import _data
    import _peers

    x, y = _data.digits()
    if parameters["kind"] in ("lanes", "overhead"):
        run = {"lanes": _lanes, "overhead": _overhead}[parameters.pop("kind")]
        _peers.start_backend()
        return run(x, y, **parameters)
    search = {"keras-tuner": _keras_tuner, "fairlane": _fairlane}[name](x, y, **parameters)
    _peers.start_backend()
    start = time.perf_counter()
    trials, epochs, best = search()
    return {
        "seconds": time.perf_counter() - start,
        "trials": trials,
        "epochs": epochs / trials,
        "outcomes": [],
        "best": best,
    }


def _keras_tuner(x: Any, y: Any, kind: str, trials: int, epochs: int) -> Any:
    import keras_tuner

    import _models

    def build(hp: Any) -> Any:
        return _models.digits_mlp(hp.Float("learning_rate", LOW, HIGH, sampling="log"))

    def search() -> tuple[int, float, float]:
        with tempfile.TemporaryDirectory() as folder:
            options = {"objective": "val_loss", "seed": 0, "directory": folder, "project_name": "p"}
            if kind == "hyperband":
                tuner = keras_tuner.Hyperband(build, max_epochs=epochs, factor=3, **options)
                tuner.search(x, y, validation_split=0.2, batch_size=32, verbose=0)
            else:
                tuner = keras_tuner.RandomSearch(build, max_trials=trials, **options)
                tuner.search(x, y, validation_split=0.2, batch_size=32, epochs=epochs, verbose=0)
            done = tuner.oracle.trials.values()
            best = min(one.score for one in done)
        total = 375 if kind == "hyperband" and epochs == 27 else trials * epochs
        return trials, float(total), float(best)

    return search


def _fairlane(
    x: Any, y: Any, kind: str, trials: int, epochs: int, sampler: str = "random", **more: Any
) -> Any:
    import _models
    import fairlane as fl

    def search() -> tuple[int, float, float]:
        study = fl.search(
            _models.digits_mlp,
            {"learning_rate": fl.Float(LOW, HIGH, log=True)},
            x,
            y,
            trials=trials,
            epochs=epochs,
            stop="hyperband" if kind == "hyperband" else None,
            sampler=sampler,
            validation_split=0.2,
            batch_size=32,
            verbose=0,
            **more,
        )
        return len(study.trials), float(len(study.history)), float(study.history["val_loss"].min())

    return search


def _lanes(x: Any, y: Any, sampler: str, trials: int, epochs: int) -> dict[str, Any]:
    """Hyperband, with a count of the places of each dispatched epoch."""
    from fairlane.engines.lanes.flights import Flights

    full: list[tuple[int, int]] = []
    send = Flights.send

    def counted(self: Flights, chunk: Any) -> None:
        full.append((sum(not lane.ended for lane in chunk.lanes), chunk.width))
        send(self, chunk)

    Flights.send = counted  # type: ignore[method-assign]
    start = time.perf_counter()
    done, total, best = _fairlane(x, y, "hyperband", trials, epochs, sampler)()
    seconds = time.perf_counter() - start
    share = sum(lanes for lanes, _ in full) / sum(width for _, width in full)
    return {
        "seconds": seconds,
        "trials": done,
        "epochs": total / done,
        "outcomes": [],
        "best": best,
        "lanes_in_use": share,
    }


def _overhead(x: Any, y: Any, sampler: str, trials: int, epochs: int) -> dict[str, Any]:
    """Hyperband in a store on the disk, and what all but the training costs."""
    import _overhead

    with tempfile.TemporaryDirectory() as folder:
        options = {"store": f"{folder}/store", "name": "overhead"}
        search = _fairlane(x, y, "hyperband", trials, epochs, sampler, **options)
        (done, total, best), spent = _overhead.spent(search)
    own = spent["sampler"] + spent["decisions"] + spent["records"]
    return {
        **spent,
        "trials": done,
        "epochs": total / done,
        "outcomes": [],
        "best": best,
        "share_of_clock": own / spent["seconds"],
        "share_of_process": own / spent["process"],
    }


def main() -> None:
    """Run both peers side by side, and the decisions alone."""
    parser = _common.parser(__doc__)
    parser.add_argument("--kinds", default=EVERY_KIND, help="which parts to run")
    parser.add_argument("--variants", type=int, default=1000, help="of the kind `overhead`")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    sizes = {"hyperband": (49, 27), "random": (64, 20)}
    if options.quick:
        sizes = {"hyperband": (4, 3), "random": (4, 2)}
    kinds = options.kinds.split(",")
    jobs = [
        _common.Job(
            f"{kind}, {trials} variants × up to {epochs} epochs",
            peer,
            {"kind": kind, "trials": trials, "epochs": epochs},
        )
        for kind, (trials, epochs) in sizes.items()
        if kind in kinds
        for peer in _common.chosen(options, PEERS)
    ]
    if "overhead" in kinds:
        count, epochs = (4, 3) if options.quick else (options.variants, 27)
        jobs += [
            _common.Job(
                f"overhead, {count} variants",
                sampler,
                {"kind": "overhead", "sampler": sampler, "trials": count, "epochs": epochs},
            )
            for sampler in ("random", "tpe")
        ]
    if "lanes" in kinds:
        counts, epochs = ((4,), 3) if options.quick else ((49, 98, 196), 27)
        jobs += [
            _common.Job(
                f"lanes in use, {count} variants",
                sampler,
                {"kind": "lanes", "sampler": sampler, "trials": count, "epochs": epochs},
            )
            for count in counts
            for sampler in ("random", "tpe")
        ]
    rows = _common.run_jobs(__file__, jobs, options)
    name = "search" if options.kinds == EVERY_KIND else f"search.{'.'.join(kinds)}"
    _common.report(name, "digits MLP", rows, options, same=("keras-tuner",), data="scikit-learn's digits")


if __name__ == "__main__":
    main()
