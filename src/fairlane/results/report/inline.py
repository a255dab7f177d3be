"""A page of HTML → the same page inside a notebook.

In: the page's text. Out: an object that Jupyter, VS Code and Colab show in a frame of its own, which can
neither read the notebook nor load anything.
"""

from __future__ import annotations

import html
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Inline:
    """A page that a notebook shows.

    Attributes:
        page: the text of the page.
        title: what it is about, in words.
        height: of the frame, in pixels.
    """

    page: str
    title: str
    height: int

    def __repr__(self) -> str:
        return f"{self.title}: a page that a notebook shows; study.report('report.html') writes it to a file"

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="{html.escape(self.title)}" srcdoc="{html.escape(self.page)}" '
            'sandbox="allow-scripts allow-downloads" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )
