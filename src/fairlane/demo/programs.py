"""The demo's two programs: a script that trains one network twice, and what it was meant to do.

In: a `Task`. Out: what each program logs, and the seconds that it takes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlane.demo.task import Task

if TYPE_CHECKING:
    import keras

    from fairlane.results.study import Study

RATES = (1e-3, 1e-4)
SEED = 0
METRICS = ("loss", "accuracy")
LOGS = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, eq=False)
class ScriptRun:
    """One of the two experiments in the script.

    Attributes:
        learning_rate: the experiment's.
        logs: Keras's ``History.history``.
        seconds: the time of its ``fit``.
    """

    learning_rate: float
    logs: Mapping[str, Sequence[float]]
    seconds: float


SCRIPT = """\
    for learning_rate in (0.001, 0.0001):
        model_copy = model                        # a second name, not a second model
        model_copy.compile(RMSprop(learning_rate), ...)
        model_copy.fit(x, y, ...)
"""


def compare_call(seeds: int) -> str:
    """The call of ``fairlane.compare``, as text.

    Args:
        seeds: how many replicates.
    """
    more = f", seeds={seeds}" if seeds > 1 else ""
    return f'    fairlane.compare(build, {{"learning_rate": [0.001, 0.0001]}}, x, y{more}, ...)\n'


def script_with_alias(task: Task, epochs: int) -> list[ScriptRun]:
    """The mistake: one network under two names, trained twice as long, looks like two experiments.

    Args:
        task: the data and the network.
        epochs: how long to train each.
    """
    from fairlane.models.session import Session

    runs = []
    with Session(SEED):  # keras.utils.set_random_seed(SEED), without a trace left in this session
        model = task.network()
        for learning_rate in RATES:
            model_copy = model
            task.compiled(model_copy, learning_rate)
            began = time.perf_counter()
            history = model_copy.fit(task.x, task.y, verbose=0, **task.fit_arguments(epochs))
            seconds = time.perf_counter() - began
            runs.append(ScriptRun(learning_rate, history.history, seconds))
    return runs


def compared(task: Task, epochs: int, seeds: int) -> tuple[Study, float]:
    """What the script was meant to do: a new network for each learning rate.

    Args:
        task: the data and the network.
        epochs: how long to train.
        seeds: how many replicates to train of each learning rate.

    Returns:
        The study, and its time in seconds.
    """
    from fairlane.running.compare import compare

    def build(learning_rate: float) -> keras.Model:
        return task.compiled(task.network(), learning_rate)

    began = time.perf_counter()
    study = compare(
        build,
        {"learning_rate": RATES},
        task.x,
        task.y,
        seeds=[SEED + i for i in range(seeds)],
        on_error="raise",
        **task.fit_arguments(epochs),
    )
    if (study.trials["state"] == "interrupted").any():
        raise KeyboardInterrupt
    return study, time.perf_counter() - began
