"""The demo's figure: what the script shows, beside what is true.

In: the logs of both programs. Out: a figure with the learning curves of each, drawn as ``study.plot()`` draws
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairlane.demo.programs import LOGS, METRICS, RATES, SEED, ScriptRun
from fairlane.results import plots
from fairlane.results.plots.colours import GREY, NORMAL, OKABE_ITO, spans_decades
from fairlane.results.plots.panels import heading, logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEXTS = (
    ("What the script shows", "model_copy = model: one network, trained twice"),
    ("What is true", "fairlane.compare: a network for each learning rate"),
)


def figure(script: Sequence[ScriptRun], history: pd.DataFrame, title: str) -> Figure:
    """The curves of both programs, side by side.

    Args:
        script: the two experiments of the script.
        history: Fairlane's, as `Study.history` gives it.
        title: the text above all panels.

    Returns:
        A figure that belongs to no window.
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.5, 6.8), layout="constrained")
    panels = drawn.subplots(len(METRICS), 2, squeeze=False)
    styles: dict[str, dict[str, Any]] = {
        f"learning rate {rate:g}": {"color": colour, "linewidth": 2.5}
        for rate, colour in zip(RATES, OKABE_ITO, strict=False)
    }
    for row, metric in zip(panels, METRICS, strict=True):
        for axes, logs in zip(row, (_history(script), history), strict=True):
            styles |= plots.panel(axes, metric, logs, ["learning_rate"])
        _same_scale(row, metric)
    _words(panels)
    _point_out(panels[0, 0], script[1].logs["loss"], 0.8, "the second run starts\nwhere the first ended")
    second = history[(history["learning_rate"] == RATES[1]) & (history["seed"] == SEED)]
    _point_out(panels[0, 1], list(second["loss"]), 0.99, "the second run starts fresh")
    plots.style_legend(drawn, styles)
    heading(drawn, title)
    return drawn


def _history(script: Sequence[ScriptRun]) -> pd.DataFrame:
    """The script's logs, in the form of `Study.history`."""
    frames = [
        pd.DataFrame({name: run.logs[name] for name in LOGS}).assign(
            trial=number, learning_rate=run.learning_rate, seed=SEED, epoch=range(len(run.logs["loss"]))
        )
        for number, run in enumerate(script)
    ]
    return pd.concat(frames, ignore_index=True)


def _same_scale(row: Sequence[Axes], metric: str) -> None:
    """One scale for both panels of a metric, so that their curves can be compared."""
    values = np.concatenate(
        [np.asarray(line.get_ydata(), dtype=float) for axes in row for line in axes.lines]
    )
    if metric == "loss" and spans_decades(values):
        for axes in row:
            axes.set_ylim(values.min() / 1.2, values.max() * 1.2)
            logarithmic(axes, "y")
        return
    low, high = zip(*(axes.get_ylim() for axes in row), strict=True)
    for axes in row:
        axes.set_ylim(min(low), max(high))


def _words(panels: NDArray[Any]) -> None:
    """The headings of the columns, and each axis's name once."""
    for row, metric in zip(panels, METRICS, strict=True):
        row[0].set_ylabel(metric)
        for axes in row:
            axes.set_title("", loc="left")
    for axes in panels[:-1].flat:
        axes.set_xlabel("")
    for axes, (text, below) in zip(panels[0], _TEXTS, strict=True):
        axes.set_title(f"{text}\n", loc="left", fontsize=NORMAL + 2, fontweight="bold")
        axes.text(0, 1.02, below, transform=axes.transAxes, va="bottom", fontsize=NORMAL - 0.5, color=GREY)


def _point_out(axes: Axes, losses: Sequence[float], height: float, text: str) -> None:
    """An arrow to where the second run starts."""
    axes.annotate(
        text,
        xy=(1, losses[0]),
        xytext=(0.33, height),
        textcoords="axes fraction",
        va="top",
        fontsize=NORMAL - 0.5,
        color=OKABE_ITO[1],
        arrowprops={"arrowstyle": "->", "color": OKABE_ITO[1], "shrinkB": 4},
    )
