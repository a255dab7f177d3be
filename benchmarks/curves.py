"""Make a table of learning curves on lanes, on which samplers and stopping rules can be replayed.

The digits MLP (`_models.digits_curves`) on scikit-learn's digits, validation_split 0.2, 27 epochs: all 1,024
combinations of learning rate (8), dropout (4), L2 penalty (4), units (2), activation (2) and batch size (2),
with 5 seeds each. A process per seed and batch size, which keeps its part in ``--parts``; parts that are
there are not trained again.

Out: ``results/curves.npz``: ``val_loss`` (float16) and ``val_right`` (of 360 validation samples, how many are
right: uint16), both of the shape (combination's axes ..., seed, epoch); and ``names`` and ``values`` of the
axes, as JSON. A trial that diverged has infinite losses from then on.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import _common

SPACE: dict[str, list[Any]] = {
    "learning_rate": [3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "dropout": [0.05, 0.2, 0.4, 0.6],
    "l2": [1e-6, 1e-5, 1e-4, 1e-3],
    "units": [32, 64],
    "activation": ["relu", "tanh"],
    "batch_size": [32, 128],
}
SEEDS, EPOCHS, HELD_OUT = 5, 27, 360


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train all combinations of one batch size with one seed, and write their curves."""
    import pandas as pd

    import _data
    import _models
    import fairlane as fl

    space = {**SPACE, "batch_size": [parameters["batch_size"]]}
    if parameters["quick"]:
        space = {key: values[:2] for key, values in space.items()} | {"l2": [1e-5], "dropout": [0.2]}
    start = time.perf_counter()
    study = fl.compare(
        _models.digits_curves,
        space,
        *_data.digits(),
        seeds=[parameters["seed"]],
        epochs=parameters["epochs"],
        validation_split=0.2,
        verbose=0,
    )
    history: pd.DataFrame = study.history
    shape = (*(len(values) for values in space.values()), parameters["epochs"])
    arrays = {
        log: history.pivot(index="trial", columns="epoch", values=log).to_numpy(dtype=np.float64)
        for log in ("val_loss", "val_accuracy")
    }
    keys = history.groupby("trial", sort=True)[list(space)].first()
    order = [tuple(space[key].index(value) for key, value in row.items()) for row in keys.to_dict("records")]
    made = {log: np.full(shape, np.nan) for log in arrays}
    for log, rows in arrays.items():
        for place, row in zip(order, rows, strict=True):
            made[log][place][: len(row)] = row
    np.savez(parameters["to"], allow_pickle=False, **made)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "trials": len(order), "epochs": len(history) / len(order), "outcomes": []}


def main() -> None:
    """Train what is missing, and put the parts together."""
    parser = _common.parser(__doc__)
    parser.add_argument("--parts", default="curves", help="the folder of the parts, which is made")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="train with the first of the seeds only")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    folder = Path(options.parts).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    seeds, epochs = (1, 2) if options.quick else (options.seeds, EPOCHS)
    wanted = {
        (seed, size): folder / f"{seed}.{size}.npz" for seed in range(seeds) for size in SPACE["batch_size"]
    }
    jobs = [
        _common.Job(
            f"seed {seed}, batch size {size}",
            "fairlane",
            {
                "seed": seed,
                "batch_size": size,
                "epochs": epochs,
                "quick": options.quick,
                "to": str(path),
            },
        )
        for (seed, size), path in wanted.items()
        if not path.exists()
    ]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.print_failures(rows)
    if all(path.exists() for path in wanted.values()) and not options.quick:
        joined = [_joined([wanted[seed, size] for size in SPACE["batch_size"]]) for seed in range(seeds)]
        write(
            *(np.stack([one[log] for one in joined], axis=-2) for log in ("val_loss", "val_accuracy")),
        )


def _joined(parts: list[Path]) -> dict[str, np.ndarray]:
    """One seed's curves; the batch size is the last axis of the combinations."""
    loaded = [np.load(path, allow_pickle=False) for path in parts]
    return {log: np.concatenate([one[log] for one in loaded], axis=-2) for log in loaded[0].files}


def write(losses: np.ndarray, accuracies: np.ndarray) -> None:
    """Write the table and, beside it, the machine that made it."""
    losses = np.where(np.isfinite(losses), losses, np.inf)
    right = np.rint(np.nan_to_num(accuracies) * HELD_OUT).astype(np.uint16)
    with np.errstate(over="ignore"):  # losses above 65,504 are infinite in float16
        small = losses.astype(np.float16)
    about = {"names": json.dumps(list(SPACE)), "values": json.dumps(list(SPACE.values()))}
    _common.RESULTS.mkdir(exist_ok=True)
    np.savez_compressed(_common.RESULTS / "curves.npz", val_loss=small, val_right=right, **about)
    text = json.dumps(_common.machine(), indent=2, ensure_ascii=False)
    (_common.RESULTS / "curves.machine.json").write_text(text + "\n")
    lost = int(np.isinf(small[..., -1]).sum())
    _common.console.print(
        f"written: curves.npz, {small[..., 0].size} curves, {lost} end without a finite loss"
    )


if __name__ == "__main__":
    main()
