"""The figure that all plots draw on: matplotlib's own, which a notebook shows.

In: nothing. Out: a class. A figure that was made without pyplot is only a line of text in Jupyter, VS Code
and Colab, unless pyplot was used before; this one is a picture there. Matplotlib is imported with this
module, which functions import when they are called.
"""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A ``matplotlib.figure.Figure`` with a picture for notebooks.

    Example:
        >>> ShownFigure(figsize=(1, 1))._repr_png_()[1:4]
        b'PNG'
    """

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        options: dict[str, Any] = {} if self.get_layout_engine() else {"bbox_inches": "tight"}
        self.savefig(file, format="png", **options)
        return file.getvalue()
