"""Claim: two learning rates compared on MNIST cost about what one costs in Keras.

784-256-128-10 with dropout 0.4 and 0.3, RMSprop at 0.001 against 0.0001, 30 epochs, batch 128,
validation_split 0.2: two trials, by every peer. ``--data PATH.npz`` (arrays ``x_train``,
``y_train``) for the real MNIST; without it, a synthetic set of the same shape, drawn by a fixed
generator.
"""

from __future__ import annotations

from typing import Any

import _common
import _data


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train both trials with one peer."""
    import _peers
    import _tasks

    return _peers.measure(_peers.PEERS[name], _tasks.mnist(**parameters))


def main() -> None:
    """Run the peers side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument("--data", help="an .npz file with x_train and y_train")
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.epochs = 1
    data = _data.kind(options.data)
    _common.console.print(f"data: {data}")
    parameters = {"epochs": options.epochs, "data": options.data}
    case = f"2 trials × {options.epochs} epochs"
    jobs = [_common.Job(case, peer, parameters) for peer in _common.chosen(options, _common.ALL_PEERS)]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.report("mnist", f"MNIST MLP, {data}", rows, options, data=data)


if __name__ == "__main__":
    main()
