"""Data frames → figures; draws, never computes.

In: frames as `fairlane.frames` and `fairlane.comparison` return them. Out: a ``matplotlib.figure.Figure``
made without pyplot, so that no figure stays registered and neither backend nor settings change.
Matplotlib is imported when a function is called.
"""

from __future__ import annotations

from fairlane.plots.lines import curves
from fairlane.plots.points import final, paired
from fairlane.plots.scatter import sweep

__all__ = ["curves", "final", "paired", "sweep"]
