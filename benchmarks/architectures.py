"""Claim: lanes are no trick of dense nets: convolutions, recurrence and attention gain too.

A small CNN, an LSTM and an attention block on 28×28 images (6,400 samples, batch 64, Adam, no
validation), 8 trials × 3 epochs each, by every peer. Two times per model-epoch are told: the
whole run's share, compilation included, and the slope, for which every peer also runs with one
epoch in a further process: (seconds of all epochs − seconds of one) ÷ (trials × further epochs),
which leaves compilation out. Data: ``--data PATH.npz``, or synthetic images by a fixed generator.
"""

from __future__ import annotations

import argparse
from typing import Any

import _common
import _data

NAMES = ("cnn", "lstm", "attention")


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials of one architecture with one peer."""
    import _peers
    import _tasks

    return _peers.measure(_peers.PEERS[name], _tasks.architecture(**parameters))


def main() -> None:
    """Run the peers side by side on each architecture."""
    options = _options()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs, options.samples = 2, 2, 640
    data = _data.kind(options.data)
    _common.console.print(f"data: {data}")
    rows = _common.run_jobs(__file__, _jobs(options), options)
    flats = _common.report("architectures", f"28×28, {data}", rows, options, data=data)
    if not options.no_slope:
        _print_slopes(flats, options)


def _options() -> argparse.Namespace:
    parser = _common.parser(__doc__)
    parser.add_argument("--data", help="an .npz file with x_train and y_train")
    parser.add_argument("--models", default=",".join(NAMES), help="of " + ", ".join(NAMES))
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=6_400)
    parser.add_argument("--no-slope", action="store_true", help="skip the runs with one epoch")
    return parser.parse_args()


def _jobs(options: argparse.Namespace) -> list[_common.Job]:
    epochs = [options.epochs] if options.no_slope else [options.epochs, 1]
    return [
        _common.Job(
            _case(name, options.trials, count),
            peer,
            {
                "name": name,
                "trials": options.trials,
                "epochs": count,
                "samples": options.samples,
                "data": options.data,
            },
        )
        for name in options.models.split(",")
        for count in epochs
        for peer in _common.chosen(options, _common.ALL_PEERS)
    ]


def _case(name: str, trials: int, epochs: int) -> str:
    return f"{name}, {trials} trials × {epochs} epochs"


def _print_slopes(rows: list[_common.Row], options: argparse.Namespace) -> None:
    names = options.models.split(",")
    table = _common.new_table("ms per model-epoch without compilation, by slope", ["worker", *names])
    for peer in _common.chosen(options, _common.ALL_PEERS):
        slopes = [_slope(rows, name, peer, options) for name in names]
        table.add_row(peer, *(_common.number(value, ".1f") for value in slopes))
    _common.console.print(table)


def _slope(rows: list[_common.Row], name: str, peer: str, options: argparse.Namespace) -> float | None:
    def seconds(epochs: int) -> float | None:
        case = _case(name, options.trials, epochs)
        mine = [r for r in rows if r["case"] == case and r["worker"] == peer]
        return _common.median_of(mine, "seconds")

    long, short = seconds(options.epochs), seconds(1)
    if long is None or short is None or options.epochs < 2:
        return None
    return 1e3 * (long - short) / (options.trials * (options.epochs - 1))


if __name__ == "__main__":
    main()
