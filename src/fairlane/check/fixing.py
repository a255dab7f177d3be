"""Changes that are sure to mend a fault: of texts, and of files.

In: a text, and what was found in it. Out: the text with the changes made. Python files and notebooks are
changed; documents are not. A change is made only where the text still stands as it was read.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from fairlane.check.report import Edit, Finding
from fairlane.check.rules import Confidence

_IMPORT = "import fairlane\n"
FIXED = frozenset({".py", ".pyw", ".ipynb"})


@dataclass(frozen=True, slots=True)
class Change:
    """What is written at a place of a text: lines and columns from 1, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int
    new: str


def can_fix(finding: Finding) -> bool:
    """Whether there is a change that is sure to mend a finding."""
    sure = finding.edit is not None and finding.confidence is Confidence.CERTAIN
    return sure and PurePath(finding.path).suffix.lower() in FIXED


def fixed(text: str, name: str, findings: Iterable[Finding]) -> tuple[str, int]:
    """A text with what can be mended in it.

    Args:
        text: the text.
        name: its file's name.
        findings: what was found in it.

    Returns:
        the changed text, and how many findings it mends.
    """
    edits = [finding.edit for finding in findings if can_fix(finding) and finding.edit is not None]
    if not edits:
        return text, 0
    if name.lower().endswith(".ipynb"):
        return _fixed_notebook(text, edits)
    changes = changes_of(text, edits)
    return applied(text, changes), sum(change.new != _IMPORT for change in changes)


def changes_of(text: str, edits: Iterable[Edit]) -> list[Change]:
    """The changes that edits make of a Python text: theirs, and an import where that is missing.

    Args:
        text: the text.
        edits: the edits.

    Returns:
        the changes, without those whose place holds something else by now.
    """
    lines = text.split("\n")
    name = _name_of_fairlane(text)
    found = []
    for edit in dict.fromkeys(edits):
        place = edit.place
        row = lines[place.line - 1] if place.line <= len(lines) else ""
        if row[place.column - 1 : place.end_column - 1] == edit.old and place.end_line == place.line:
            new = re.sub(r"^fairlane\b", name or "fairlane", edit.new)
            found.append(Change(place.line, place.column, place.end_line, place.end_column, new))
    if name is None and any(change.new.startswith("fairlane.") for change in found):
        line = _line_for_import(text)
        found.append(Change(line, 1, line, 1, _IMPORT))
    return found


def applied(text: str, changes: Sequence[Change]) -> str:
    """A text with changes made, the last first."""
    lines = text.split("\n")
    for change in sorted(changes, key=lambda one: (one.line, one.column), reverse=True):
        while len(lines) < change.line:
            lines.append("")
        before = lines[change.line - 1][: change.column - 1]
        after = lines[change.end_line - 1][change.end_column - 1 :]
        lines[change.line - 1 : change.end_line] = (before + change.new + after).split("\n")
    return "\n".join(lines)


def difference(old: str, new: str, name: str) -> Iterator[str]:
    """A unified diff of two texts, line by line."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for line in difflib.unified_diff(before, after, name, name):
        yield line.rstrip("\n")


def _name_of_fairlane(text: str) -> str | None:
    """The name by which a program calls the package; None where it does not import it."""
    match = re.search(r"^\s*import fairlane(?:\s+as\s+(\w+))?\s*(?:#.*)?$", text, re.MULTILINE)
    return None if match is None else match[1] or "fairlane"


def _line_for_import(text: str) -> int:
    """The line before which an import goes: after those that are there, or after the docstring."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a cell with magics: above everything, but a magic of the whole cell
        return 2 if text.lstrip().startswith("%%") else 1
    last = 0
    for position, node in enumerate(tree.body):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Import | ast.ImportFrom) or (position == 0 and is_text):
            last = node.end_lineno or node.lineno
        else:
            break
    if last == 0:  # below the comments that open a file, such as its encoding
        lines = text.split("\n")
        while last < len(lines) and lines[last].startswith("#"):
            last += 1
    return last + 1


def _fixed_notebook(text: str, edits: list[Edit]) -> tuple[str, int]:
    """A notebook with its cells mended; the rest of it stays as it is."""
    notebook: dict[str, Any] = json.loads(text)
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        return text, 0
    whole = "\n".join(_source(cell) for cell in cells if cell.get("cell_type") == "code")
    known = _name_of_fairlane(whole)
    count = 0
    for number in sorted({edit.place.cell for edit in edits if edit.place.cell is not None}):
        source = _source(cells[number - 1])
        changes = changes_of(source, [edit for edit in edits if edit.place.cell == number])
        made = [change for change in changes if change.new != _IMPORT]
        if not made:
            continue
        if known is not None:
            made = [_renamed(change, known) for change in made]
        else:
            made, known = changes, "fairlane" if len(made) < len(changes) else None
        count += sum(change.new != _IMPORT for change in made)
        mended = applied(source, made)
        is_list = isinstance(cells[number - 1].get("source"), list)
        cells[number - 1]["source"] = mended.splitlines(keepends=True) if is_list else mended
    if not count:
        return text, 0
    indent = re.match(r"\{\r?\n( +|\t)", text)
    width = None if indent is None else ("\t" if indent[1] == "\t" else len(indent[1]))
    written = json.dumps(notebook, indent=width, ensure_ascii=False)
    return written + ("\n" if text.endswith("\n") else ""), count


def _renamed(change: Change, name: str) -> Change:
    new = re.sub(r"^fairlane\b", name, change.new)
    return Change(change.line, change.column, change.end_line, change.end_column, new)


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)
