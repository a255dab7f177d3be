"""The demo's text: both programs are run, and a table and some sentences compare them.

In: the options of ``fairlane demo``. Out: text on a console, and a figure in a file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fairlane.demo.figure import figure
from fairlane.demo.programs import (
    LOGS,
    RATES,
    SCRIPT,
    SEED,
    ScriptRun,
    compare_call,
    compared,
    script_with_alias,
)
from fairlane.demo.task import digits, load
from fairlane.errors import StudyError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fairlane.results.study import Study


def run(data: Path | None, epochs: int, seeds: int, out: Path, console: Console) -> None:
    """Run the demo.

    Args:
        data: a ``.npz`` file with the arrays ``x_train`` and ``y_train``; None for scikit-learn's digits.
        epochs: how long to train.
        seeds: how many replicates Fairlane trains of each learning rate.
        out: where to write the figure.
        console: where to print.

    Raises:
        StudyError: an argument is wrong; before any training.
    """
    _check(epochs, seeds, out)
    task = digits() if data is None else load(data)
    title = f"{task.description} on {task.name}, {epochs} epochs"

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, highlight=False, soft_wrap=True)

    say(f"Two learning rates. {title}.\n")
    say("[bold]1. Keras alone[/], where model_copy is not a copy:\n")
    say(SCRIPT, "cyan")
    with console.status("loading Keras ..."):
        _import_all()
    with console.status("training ..."):
        script = script_with_alias(task, epochs)
    say("[bold]2. Fairlane[/], with the same network, data and seed:\n")
    say(compare_call(seeds), "cyan")
    study, seconds = compared(task, epochs, seeds)
    console.print(table(script, study, seconds))
    say(verdict(script, study))
    figure(script, study.history, title).savefig(out, dpi=150)
    say(f"\nThe curves: {out}")


def _import_all() -> None:
    """Import what is timed later, so that no import is part of a time."""
    import_module("fairlane.running.compare")
    import_module("fairlane.engines.lanes.engine" if _on_jax() else "fairlane.engines.reference")


def _on_jax() -> bool:
    import keras

    return bool(keras.backend.backend() == "jax")


def _check(epochs: int, seeds: int, out: Path) -> None:
    if epochs < 1:
        raise StudyError(f"epochs must be at least 1, not {epochs}")
    if seeds < 1:
        raise StudyError(f"seeds must be at least 1, not {seeds}")
    if out.is_dir():
        raise StudyError(f"{out} is a folder; give the name of a file, such as {out / 'demo.png'}")
    if not out.parent.is_dir():
        raise StudyError(f"there is no folder {out.parent} for {out.name}; create it first")
    if not os.access(out.parent, os.W_OK):
        raise StudyError(f"the folder {out.parent} can't be written to")
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if out.suffix.lstrip(".").lower() not in known:
        raise StudyError(
            f"a figure can't be written as {out.name!r}: the name must end with one of "
            f"{', '.join(f'.{ending}' for ending in known)}"
        )


def table(script: Sequence[ScriptRun], study: Study, seconds: float) -> Table:
    """The last epoch's logs of both programs, and what each of them trained.

    Args:
        script: the two experiments of the script.
        study: Fairlane's.
        seconds: Fairlane's time.
    """
    from rich import box
    from rich.table import Table

    epochs = len(script[0].logs["loss"])
    shown = Table(box=box.SIMPLE_HEAD, title=f"After {epochs} epochs", title_justify="left")
    shown.add_column("learning\nrate")
    for name in LOGS:
        shown.add_column(name.replace("_", "\n"), justify="right")
    shown.add_column("what was trained")

    _section(shown, "the script", sum(one.seconds for one in script))
    for i, one in enumerate(script):
        which = "one network" if i == 0 else "[bold]the same network[/]"
        which += f",\nepochs {i * epochs + 1} to {(i + 1) * epochs}"
        _row(shown, one.learning_rate, [one.logs[name][-1] for name in LOGS], which)
    shown.add_row()
    _section(shown, "Fairlane", seconds)
    for rate, trials in study.trials.groupby("learning_rate", sort=False):
        many = len(trials) > 1
        which = f"{len(trials)} networks (mean)" if many else "its own network"
        _row(
            shown,
            rate,
            [trials[name].mean() for name in LOGS],
            f"{which},\nepochs 1 to {epochs}",
        )
    return shown


def _section(shown: Table, who: str, seconds: float) -> None:
    shown.add_row(f"[bold]{who}[/]", *[""] * len(LOGS), f"in {seconds:.1f} s")


def _row(shown: Table, rate: float, values: Sequence[float], what: str) -> None:
    shown.add_row(f"{rate:g}", *(f"{value:.4f}" for value in values), what)


def verdict(script: Sequence[ScriptRun], study: Study) -> str:
    """In words: where the script's second experiment starts, and where it should start."""
    history = study.history[study.history["seed"] == SEED]
    first, second = (history[history["learning_rate"] == rate] for rate in RATES)
    apart = max(abs(script[0].logs[name][0] - first[name].iloc[0]) for name in LOGS)
    same = "are equal" if apart == 0 else f"differ by at most {apart:.0e}"
    return (
        f"The script's second run starts with a loss of {script[1].logs['loss'][0]:.3f}, "
        f"where its first run ended ({script[0].logs['loss'][-1]:.3f}).\n"
        f"A fresh network starts with {second['loss'].iloc[0]:.3f}.\n"
        f"The first runs of both programs are the same experiment: their logs of the first epoch {same}."
    )
