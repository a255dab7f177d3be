"""Data frames → figures; draws, never computes.

In: frames as `results.frames` and `results.comparison` return them. Out: a ``matplotlib.figure.Figure``
made without pyplot, so that no figure stays registered and neither backend nor settings change.
Matplotlib is imported when a function is called.
"""

from __future__ import annotations

from fairlane.results.plots.ensembles import calibration, ensemble
from fairlane.results.plots.lines import curves, panel, style_legend
from fairlane.results.plots.points import final, paired
from fairlane.results.plots.scatter import sweep
from fairlane.results.plots.searches import (
    contour,
    importances,
    optimization,
    parallel,
    pareto,
    rungs,
    slices,
    varied,
)

__all__ = [
    "calibration",
    "contour",
    "curves",
    "ensemble",
    "final",
    "importances",
    "optimization",
    "paired",
    "panel",
    "parallel",
    "pareto",
    "rungs",
    "slices",
    "style_legend",
    "sweep",
    "varied",
]
