"""The peers: each trains the trials of one task, the way its own users would.

A peer has three stages. ``peer(task)`` imports and loads (before the clock), and returns ``run``;
``run()`` builds, compiles and trains every trial (the clock), and returns ``collect``;
``collect()`` turns what came out into outcomes (after the clock). Imported by workers only.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from _tasks import Task

Logs = dict[str, float]
Outcome = dict[str, Any]
Collect = Callable[[], list[Outcome]]
Run = Callable[[], Collect]
Peer = Callable[[Task], Run]

FIRST_EPOCHS = 3


def measure(peer: Peer, task: Task) -> dict[str, Any]:
    """Run a peer, and tell its seconds, its peak memory and what came of each trial.

    Processor seconds are of this process alone, without those that Ray starts.
    """
    run = peer(task)
    before = _peak_mb()
    start, spent = time.perf_counter(), time.process_time()
    collect = run()
    seconds, spent = time.perf_counter() - start, time.process_time() - spent
    peak = _peak_mb()
    outcomes = collect()
    return {
        "seconds": seconds,
        "processor_seconds": spent,
        "peak_rss_mb": peak,
        "start_rss_mb": before,
        "trials": len(outcomes),
        "epochs": task.fit["epochs"],
        "device": _device(),
        "outcomes": outcomes,
    }


def outcome(
    hyperparameters: Mapping[str, Any], seed: int, epochs: Iterable[Mapping[str, Any]], **more: Any
) -> Outcome:
    """One trial's hyperparameters and seed, its first epochs' logs and its last."""
    logs = [{k: float(v) for k, v in epoch.items()} for epoch in epochs]
    return {
        "hyperparameters": dict(hyperparameters),
        "seed": int(seed),
        "first": logs[:FIRST_EPOCHS],
        "final": logs[-1],
        **more,
    }


def keras_loop(task: Task) -> Run:
    """The three lines that a careful user of Keras writes, once per trial; any backend."""
    import keras

    start_backend()

    def run() -> Collect:
        done = []
        for hyperparameters, seed in task.trials():
            keras.utils.set_random_seed(seed)
            model = task.build(**hyperparameters)
            history = model.fit(task.x, task.y, verbose=0, **task.fit)
            done.append(outcome(hyperparameters, seed, _rows(history.history)))
        return lambda: done

    return run


def keras_tuner(task: Task) -> Run:
    """KerasTuner's grid search over the same trials; the seed is one more choice of the grid."""
    import keras
    import keras_tuner

    start_backend()
    folder = tempfile.TemporaryDirectory()
    monitor = "val_loss" if "validation_split" in task.fit else "loss"
    choices: dict[str, list[Any]] = {**task.grid, "seed": task.seeds}
    done: list[Outcome] = []

    class Trials(keras_tuner.HyperModel):  # type: ignore[misc]
        def build(self, hp: Any) -> Any:
            values = {name: hp.Choice(name, options) for name, options in choices.items()}
            keras.utils.set_random_seed(values.pop("seed"))
            return task.build(**values)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            history = model.fit(*args, **kwargs)
            values = {name: hp.get(name) for name in task.grid}
            done.append(outcome(values, hp.get("seed"), _rows(history.history)))
            return history

    def run() -> Collect:
        tuner = keras_tuner.GridSearch(
            Trials(),
            objective=keras_tuner.Objective(monitor, "min"),
            max_trials=len(list(task.trials())),
            executions_per_trial=1,
            directory=folder.name,
            project_name="trials",
        )
        tuner.search(task.x, task.y, verbose=0, **task.fit)
        return collect

    def collect() -> list[Outcome]:
        folder.cleanup()
        return done

    return run


def ray_tune(task: Task) -> Run:
    """Ray Tune's grid search, a CPU per trial, reports per epoch; ``ray.init`` before the clock."""
    import keras  # noqa: F401  (as the driver of a user would)
    import ray
    from ray import tune

    folder = tempfile.TemporaryDirectory()
    ray.init(
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    trainable = partial(_ray_trial, build=task.build, fit=task.fit)
    space: dict[str, list[Any]] = {**task.grid, "seed": task.seeds}

    def run() -> Collect:
        with_data = tune.with_parameters(trainable, x=task.x, y=task.y)
        tuner = tune.Tuner(
            tune.with_resources(with_data, {"cpu": 1}),
            param_space={name: tune.grid_search(values) for name, values in space.items()},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder.name, name="trials", verbose=0),
        )
        results = tuner.fit()
        return partial(collect, results)

    def collect(results: Any) -> list[Outcome]:
        done = []
        for result in results:
            if result.error:
                raise result.error
            config = dict(result.config)
            seed = config.pop("seed")
            frame = result.metrics_dataframe
            names = [n for n in frame.columns if n.removeprefix("val_") in ("loss", "accuracy")]
            done.append(outcome(config, seed, frame[names].to_dict("records")))
        ray.shutdown()
        folder.cleanup()
        return done

    return run


def _ray_trial(
    config: dict[str, Any], build: Callable[..., Any], fit: dict[str, Any], x: Any, y: Any
) -> None:
    import keras
    from ray import tune

    hyperparameters = dict(config)
    keras.utils.set_random_seed(hyperparameters.pop("seed"))
    model = build(**hyperparameters)
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tune.report({k: float(v) for k, v in logs.items()})
    )
    model.fit(x, y, verbose=0, callbacks=[report], **fit)


def fairlane(task: Task, engine: str = "auto") -> Run:
    """``fairlane.compare``; every history is in hand when the clock stops."""
    import fairlane as fl

    _ = fl.compare  # the public names load when first used: an import, so before the clock
    start_backend()

    def run() -> Collect:
        study = fl.compare(
            task.build,
            task.grid,
            task.x,
            task.y,
            seeds=task.seeds,
            engine=engine,
            on_error="raise",
            verbose=0,
            **task.fit,
        )
        history = study.history
        return lambda: fairlane_outcomes(task, study, history)

    return run


def fairlane_outcomes(task: Task, study: Any, history: Any) -> list[Outcome]:
    """The rows of ``study.history`` as outcomes, with the engine and loop that ran each."""
    about = study.trials.set_index("trial") if "trial" in study.trials else study.trials
    done = []
    for number, rows in history.groupby("trial", sort=True):
        rows = rows.sort_values("epoch")
        names = [n for n in rows.columns if n.removeprefix("val_") in ("loss", "accuracy")]
        more = {k: str(about.loc[number, k]) for k in ("engine", "loop") if k in about}
        values = {name: float(rows[name].iloc[0]) for name in task.grid}
        done.append(outcome(values, int(rows["seed"].iloc[0]), rows[names].to_dict("records"), **more))
    return done


PEERS: dict[str, Peer] = {
    "keras-jax": keras_loop,
    "keras-tensorflow": keras_loop,
    "keras-torch": keras_loop,
    "keras-tuner": keras_tuner,
    "ray-tune": ray_tune,
    "fairlane": fairlane,
    "fairlane-reference": partial(fairlane, engine="reference"),
    "fairlane-lanes": partial(fairlane, engine="lanes"),
}


def _rows(history: Mapping[str, list[float]]) -> list[Logs]:
    """Keras's history, a list per metric, as a dict per epoch."""
    return [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]


def start_backend() -> None:
    """Make the backend find its devices, and Keras load what seeding needs: imports, all of it."""
    import keras

    keras.utils.set_random_seed(0)
    keras.ops.convert_to_numpy(keras.ops.zeros(1))


def _peak_mb() -> float:
    """The largest resident set that this process has had; children are the parent's to watch."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _device() -> str:
    import keras

    if keras.backend.backend() != "jax":
        return "default"
    import jax

    return str(jax.devices()[0].device_kind)
