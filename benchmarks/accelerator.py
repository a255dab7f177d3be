"""Claim: on an accelerator, hundreds of lanes cost little more than one, with the same numbers.

The digits MLP (20 epochs) and the CNN (3 epochs) at 1, 8, 64 and 512 lanes on JAX's default
device. The plain Keras-JAX loop is timed on a few trials, and its time for n trials is
extrapolated: seconds per trial × n. The first epochs' logs are compared with the reference
engine's on those trials; on a GPU they should agree to a relative 1e-3.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import _common
import _data

RTOL = 1e-3
CHECKED_EPOCHS = 2


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train a number of trials with Fairlane or the loop."""
    import _peers
    import _tasks

    model = parameters.pop("model")
    make = _tasks.digits if model == "digits" else _tasks.architecture
    named = {} if model == "digits" else {"name": model}
    result = _peers.measure(_peers.PEERS[name], make(**named, **parameters))
    import jax

    return result | {"device": f"{jax.default_backend()}: {jax.devices()[0].device_kind}"}


def main() -> None:
    """Run the loop and the reference on a few trials, and the lanes at every size."""
    options = _options()
    if _common.served(options, worker):
        return
    if options.quick:
        options.lanes, options.loop_trials, options.epochs, options.cnn_epochs = "1,4", 2, 2, 2
        options.samples = 640
    data = _data.kind(options.data)
    rows = _common.run_jobs(__file__, _jobs(options), options)
    flats = [_common.flat(r) | _check(r, rows) for r in rows]
    for model in options.models.split(","):
        _print(model, [r for r in flats if r["case"].startswith(model)], options)
    about = {"data": data, "device": next((r["device"] for r in rows if "device" in r), None)}
    about["matmul_precision"] = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "JAX's default")
    _common.write(_common.result_name("accelerator", options), flats, **about)


def _options() -> argparse.Namespace:
    parser = _common.parser(__doc__)
    parser.add_argument("--models", default="digits,cnn", help="of digits, cnn, lstm, attention")
    parser.add_argument("--lanes", default="1,8,64,512", help="N,N: numbers of trials")
    parser.add_argument("--loop-trials", type=int, default=4, help="trials the loop is timed on")
    parser.add_argument("--epochs", type=int, default=20, help="for digits")
    parser.add_argument("--cnn-epochs", type=int, default=3, help="for the other models")
    parser.add_argument("--samples", type=int, default=6_400, help="for the other models")
    parser.add_argument("--data", help="an .npz file with x_train and y_train")
    return parser.parse_args()


def _jobs(options: argparse.Namespace) -> list[_common.Job]:
    jobs = []
    for model in options.models.split(","):
        few = _parameters(model, options.loop_trials, options)
        short = few | {"epochs": min(CHECKED_EPOCHS, few["epochs"])}
        jobs.append(_common.Job(_case(model, few), "keras-jax", few))
        jobs.append(_common.Job(_case(model, short), "fairlane-reference", short))
        for lanes in map(int, options.lanes.split(",")):
            full = _parameters(model, lanes, options)
            jobs.append(_common.Job(_case(model, full), "fairlane-lanes", full))
    names = _common.chosen(options, ("keras-jax", "fairlane-reference", "fairlane-lanes"))
    return [job for job in jobs if job.worker in names]


def _parameters(model: str, trials: int, options: argparse.Namespace) -> dict[str, Any]:
    if model == "digits":
        return {"model": model, "trials": trials, "epochs": options.epochs}
    return {
        "model": model,
        "trials": trials,
        "epochs": options.cnn_epochs,
        "samples": options.samples,
        "data": options.data,
    }


def _case(model: str, parameters: dict[str, Any]) -> str:
    return f"{model}, {parameters['trials']} trials × {parameters['epochs']} epochs"


def _check(row: _common.Row, rows: list[_common.Row]) -> dict[str, Any]:
    """The largest difference to the reference engine over the trials that both ran."""
    model = row["case"].split(",")[0]
    found = (r for r in rows if r["worker"] == "fairlane-reference" and "seconds" in r)
    reference = next((r for r in found if r["case"].startswith(model)), None)
    if reference is None or "seconds" not in row:
        return {}
    return {"difference": _common.largest_difference(row, reference, CHECKED_EPOCHS)}


def _print(model: str, rows: list[_common.Row], options: argparse.Namespace) -> None:
    loop = [r for r in rows if r["worker"] == "keras-jax"]
    loop_seconds = _common.median_of(loop, "seconds")
    per_trial = loop_seconds / options.loop_trials if loop_seconds else None
    device = next((r["device"] for r in rows if "device" in r), "no device")
    columns = ["lanes", "seconds", "ms per model-epoch", "loop, extrapolated: s", "loop ÷ lanes"]
    columns += [f"difference in {CHECKED_EPOCHS} epochs", f"within {RTOL:g}"]
    table = _common.new_table(f"{model} on {device}", columns)
    lanes = [r for r in rows if r["worker"] == "fairlane-lanes"]
    for case in dict.fromkeys(r["case"] for r in lanes):
        mine = [r for r in lanes if r["case"] == case]
        _add_row(table, case, mine, per_trial)
    _common.console.print(table)
    if per_trial:
        text = f"the loop was timed on {options.loop_trials} trials: {per_trial:.2f} s per trial"
        _common.console.print(text, highlight=False)
    _common.print_failures(rows)


def _add_row(table: Any, case: str, rows: list[_common.Row], per_trial: float | None) -> None:
    seconds = _common.median_of(rows, "seconds")
    if seconds is None:
        table.add_row(case, "failed")
        return
    extrapolated = per_trial * rows[0]["trials"] if per_trial else None
    difference = _common.median_of(rows, "difference")
    table.add_row(
        case,
        _common.number(seconds, ".2f"),
        _common.number(_common.median_of(rows, "ms_per_model_epoch"), ".3f"),
        _common.number(extrapolated, ".1f"),
        _common.number(extrapolated / seconds if extrapolated else None, ".1f"),
        _common.number(difference, ".1e"),
        "–" if difference is None else ("yes" if difference <= RTOL else "NO"),
    )


if __name__ == "__main__":
    main()
