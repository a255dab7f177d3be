"""Jupyter notebooks → the text in them.

In: a notebook's JSON. Out: one `Unit` whose lines know their cells; none for languages that are not checked.
A cell that can't be read is left out alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fairlane.check.pieces import Pieces
from fairlane.check.texts import Unit, Unreadable


def units(name: str, text: str) -> list[Unit]:
    """The text of a notebook.

    Args:
        name: how to call it.
        text: its JSON.

    Returns:
        one text, or none.

    Raises:
        Unreadable: it is not a notebook.
    """
    notebook, cells = _cells(text)
    language = _language(notebook)
    if language is None:
        return []
    pieces = Pieces(language)
    numbers: list[tuple[int, int]] = []
    prose: list[str] = []
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, Mapping):
            continue
        if cell.get("cell_type") != "code":
            prose += _source(cell).split("\n")
        else:
            numbers.append((len(pieces.lines) + 1, number))
            pieces.add(_source(cell).split("\n"), note="\n".join(prose))
            prose.clear()
    notes, remarks = tuple(pieces.notes), tuple(pieces.remarks)
    return [Unit(name, language, pieces.text, tuple(numbers), notes=notes, remarks=remarks)]


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    joined = "".join(map(str, source)) if isinstance(source, list) else str(source)
    return (
        joined.replace("\r\n", "\n")
        .replace("\r", "\n")
        .replace("\f", " ")
        .replace("\0", " ")
        .removeprefix("\ufeff")
    )


def _cells(text: str) -> tuple[Mapping[str, Any], list[Any]]:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not a notebook: {error}", getattr(error, "lineno", None)) from None
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    if cells is None and isinstance(notebook, Mapping):  # format 3
        sheets = notebook.get("worksheets")
        cells = [c for sheet in sheets for c in sheet.get("cells", [])] if isinstance(sheets, list) else None
    if not isinstance(cells, list):
        raise Unreadable("not a notebook: it has no cells")
    return notebook, cells


def _language(notebook: Mapping[str, Any]) -> str | None:
    """The language of a notebook's kernel, or None for one that is not checked."""
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    found = []
    for place, key in (("language_info", "name"), ("kernelspec", "language"), ("kernelspec", "name")):
        inner = metadata.get(place)
        if isinstance(inner, Mapping) and isinstance(inner.get(key), str):
            found.append(inner[key].lower())
    if not found or any(name.startswith(("python", "ipython", "conda")) for name in found):
        return "python"
    return "r" if any(name in ("r", "ir") for name in found) else None
