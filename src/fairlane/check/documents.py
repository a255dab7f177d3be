"""R Markdown, Quarto and Markdown → the texts in them.

In: a document. Out: a `Unit` for its R and one for its Python, as long as the document, so that every
line keeps its number. Chunks that are not run are left out, and one that can't be read is left out alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fairlane.check.pieces import Pieces
from fairlane.check.texts import Unit

_FENCE = re.compile(r"^(?P<indent>[ \t>]*)(?P<ticks>`{3,}|~{3,})\s*(?P<info>.*?)\s*$")
_CHUNK = re.compile(r"\{\s*(?P<language>[\w-]+)(?P<options>[^}]*)\}\s*(?P<kernel>\w*)$")
_BLOCK = re.compile(r"(?:\{\s*\.)?(?P<language>\w+)")
_NOT_RUN = re.compile(r"eval\s*=\s*(FALSE|F)\b|^\s*#\|\s*eval:\s*(false|no)\b", re.IGNORECASE)
_LANGUAGES = {
    "python": "python",
    "python3": "python",
    "py": "python",
    "pycon": "python",
    "ipython": "python",
    "ipython3": "python",
    "r": "r",
}


@dataclass(frozen=True, slots=True)
class _Chunk:
    language: str
    first: int
    lines: list[str]
    note: str


def units(name: str, text: str, markdown: bool) -> list[Unit]:
    """The texts of a document.

    Args:
        name: how to call it.
        text: the document.
        markdown: whether plain blocks of code (```` ```python ````) count, too. They need not be one program.

    Returns:
        one for each language in it.
    """
    pieces: dict[str, Pieces] = {}
    blocks: dict[str, list[int]] = {}
    for chunk in _chunks(text.split("\n"), markdown):
        pieces.setdefault(chunk.language, Pieces(chunk.language)).add(chunk.lines, chunk.first, chunk.note)
        blocks.setdefault(chunk.language, []).append(chunk.first)
    return [
        Unit(
            name,
            language,
            found.text,
            blocks=tuple(blocks[language]) if markdown else (),
            notes=tuple(found.notes),
            remarks=tuple(found.remarks),
        )
        for language, found in pieces.items()
    ]


def _chunks(lines: list[str], markdown: bool) -> Iterator[_Chunk]:
    position = end = 0
    while position < len(lines):
        fence = _FENCE.match(lines[position])
        position += 1
        if fence is None:
            continue
        first = position
        closing = re.compile(rf"^[ \t>]*{re.escape(fence['ticks'][0])}{{{len(fence['ticks'])},}}\s*$")
        while position < len(lines) and not closing.match(lines[position]):
            position += 1
        inside = lines[first:position]
        position += 1
        language = _language(fence["info"], inside, markdown)
        if language is not None and inside:
            note = "\n".join(lines[end : first - 1])
            yield _Chunk(language, first + 1, _dedented(inside, fence["indent"]), note)
            end = position


def _language(info: str, inside: list[str], markdown: bool) -> str | None:
    """The language of a chunk that is run, or of a block that is shown."""
    if chunk := _CHUNK.match(info):
        hidden = _NOT_RUN.search(chunk["options"]) or any(_NOT_RUN.match(line) for line in inside)
        name = chunk["kernel"] or "python" if chunk["language"] == "code-cell" else chunk["language"]
        return None if hidden else _LANGUAGES.get(name.lower())
    if markdown and (block := _BLOCK.match(info)):
        return _LANGUAGES.get(block["language"].lower())
    return None


def _dedented(lines: list[str], indent: str) -> list[str]:
    """A chunk in a list item or a quotation is set in as a whole."""
    if not indent:
        return lines
    bare = indent.rstrip()
    return [
        line.removeprefix(indent) if line.startswith(indent) else line.removeprefix(bare) for line in lines
    ]
