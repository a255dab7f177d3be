"""Draws the images of README.md, with the library and with the README's own code.

    python docs/make_images.py

`compare.png` is what the README's first example plots, and `demo.png` is the figure of ``fairlane demo``.
"""

import re
from pathlib import Path

from rich.console import Console

from fairlane import demo

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
DPI = 110


def first_example() -> str:
    """The README's first block of Python."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block is not None, "README.md has no Python example"
    return block[1]


def draw_compare() -> None:
    """Run the README's first example, and save what it plots."""
    names: dict[str, object] = {}
    exec(compile(first_example(), "README.md", "exec"), names)
    names["study"].plot().savefig(IMAGES / "compare.png", dpi=DPI)  # type: ignore[attr-defined]
    print(names["study"])


def main() -> None:
    """Draw all."""
    IMAGES.mkdir(exist_ok=True)
    draw_compare()
    demo.run(None, epochs=30, seeds=1, out=IMAGES / "demo.png", console=Console())


if __name__ == "__main__":
    main()
