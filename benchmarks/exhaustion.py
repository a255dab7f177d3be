"""Claim: lanes that do not fit into an accelerator's memory train all the same, with the same numbers.

256 trials of a wide MLP (784-512-512-10, Adam, batch 128, 3 epochs) on JAX's default device, three
times: ``roomy`` has all of the memory; ``waves`` may take a twentieth of it, so that lanes wait for
others to end; for ``filled``, other arrays take all but 1.5 GiB, once, when the first epoch has ended,
so that the next program runs out of memory in earnest. The logs of all epochs are compared with those
of ``roomy``; a third of the labels are drawn at random, so that losses stay far from 0 and relative
differences mean something. Matrix products are float32's own here, so that differences are rounding.
On a CPU there is no such limit to run into, and the script says so.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

import _common
import _data

WORKERS = ("roomy", "waves", "filled")
LEAVE = 3 * 2**29
BLOCK = 2**27


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials with all, little, or suddenly little memory."""
    os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"
    if name == "waves":
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = "0.05"
    import _peers
    import _tasks
    import fairlane as fl

    _peers.start_backend()
    import jax

    if jax.default_backend() == "cpu":
        raise SystemExit("there is no accelerator here whose memory could be full")
    x, y = noisy_images()
    rates, seeds = _tasks.split(parameters["trials"])
    fit: dict[str, Any] = {"epochs": parameters["epochs"], "batch_size": 128}
    if name == "filled":
        fit["callbacks"] = Filler().callbacks
    task = _tasks.Task(build, {"learning_rate": rates}, seeds, x, y, fit)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = _peers.measure(_peers.PEERS["fairlane-lanes"], task)
    told = [str(w.message) for w in said if issubclass(w.category, fl.FairlaneWarning)]
    return result | {"said": " | ".join(told)}


def noisy_images() -> _data.Arrays:
    """Images as rows, a third of them with a label of no meaning."""
    x, y = _data.images(None, 6_400)
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, 10, len(y), dtype=y.dtype)
    return x.reshape(len(x), 784), np.where(generator.random(len(y)) < 1 / 3, drawn, y)


def build(learning_rate: float) -> Any:
    """A wide MLP: 8 MB of weights and moments."""
    import keras

    wide = [keras.layers.Dense(512, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((784,)), *wide, keras.layers.Dense(10, activation="softmax")])
    model.compile(
        keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class Filler:
    """Takes the device's memory when the first of all epochs has ended, and never again."""

    def __init__(self) -> None:
        self.blocks: list[Any] = []

    def callbacks(self) -> list[Any]:
        """One trial's."""
        import keras

        return [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: self.fill())]

    def fill(self) -> None:
        """Leave as little as said."""
        import jax.numpy as jnp

        if self.blocks:
            return
        while self.free() > LEAVE or not self.blocks:
            self.blocks.append(jnp.ones(BLOCK // 4, "float32").block_until_ready())

    def free(self) -> int:
        """Bytes that are left."""
        import jax

        stats = jax.devices()[0].memory_stats()
        return int(stats["bytes_limit"] - stats["bytes_in_use"])


def _difference(row: _common.Row, roomy: _common.Row | None) -> dict[str, Any]:
    return {} if roomy is None else {"difference": _common.largest_difference(row, roomy, epochs=3)}


def main() -> None:
    """Run the three, and compare."""
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", type=int, default=256)
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    parameters = {"trials": 16 if options.quick else options.trials, "epochs": 3}
    case = f"wide MLP, {parameters['trials']} trials × 3 epochs"
    jobs = [_common.Job(case, name, parameters) for name in _common.chosen(options, WORKERS)]
    rows = _common.run_jobs(__file__, jobs, options)
    roomy = _common.first_row(rows, case, "roomy")
    flats = [_common.flat(row) | _difference(row, roomy) for row in rows]
    table = _common.new_table(case, ["memory", "seconds", "loops", "largest difference to roomy", "said"])
    for row in flats:
        cells = [_common.number(row.get("seconds"), ".1f"), row["engines"]]
        cells.append(_common.number(row.get("difference"), ".1e"))
        table.add_row(row["worker"], *cells, row.get("said") or "–")
    _common.console.print(table)
    _common.print_failures(rows)
    device = next((row["device"] for row in rows if "device" in row), None)
    _common.write(_common.result_name("exhaustion", options), flats, device=device)


if __name__ == "__main__":
    main()
