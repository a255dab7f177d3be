"""Claim: cross-validation on lanes takes a small part of the time of the loop that people write.

The digits MLP (64-64-64-10, RMSprop, batch 32) on scikit-learn's 1,797 digits, stratified folds, 20 epochs.
``keras-jax``: a loop over variants, seeds and folds, with a fresh model for each and
``fit(x[training], y[training], validation_data=(x[validation], y[validation]))``. ``fairlane``:
``compare(..., cv=folds)``. On the clock: all of it, compilation included, in a fresh process.
"""

from __future__ import annotations

import time
from typing import Any

import _common

PEERS = ("keras-jax", "fairlane")


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Cross-validate with one peer."""
    import _data
    import _peers

    x, y = _data.digits()
    run = {"keras-jax": _loop, "fairlane": _fairlane}[name]
    _peers.start_backend()
    start = time.perf_counter()
    outcomes = run(x, y, **parameters)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "trials": len(outcomes), "epochs": parameters["epochs"], "outcomes": outcomes}


def _loop(x: Any, y: Any, folds: int, seeds: int, rates: list[float], epochs: int) -> list[Any]:
    import keras
    from sklearn.model_selection import StratifiedKFold

    import _models

    found = []
    for rate in rates:
        for seed in range(seeds):
            for fold, (training, validation) in enumerate(StratifiedKFold(folds).split(x, y)):
                keras.utils.set_random_seed(seed)
                history = _models.digits_mlp(rate).fit(
                    x[training],
                    y[training],
                    validation_data=(x[validation], y[validation]),
                    epochs=epochs,
                    batch_size=32,
                    verbose=0,
                )
                found.append(_outcome(rate, seed, fold, history.history))
    return found


def _fairlane(x: Any, y: Any, folds: int, seeds: int, rates: list[float], epochs: int) -> list[Any]:
    import _models
    import fairlane as fl

    study = fl.compare(
        _models.digits_mlp,
        {"learning_rate": rates},
        x,
        y,
        cv=folds,
        seeds=seeds,
        epochs=epochs,
        batch_size=32,
        verbose=0,
    )
    return [
        _outcome(*key, {name: rows[name].tolist() for name in ("loss", "val_loss")})
        for key, rows in study.history.groupby(["learning_rate", "seed", "fold"])
    ]


def _outcome(rate: float, seed: int, fold: int, logs: Any) -> dict[str, Any]:
    """The first and the last epoch of a trial."""
    first, last = ({name: float(logs[name][i]) for name in ("loss", "val_loss")} for i in (0, -1))
    variant = {"learning_rate": rate, "fold": int(fold)}
    return {"hyperparameters": variant, "seed": int(seed), "first": [first], "final": last}


def main() -> None:
    """Run both peers side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument("--kinds", default="folds,crossed", help="which parts to run")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    sizes = {"folds": (10, 1, [1e-3]), "crossed": (5, 5, [3e-4, 1e-3, 3e-3])}
    epochs = 20
    if options.quick:
        sizes, epochs = {"folds": (2, 1, [1e-3]), "crossed": (2, 2, [1e-3])}, 2
    jobs = [
        _common.Job(
            f"{folds} folds × {seeds} seeds × {len(rates)} learning rates × {epochs} epochs",
            peer,
            {"folds": folds, "seeds": seeds, "rates": rates, "epochs": epochs},
        )
        for kind, (folds, seeds, rates) in sizes.items()
        if kind in options.kinds.split(",")
        for peer in _common.chosen(options, PEERS)
    ]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.report("folds", "digits MLP", rows, options, same=PEERS, data="scikit-learn's digits")


if __name__ == "__main__":
    main()
