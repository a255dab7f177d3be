"""``fairlane demo``: the mistake that Fairlane exists for, made with Keras alone, then made right.

In: images, or scikit-learn's digits. Out: what two learning rates seem to give when
``model_copy = model`` is taken for a copy, what they do give, a table of both, and a figure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlane.errors import StudyError

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.table import Table

    from fairlane.results.study import Study

RATES = (1e-3, 1e-4)
SEED = 0
VALIDATION_SPLIT = 0.2
METRICS = ("loss", "accuracy")
LOGS = ("loss", "accuracy", "val_loss", "val_accuracy")

_MNIST_PIXELS = 28 * 28
_FEWEST_IMAGES = 10
_COLOURS = ("#0072B2", "#D55E00")  # Okabe and Ito's blue and vermilion
_LINES = {"": ("dashed", "training"), "val_": ("solid", "validation")}
_DECADES = 1.5


def run(data: Path | None, epochs: int, seeds: int, out: Path, console: Console) -> None:
    """Tell the whole story.

    Args:
        data: a ``.npz`` file with the arrays ``x_train`` and ``y_train``; None takes scikit-learn's
            digits.
        epochs: how long to train.
        seeds: how many replicates Fairlane trains of each learning rate.
        out: where to write the figure.
        console: where to print.

    Raises:
        StudyError: one of the arguments can't be used; before any training.
    """
    _check(epochs, seeds, out)
    task = digits() if data is None else load(data)
    title = f"{task.description} on {task.name}, {epochs} epochs"

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, highlight=False, soft_wrap=True)

    say(f"Two learning rates. {title}.\n")
    say("[bold]1. Keras alone[/], with a copy that is none:\n")
    say(_SCRIPT, "cyan")
    with console.status("loading Keras ..."):
        _import_all()
    with console.status("training ..."):
        script = script_with_alias(task, epochs)
    say("[bold]2. Fairlane[/], with the same network, data and seed:\n")
    say(_compare_call(seeds), "cyan")
    study, seconds = compared(task, epochs, seeds)
    console.print(table(script, study, seconds))
    say(verdict(script, study))
    figure(script, study.history, title).savefig(out, dpi=150)
    say(f"\nThe curves: {out}")


def _import_all() -> None:
    """Import what is timed later, so that imports are on nobody's clock."""
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
        raise StudyError(f"there is no folder {out.parent} to write {out.name} into; make it first")
    if not os.access(out.parent, os.W_OK):
        raise StudyError(f"the folder {out.parent} can't be written to")
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if out.suffix.lstrip(".").lower() not in known:
        raise StudyError(
            f"a figure can't be written as {out.name!r}: the name must end with one of "
            f"{', '.join(f'.{ending}' for ending in known)}"
        )


# The task


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be learnt, and by which network.

    Attributes:
        name: of the data, for messages.
        description: of the network, for messages.
        x: images, shape ``(images, pixels)``, float32.
        y: their classes, shape ``(images,)``.
        hidden: units and dropout rate of each hidden layer.
        batch_size: for ``fit``.
    """

    name: str
    description: str
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    hidden: tuple[tuple[int, float], ...]
    batch_size: int

    def network(self) -> keras.Model:
        """A fresh network, not compiled."""
        import keras

        layers = [keras.Input((self.x.shape[1],))]
        for units, rate in self.hidden:
            layers += [keras.layers.Dense(units, "relu"), keras.layers.Dropout(rate)]
        classes = int(self.y.max()) + 1
        return keras.Sequential([*layers, keras.layers.Dense(classes, "softmax")])

    def compiled(self, model: keras.Model, learning_rate: float) -> keras.Model:
        """The same model, compiled."""
        import keras

        model.compile(
            optimizer=keras.optimizers.RMSprop(learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    def fit_arguments(self, epochs: int) -> dict[str, Any]:
        """What ``fit`` is called with, but for the data."""
        return {
            "epochs": epochs,
            "batch_size": self.batch_size,
            "validation_split": VALIDATION_SPLIT,
        }


def digits() -> Task:
    """scikit-learn's 1,797 digits of 8 × 8 pixels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return _task("scikit-learn's digits", (x / 16).astype("float32"), y)


def load(path: Path) -> Task:
    """A task from a file.

    Args:
        path: a ``.npz`` file with ``x_train``, shape ``(images, ...)``, and ``y_train``, the
            classes as integers from 0. Bytes are taken for pixels from 0 to 255 and scaled to
            0 ... 1.

    Raises:
        StudyError: there is no such file, or it does not hold that.
    """
    arrays = _arrays(path, ("x_train", "y_train"))
    x, y = arrays["x_train"], arrays["y_train"]
    if x.ndim < 2 or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise StudyError(
            f"x_train in {path} must hold numbers, of shape (images, ...); "
            f"it has {x.dtype} of shape {x.shape}"
        )
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise StudyError(
            f"y_train in {path} must hold one integer per image, {len(x)} in all; "
            f"it has {y.dtype} of shape {y.shape}"
        )
    if len(x) < _FEWEST_IMAGES:
        raise StudyError(f"{path} has only {len(x)} images; {_FEWEST_IMAGES} are needed")
    if y.min() < 0:
        raise StudyError(f"y_train in {path} must hold classes from 0 on; it has {y.min()}")
    scale = 255 if x.dtype == np.uint8 else 1
    return _task(path.name, (x.reshape(len(x), -1) / scale).astype("float32"), y)


def _arrays(path: Path, names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    if not path.is_file():
        raise StudyError(f"there is no file {path}")
    try:
        with path.open("rb") as file:
            loaded = np.load(file)
            there = getattr(loaded, "files", None)
            if there is not None and set(names) <= set(there):
                return {name: loaded[name] for name in names}
    except Exception as error:
        raise StudyError(f"{path} can't be read as a .npz file: {error}") from error
    if there is None:
        raise StudyError(f"{path} holds a single array; give a .npz file with {' and '.join(names)}")
    missing = " and ".join(name for name in names if name not in there)
    raise StudyError(f"{path} has no array {missing}; it has {', '.join(there) or 'none at all'}")


def _task(name: str, x: NDArray[np.float32], y: NDArray[np.int64]) -> Task:
    if x.shape[1] == _MNIST_PIXELS:
        hidden, batch_size = ((256, 0.4), (128, 0.3)), 128
    else:
        hidden, batch_size = ((64, 0.3), (64, 0.3)), 32
    sizes = "-".join(str(n) for n in (x.shape[1], *(units for units, _ in hidden), y.max() + 1))
    return Task(name, f"A dense network, {sizes},", x, y, hidden, batch_size)


# The two programs


@dataclass(frozen=True, eq=False)
class ScriptRun:
    """One of the experiments that the script believes to make.

    Attributes:
        learning_rate: its learning rate.
        logs: Keras's ``History.history``.
        seconds: that its ``fit`` took.
    """

    learning_rate: float
    logs: Mapping[str, Sequence[float]]
    seconds: float


_SCRIPT = """\
    for learning_rate in (0.001, 0.0001):
        model_copy = model                        # a second name, not a second model
        model_copy.compile(RMSprop(learning_rate), ...)
        model_copy.fit(x, y, ...)
"""


def _compare_call(seeds: int) -> str:
    more = f", seeds={seeds}" if seeds > 1 else ""
    return f'    fairlane.compare(build, {{"learning_rate": [0.001, 0.0001]}}, x, y{more}, ...)\n'


def script_with_alias(task: Task, epochs: int) -> list[ScriptRun]:
    """The mistake: one network under two names, trained twice as long, shown as two experiments."""
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
    """What the script was meant to do: a network of its own for each learning rate.

    Returns:
        The study, and the seconds that it took.
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


# What came out


def table(script: Sequence[ScriptRun], study: Study, seconds: float) -> Table:
    """The last epoch's logs of both programs, and what each really trained.

    Args:
        script: the two experiments of the script.
        study: Fairlane's.
        seconds: that Fairlane took.
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
    """In words: where the script's second experiment begins, and where it would have to."""
    history = study.history[study.history["seed"] == SEED]
    first, second = (history[history["learning_rate"] == rate] for rate in RATES)
    apart = max(abs(script[0].logs[name][0] - first[name].iloc[0]) for name in LOGS)
    same = "equal" if apart == 0 else f"equal to {apart:.0e}"
    return (
        f"The script's second run begins with a loss of {script[1].logs['loss'][0]:.3f}, "
        f"where its first ended ({script[0].logs['loss'][-1]:.3f}).\n"
        f"A network of its own begins with {second['loss'].iloc[0]:.3f}.\n"
        f"The first runs of both are one experiment: their logs of the first epoch are {same}."
    )


def figure(script: Sequence[ScriptRun], history: pd.DataFrame, title: str) -> Figure:
    """The curves side by side: what the script shows, and what is true.

    Args:
        script: the two experiments of the script.
        history: Fairlane's, as `Study.history` gives it.
        title: above all.

    Returns:
        A figure that belongs to no window.
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.5, 6.8), layout="constrained")
    panels = drawn.subplots(len(METRICS), 2, sharex=True, sharey="row", squeeze=False)
    for row, metric in zip(panels, METRICS, strict=True):
        for one, colour in zip(script, _COLOURS, strict=True):
            _curves(row[0], metric, one.logs, colour, many=False)
        for rate, colour in zip(RATES, _COLOURS, strict=True):
            trials = history[history["learning_rate"] == rate].groupby("trial")
            for _, logs in trials:
                _curves(row[1], metric, logs, colour, many=trials.ngroups > 1)
        row[0].set_ylabel(metric)
        for axes in row:
            _dress(axes)
    _scale(panels[0, 0], panels[0, 1])
    _headings(panels)
    begun = script[1].logs["loss"]
    _point_out(panels[0, 0], begun, 0.8, "the second run begins\nwhere the first ended")
    slow = history[(history["learning_rate"] == RATES[1]) & (history["seed"] == SEED)]
    _point_out(panels[0, 1], list(slow["loss"]), 0.99, "the second run begins anew")
    _legend(drawn)
    drawn.suptitle(title, fontsize=11)
    return drawn


def _curves(axes: Axes, metric: str, logs: Mapping[str, Sequence[float]], colour: str, many: bool) -> None:
    for prefix, (dashes, _) in _LINES.items():
        values = list(logs[prefix + metric])
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=colour,
            linestyle=dashes,
            linewidth=0.8 if many else 1.7,
            alpha=0.6 if many else 1.0,
            marker="o" if len(values) == 1 else None,
        )


def _dress(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(left=0.5)  # there is no epoch 0 to have a tick
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.grid(True, color="0.3", alpha=0.15, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, labelleft=True)


def _scale(*panels: Axes) -> None:
    """A logarithmic axis for the loss where it spans decades."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    values = np.concatenate([line.get_ydata() for axes in panels for line in axes.lines])
    low, high = np.min(values), np.max(values)
    if not 0 < low < high < np.inf or np.log10(high / low) < _DECADES:
        return
    for axes in panels:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _headings(panels: NDArray[Any]) -> None:
    texts = (
        ("What the script shows", "model_copy = model: one network, trained twice"),
        ("What is true", "fairlane.compare: a network for each learning rate"),
    )
    for axes, (heading, below) in zip(panels[0], texts, strict=True):
        axes.set_title(f"{heading}\n", loc="left", fontsize=12, fontweight="bold")
        axes.text(0, 1.02, below, transform=axes.transAxes, va="bottom", fontsize=9.5, color="0.3")
    for axes in panels[-1]:
        axes.set_xlabel("epoch")


def _point_out(axes: Axes, losses: Sequence[float], height: float, text: str) -> None:
    axes.annotate(
        text,
        xy=(1, losses[0]),
        xytext=(0.33, height),
        textcoords="axes fraction",
        va="top",
        fontsize=9.5,
        color=_COLOURS[1],
        arrowprops={"arrowstyle": "->", "color": _COLOURS[1], "shrinkB": 4},
    )


def _legend(drawn: Figure) -> None:
    from matplotlib.lines import Line2D

    rates = [
        (Line2D([], [], color=colour, linewidth=2.5), f"learning rate {rate:g}")
        for rate, colour in zip(RATES, _COLOURS, strict=True)
    ]
    styles = [
        (Line2D([], [], color="0.3", linestyle=dashes, linewidth=1.7), name)
        for dashes, name in _LINES.values()
    ]
    handles, labels = zip(*rates, *styles, strict=True)
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, handlelength=3, frameon=False)
