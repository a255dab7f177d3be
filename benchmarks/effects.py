"""Claim: the gain has three causes, told apart here: compile once, whole epochs, lanes.

The same trials in four ways, without validation so that they compare:

1. ``loop``: build, compile and fit anew per trial, as in Keras.
2. ``compile-once``: one Keras train step, compiled once by ``jax.jit``, is dispatched per batch
   from Python; the trials only swap their state.
3. ``whole-epochs``: that step inside ``jax.lax.scan``, one dispatch per epoch, still a trial at a
   time.
4. ``lanes``: Fairlane.

Every stage builds every model (its initial weights come from there) and trains the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import _common
import _data

STAGES = ("loop", "compile-once", "whole-epochs", "lanes")

State = tuple[Any, Any, Any, Any]
TrainEpoch = Callable[[State, Any], tuple[dict[str, Any], State]]


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train the trials in one of the four ways."""
    import _peers
    import _tasks

    stages: dict[str, Any] = {
        "loop": _peers.keras_loop,
        "compile-once": partial(by_state, make=step_by_step),
        "whole-epochs": partial(by_state, make=by_epoch),
        "lanes": _peers.fairlane,
    }
    make = getattr(_tasks, parameters.pop("task"))
    return _peers.measure(stages[name], make(validation=False, **parameters))


def by_state(task: Any, make: Callable[[Any, Any], TrainEpoch]) -> Callable[[], Any]:
    """Stages 2 and 3: one template's train step for all trials, whose states are swapped in."""
    import jax  # noqa: F401  (before the clock)
    import keras
    import numpy as np

    import _peers

    _peers.start_backend()

    def run() -> Callable[[], Any]:
        template = _template(task)
        train_epoch = make(template, task)
        zeros = [np.zeros(v.shape, v.dtype) for v in template.metrics_variables]
        done = []
        for hyperparameters, seed in task.trials():
            keras.utils.set_random_seed(seed)
            model = task.build(**hyperparameters)
            np.random.permutation(len(task.x))  # noqa: NPY002  (fit's own build draws one, too)
            state = _state(model)
            epochs = []
            for _ in range(task.fit["epochs"]):
                order = np.random.permutation(len(task.x))  # noqa: NPY002  (the order of fit)
                logs, state = train_epoch((*state[:3], zeros), order)
                epochs.append({name: float(value) for name, value in logs.items()})
            done.append(_peers.outcome(hyperparameters, seed, epochs))
        return lambda: done

    return run


def step_by_step(template: Any, task: Any) -> TrainEpoch:
    """Stage 2: the compiled step, dispatched per batch."""
    import jax

    step = jax.jit(template.train_step, donate_argnums=0)
    size = task.fit["batch_size"]

    def train_epoch(state: State, order: Any) -> tuple[dict[str, Any], State]:
        logs: dict[str, Any] = {}
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            logs, state = step(state, (task.x[batch], task.y[batch]))
        return logs, state

    return train_epoch


def by_epoch(template: Any, task: Any) -> TrainEpoch:
    """Stage 3: a scan over the full batches, and the partial one after it, in one program."""
    import jax

    size = task.fit["batch_size"]
    full = len(task.x) // size * size
    x, y = jax.device_put((task.x, task.y))

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: State, x: Any, y: Any, order: Any) -> tuple[dict[str, Any], State]:
        def step(state: State, batch: Any) -> tuple[State, dict[str, Any]]:
            logs, state = template.train_step(state, (x[batch], y[batch]))
            return state, logs

        state, every = jax.lax.scan(step, state, order[:full].reshape(-1, size))
        logs = {name: values[-1] for name, values in every.items()}
        if full < len(order):
            state, logs = step(state, order[full:])
        return logs, state

    def train_epoch(state: State, order: Any) -> tuple[dict[str, Any], State]:
        return epoch(state, x, y, order.astype("int32"))

    return train_epoch


def _template(task: Any) -> Any:
    """A model with its optimizer's and metrics' variables made, of which only the step is used."""
    model = task.build(**next(iter(task.trials()))[0])
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(task.x[:2], task.y[:2], model(task.x[:2]))
    return model


def _state(model: Any) -> State:
    """A fresh model's state as arrays of its own; the metrics' part is the template's."""
    model.optimizer.build(model.trainable_variables)
    return (
        _values(model.trainable_variables),
        _values(model.non_trainable_variables),
        _values(model.optimizer.variables),
        None,
    )


def _values(variables: Iterable[Any]) -> list[Any]:
    return [variable.value for variable in variables]


def main() -> None:
    """Run the four stages side by side."""
    parser = _common.parser(__doc__)
    parser.add_argument("--trials", default="8,64", help="N,N: sizes of the digits study")
    parser.add_argument("--epochs", type=int, default=20, help="for digits")
    parser.add_argument("--mnist-epochs", type=int, default=3, help="0 leaves MNIST out")
    parser.add_argument("--data", help="an .npz file with x_train and y_train")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    if options.quick:
        options.trials, options.epochs = "2", 2
        options.mnist_epochs = min(options.mnist_epochs, 1)
    data = _data.kind(options.data)
    cases: dict[str, dict[str, Any]] = {
        f"digits, {n} trials × {options.epochs} epochs": {
            "task": "digits",
            "trials": n,
            "epochs": options.epochs,
        }
        for n in map(int, options.trials.split(","))
    }
    if options.mnist_epochs:
        cases[f"MNIST MLP, 2 trials × {options.mnist_epochs} epochs"] = {
            "task": "mnist",
            "epochs": options.mnist_epochs,
            "data": options.data,
        }
    _common.console.print(f"data of the MNIST MLP: {data}")
    stages = _common.chosen(options, STAGES)
    jobs = [_common.Job(case, s, parameters) for case, parameters in cases.items() for s in stages]
    rows = _common.run_jobs(__file__, jobs, options)
    flats = _common.report("effects", "effects", rows, options, same=STAGES, base="lanes", data=data)
    for case in cases:
        _print_steps(case, [r for r in flats if r["case"] == case], stages)


def _print_steps(case: str, rows: list[_common.Row], stages: list[str]) -> None:
    table = _common.new_table(
        f"gain by step: {case}", ["stage", "seconds", "× the stage before", "× the loop"]
    )
    times = [_common.median_of([r for r in rows if r["worker"] == s], "seconds") for s in stages]
    for stage, before, mine in zip(stages, [None, *times], times, strict=False):
        table.add_row(
            stage,
            _common.number(mine, ".2f"),
            _common.number(before / mine if before and mine else None, ".2f"),
            _common.number(times[0] / mine if times[0] and mine else None, ".2f"),
        )
    _common.console.print(table)


if __name__ == "__main__":
    main()
