"""Claim: halving on lanes takes a small part of the time of Ray Tune's ASHA.

The digits MLP on scikit-learn's digits, batch 32, validation_split 0.2; the learning rate, from 1e-4 to 1e-2
on a logarithmic scale; 64 random variants, at most 27 epochs, one of three goes on. `ray-tune`: Tune's
`ASHAScheduler`, a CPU per trial, a report per epoch, `ray.init` before the clock. `fairlane`: `fl.search`
with ``stop="halving"``. On the clock: all of the search, compilation and Tune's worker processes included.
ASHA decides without waiting for others, so it trains other numbers of epochs: `epochs` has their mean. `best`
is the best last value of those that were trained to their end.

Ray needs its extra for Tune: ``pip install 'ray[tune]'``.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

import _common

PEERS = ("ray-tune", "fairlane")
LOW, HIGH = 1e-4, 1e-2


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Search with one peer."""
    import _data
    import _peers

    x, y = _data.digits()
    _peers.start_backend()
    search = {"ray-tune": _ray_tune, "fairlane": _fairlane}[name](x, y, **parameters)
    start = time.perf_counter()
    curves = search()
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "trials": len(curves),
        "epochs": sum(map(len, curves)) / len(curves),
        "outcomes": [],
        "trained_to_the_end": sum(len(curve) == parameters["epochs"] for curve in curves),
        "best": min(curve[-1] for curve in curves if len(curve) == parameters["epochs"]),
    }


def _ray_tune(x: Any, y: Any, trials: int, epochs: int) -> Any:
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    folder = tempfile.TemporaryDirectory()

    def search() -> list[list[float]]:
        with_data = tune.with_parameters(_ray_trial, x=x, y=y, epochs=epochs)
        tuner = tune.Tuner(
            tune.with_resources(with_data, {"cpu": 1}),
            param_space={"learning_rate": tune.loguniform(LOW, HIGH)},
            tune_config=tune.TuneConfig(
                metric="val_loss",
                mode="min",
                num_samples=trials,
                reuse_actors=True,
                scheduler=ASHAScheduler(max_t=epochs, grace_period=1, reduction_factor=3),
            ),
            run_config=tune.RunConfig(storage_path=folder.name, name="trials", verbose=0),
        )
        results = tuner.fit()
        return [[float(value) for value in result.metrics_dataframe["val_loss"]] for result in results]

    return search


def _ray_trial(config: dict[str, Any], x: Any, y: Any, epochs: int) -> None:
    import keras
    from ray import tune

    import _models

    keras.utils.set_random_seed(0)
    model = _models.digits_mlp(**config)
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tune.report({"val_loss": float(logs["val_loss"])})
    )
    model.fit(x, y, validation_split=0.2, batch_size=32, epochs=epochs, verbose=0, callbacks=[report])


def _fairlane(x: Any, y: Any, trials: int, epochs: int) -> Any:
    import _models
    import fairlane as fl

    def search() -> list[list[float]]:
        study = fl.search(
            _models.digits_mlp,
            {"learning_rate": fl.Float(LOW, HIGH, log=True)},
            x,
            y,
            trials=trials,
            epochs=epochs,
            sampler="random",
            stop="halving",
            validation_split=0.2,
            batch_size=32,
            verbose=0,
        )
        curves = study.history.sort_values("epoch").groupby("trial")["val_loss"]
        return [[float(value) for value in values] for _, values in curves]

    return search


def main() -> None:
    """Run both side by side."""
    options = _common.parser(__doc__).parse_args()
    if _common.served(options, worker):
        return
    trials, epochs = (4, 3) if options.quick else (64, 27)
    jobs = [
        _common.Job(
            f"{trials} variants × up to {epochs} epochs, one of three goes on",
            peer,
            {"trials": trials, "epochs": epochs},
        )
        for peer in _common.chosen(options, PEERS)
    ]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.report("asha", "digits MLP", rows, options, same=("ray-tune",), data="scikit-learn's digits")


if __name__ == "__main__":
    main()
