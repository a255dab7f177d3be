"""Docstrings, as the reference shows them: an extension of griffe, which reads them.

In: docstrings in the style of the source, where a single pair of backticks names something public, and
examples stand under ``Example:``. Out: what mkdocstrings understands: names that the reference has an entry
for are links to it, and examples are sections of code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

PAGES = Path(__file__).parents[1] / "api"
ENTRY = re.compile(r"^::: (?P<name>[\w.]+)$", re.MULTILINE)
MEMBERS = re.compile(r"^::: (?P<name>[\w.]+)\n    options:\n(?P<options>(?: {6}.*\n)+)", re.MULTILINE)
MEMBER = re.compile(r"^ +- (?P<name>\w+)$", re.MULTILINE)
NAME = re.compile(r"(?<!`)`(?P<name>[A-Za-z_][\w.]*)`(?!`)")
EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)


def entries() -> dict[str, str]:
    """The public names that the pages have an entry for: as docstrings call them, and in full."""
    names = [name for page in sorted(PAGES.glob("*.md")) for name in ENTRY.findall(page.read_text("utf-8"))]
    short = {name.rpartition(".")[2]: name for name in names}
    return short | {name.removeprefix("fairlane."): name for name in names} | {name: name for name in names}


def members() -> dict[str, str]:
    """The members that the pages list, by name, in full: also those from parts of a class."""
    pages = [page.read_text("utf-8") for page in sorted(PAGES.glob("*.md"))]
    lists = [(found["name"], found["options"]) for text in pages for found in MEMBERS.finditer(text)]
    return {name: f"{owner}.{name}" for owner, options in lists for name in MEMBER.findall(options)}


class Docstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def __init__(self) -> None:
        super().__init__()
        self._entries = entries()
        self._members = members()

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one."""
        if obj.docstring is not None:
            text = EXAMPLE.sub("Examples:", obj.docstring.value)
            obj.docstring.value = NAME.sub(lambda found: self._reference(found["name"], obj), text)

    def _reference(self, name: str, obj: griffe.Object) -> str:
        """A name as a link, where it has an entry: its own, or in that of its class."""
        place = self._entries.get(name)
        owner, _, member = name.rpartition(".")
        if not owner and obj.parent is not None and obj.parent.is_class and member in obj.parent.members:
            place = f"{obj.parent.path}.{member}"
        elif not owner and obj.parent is not None and obj.parent.is_class and place is None:
            place = self._members.get(member)
        elif place is None and owner in self._entries:
            place = f"{self._entries[owner]}.{member}"
        return f"`{name}`" if place is None else f"[`{name}`][{place}]"
