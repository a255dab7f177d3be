"""Files → the texts in them, each of one language.

In: paths of files and directories. Out: `Unit` values: a Python file is one, a notebook is one whose lines
know their cells, an R Markdown or Quarto document is one for its R chunks and one for its Python chunks.
Lines stay where they are, so that every finding has its true place. `Unreadable` says what could not be read.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlane.check.forms import At
from fairlane.errors import FairlaneError

LANGUAGES = {".py": "python", ".pyw": "python", ".r": "r"}
DOCUMENTS = frozenset({".rmd", ".qmd"})
SUFFIXES = frozenset({*LANGUAGES, *DOCUMENTS, ".ipynb"})
SKIPPED = frozenset(
    {"__pycache__", "node_modules", "venv", "env", "site-packages", "build", "dist", "renv", "packrat"}
)


class Unreadable(FairlaneError):
    """A file can't be checked.

    Attributes:
        line: the line that is at fault, or None.
        column: its column, or None.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Unit:
    """A text of one language.

    Attributes:
        path: the file, as it was named.
        language: ``python`` or ``r``.
        text: the whole text; what is not of this language is blank.
        cells: for notebooks, the first line and the number of each cell.
    """

    path: str
    language: str
    text: str
    cells: tuple[tuple[int, int], ...] = ()

    def place(self, line: int) -> tuple[int | None, int]:
        """The cell of a line, and the line in it; outside notebooks, None and the line."""
        index = bisect_right(self.cells, (line, 1 << 60)) - 1
        if index < 0:
            return None, line
        first, number = self.cells[index]
        return number, line - first + 1

    def where(self, at: At) -> str:
        """Words for a place: ``line 3``, or ``cell 2, line 3``."""
        cell, line = self.place(at.line)
        return f"line {line}" if cell is None else f"cell {cell}, line {line}"


def files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """The files to check, each once, in a stable order.

    Args:
        paths: files, which are taken as they are, and directories, which are searched. Hidden directories,
            virtual environments and the like are passed over.

    Yields:
        the files; one that does not exist is among them, for reading it to say so.
    """
    seen: set[Path] = set()
    for path in map(Path, paths):
        for found in _below(path) if path.is_dir() else (path,):
            if found not in seen:
                seen.add(found)
                yield found


def _below(root: Path) -> Iterator[Path]:
    for directory, names, found in os.walk(root):
        names[:] = sorted(name for name in names if not _is_skipped(Path(directory, name)))
        for name in sorted(found):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(directory, name)


def _is_skipped(directory: Path) -> bool:
    name = directory.name
    return name.startswith(".") or name in SKIPPED or (directory / "pyvenv.cfg").exists()


def units(path: Path, name: str | None = None, data: bytes | None = None) -> list[Unit]:
    """Read a file.

    Args:
        path: the file.
        name: how to call it in findings; by default its path.
        data: its contents, where they come from elsewhere.

    Returns:
        its texts; none, for a notebook of a language that is not checked.

    Raises:
        Unreadable: the file does not exist, or it is not what its name says.
    """
    name = str(path) if name is None else name
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        kinds = ", ".join(sorted(SUFFIXES))
        raise Unreadable(f"not a kind of file that is checked ({kinds})")
    if data is None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None
    text = _decoded(data, python=LANGUAGES.get(suffix) == "python")
    if suffix in LANGUAGES:
        return [Unit(name, LANGUAGES[suffix], text)]
    if suffix in DOCUMENTS:
        return _document(name, text)
    return _notebook(name, text)


def _decoded(data: bytes, python: bool) -> str:
    """Text with ``\\n`` for its lines' ends; Python may name an encoding of its own."""
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0] if python else "utf-8-sig"
        text = data.decode(encoding)
    except (SyntaxError, LookupError) as error:
        raise Unreadable(f"its encoding is unknown: {error}") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Unreadable(f"not {error.encoding} text: {error.reason}", line) from None
    if "\0" in text:
        raise Unreadable("not text: it contains a null byte")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ")


# R Markdown and Quarto

_FENCE = re.compile(
    r"^(?P<indent>[ \t>]*)(?P<ticks>`{3,}|~{3,})\s*\{\s*(?P<language>\w+)(?P<options>[^}]*)\}\s*$"
)
_NOT_RUN = re.compile(r"eval\s*=\s*(FALSE|F)\b|^\s*#\|\s*eval:\s*(false|no)\b", re.IGNORECASE)


def _document(name: str, text: str) -> list[Unit]:
    """The chunks of a document: for each language a text as long as the whole."""
    lines = text.split("\n")
    chunks: dict[str, list[str]] = {}
    position = 0
    while position < len(lines):
        fence = _FENCE.match(lines[position])
        position += 1
        if fence is None:
            continue
        first = position
        closing = re.compile(rf"^[ \t>]*{re.escape(fence['ticks'])}\s*$")
        while position < len(lines) and not closing.match(lines[position]):
            position += 1
        chunk = lines[first:position]
        position += 1
        language = fence["language"].lower()
        hidden = _NOT_RUN.search(fence["options"]) or any(_NOT_RUN.match(line) for line in chunk)
        if language in ("r", "python") and not hidden:
            blank = chunks.setdefault(language, [""] * len(lines))
            blank[first : first + len(chunk)] = _dedented(chunk, fence["indent"], language)
    return [Unit(name, language, "\n".join(found)) for language, found in chunks.items()]


def _dedented(chunk: list[str], indent: str, language: str) -> list[str]:
    """A chunk in a list item is indented as a whole, which Python would not take."""
    if language == "python" and indent and not indent.strip():
        return [line.removeprefix(indent) for line in chunk]
    return chunk


# Notebooks


def _notebook(name: str, text: str) -> list[Unit]:
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
    language = _language(notebook)
    if language is None:
        return []
    lines: list[str] = []
    numbers: list[tuple[int, int]] = []
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, Mapping) and cell.get("cell_type") == "code":
            numbers.append((len(lines) + 1, number))
            source = cell.get("source", cell.get("input", ""))
            joined = "".join(map(str, source)) if isinstance(source, list) else str(source)
            found = joined.replace("\r\n", "\n").split("\n")
            lines += _without_magics(found) if language == "python" else found
    return [Unit(name, language, "\n".join(lines), tuple(numbers))]


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


_MAGIC = re.compile(r"^(?P<indent>\s*)(?:[%!?].*|[\w.\[\]]+\?{1,2}\s*)$")
_ASSIGNED_MAGIC = re.compile(r"^(?P<left>\s*[\w., ]+=\s*)[%!].*$")
_TIMED = re.compile(r"^(?P<indent>\s*)(?P<magic>%(?:time|timeit|prun|memit)\b(?:\s+-\S+)*\s+)(?P<rest>\S.*)$")
_TRANSPARENT_CELLS = ("time", "timeit", "capture", "prun", "memit")


def _without_magics(lines: list[str]) -> list[str]:
    """A cell with IPython's own syntax taken out; what is left stays in its place."""
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not first[2:].startswith(_TRANSPARENT_CELLS):
        return [""] * len(lines)
    if _is_python("\n".join(lines)):
        return lines
    return [_without_magic(line) for line in lines]


def _without_magic(line: str) -> str:
    if timed := _TIMED.match(line):
        return timed["indent"] + timed["rest"]
    if magic := _MAGIC.match(line):
        return magic["indent"] + "pass"
    if assigned := _ASSIGNED_MAGIC.match(line):
        return assigned["left"] + "None"
    return line


def _is_python(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compile(text, "<cell>", "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
