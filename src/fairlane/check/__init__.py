"""The static checker: finds state that leaks between Keras models before a program is run.

In: paths of Python files, notebooks, R scripts, R Markdown and Quarto documents. Out: a `Report` of findings,
and of what could not be read. Nothing is imported or executed, Keras included.

Example:
    >>> from fairlane.check import check_text
    >>> check_text("import keras", "empty.py").findings
    ()
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from fairlane.check import known, python, r
from fairlane.check.again import Found
from fairlane.check.forms import At
from fairlane.check.interpret import interpret
from fairlane.check.rules import RULES, Confidence, Rule
from fairlane.check.sources import files, units
from fairlane.check.texts import Unit, Unreadable

__all__ = [
    "RULES",
    "Confidence",
    "Edit",
    "Failure",
    "Finding",
    "Place",
    "Report",
    "Rule",
    "check_paths",
    "check_text",
]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file: lines and columns count from 1, in notebooks within the cell.

    Attributes:
        line: the first line.
        column: the first column, in characters.
        end_line: the last line.
        end_column: the column after the last one.
        cell: the number of a notebook's cell, counted from 1 over all its cells; None elsewhere.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    cell: int | None = None

    def __str__(self) -> str:
        return f"{'' if self.cell is None else f'cell {self.cell}:'}{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the text that is sure to mend a fault.

    Attributes:
        place: what is replaced.
        old: what stands there.
        new: what to write there instead.
    """

    place: Place
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that was found.

    Attributes:
        path: the file.
        code: the rule's code, such as ``FL001``.
        place: where.
        message: what happens there, and why it matters; one line.
        fix: what to do.
        related: other places that it is about, each with what is there.
        source: the lines of the place, for showing them.
        confidence: whether it is certain, or likely: what is likely may be meant.
        edit: the change that mends it, where there is one that is sure to.
    """

    path: str
    code: str
    place: Place
    message: str
    fix: str
    related: tuple[tuple[Place, str], ...]
    source: tuple[str, ...]
    confidence: Confidence = Confidence.CERTAIN
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be checked, or a cell or chunk that was left out.

    Attributes:
        path: the file.
        message: why.
        place: where it stops being readable, if that is known.
    """

    path: str
    message: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        findings: the faults, by file and place.
        failures: the files that could not be checked.
        checked: how many files were.
        remarks: cells and chunks that were left out of files that were checked, each with its reason, and
            files that were read in another encoding than UTF-8.
    """

    findings: tuple[Finding, ...]
    failures: tuple[Failure, ...]
    checked: int
    remarks: tuple[Failure, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 2 where a file could not be checked, 1 for certain findings, else 0."""
        if self.failures:
            return 2
        return 1 if any(finding.confidence is Confidence.CERTAIN for finding in self.findings) else 0

    @property
    def strict_status(self) -> int:
        """The exit status that takes everything seriously: likely findings, too, and what was left out."""
        if self.failures or self.remarks:
            return 2
        return 1 if self.findings else 0


def check_paths(
    paths: Iterable[str | os.PathLike[str]],
    *,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
) -> Report:
    """Check files, and all files below directories.

    Args:
        paths: files and directories.
        select: codes of the rules to apply, or beginnings of codes; by default all.
        ignore: codes of the rules not to apply, or beginnings of codes.

    Returns:
        what was found, and what could not be read.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "again.py")
        >>> _ = path.write_text('''
        ... import keras
        ... model = keras.Sequential([keras.layers.Dense(1)])
        ... for rate in (0.1, 0.01):
        ...     model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
        ...     model.fit(x, y)
        ... ''')
        >>> [finding.code for finding in check_paths([path]).findings]
        ['FL003']
    """
    findings: list[Finding] = []
    failures: list[Failure] = []
    remarks: list[Failure] = []
    checked = 0
    for path in files(paths):
        report = _check(path, None)
        findings += report.findings
        failures += report.failures
        remarks += report.remarks
        checked += report.checked
    chosen = tuple(f for f in findings if _is_chosen(f.code, select, ignore))
    return Report(chosen, tuple(failures), checked, tuple(remarks))


def check_text(text: str, name: str) -> Report:
    """Check a text.

    Args:
        text: a program, or a notebook's JSON.
        name: a file name; its ending says what the text is.

    Returns:
        what was found, and what could not be read.
    """
    return _check(Path(name), text.encode("utf-8", "surrogatepass"))


def _check(path: Path, data: bytes | None) -> Report:
    name = str(path)
    try:
        texts = units(path, name, data)
        findings = [finding for unit in texts for finding in _check_unit(unit)]
    except Unreadable as error:
        place = (
            None
            if error.line is None
            else Place(error.line, error.column or 1, error.line, error.column or 1)
        )
        return Report((), (Failure(name, str(error), place),), 0)
    except r.MissingGrammar as error:
        return Report((), (Failure(name, str(error)),), 0)
    except _Broken as error:
        return Report((), (Failure(name, error.message, error.place),), 0)
    findings.sort(key=lambda f: (f.place.cell or 0, f.place.line, f.place.column, f.code))
    return Report(tuple(findings), (), 1, tuple(_remarks(texts)))


def _remarks(texts: Iterable[Unit]) -> Iterable[Failure]:
    for unit in texts:
        for remark in unit.remarks:
            at = At(remark.line, remark.column, remark.line, remark.column)
            yield Failure(unit.path, remark.message, _place(unit, at))


class _Broken(Exception):
    """A text is not of its language."""

    def __init__(self, message: str, place: Place | None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


def _check_unit(unit: Unit) -> list[Finding]:
    try:
        program = (python if unit.language == "python" else r).parse(unit.text)
    except SyntaxError as error:
        line, column = error.lineno, error.offset or 1
        place = None if line is None else _place(unit, At(line, max(column, 1), line, max(column, 1)))
        raise _Broken(f"syntax error: {error.msg}", place) from None
    if not known.may_matter(unit.text):
        return []
    lines = unit.text.split("\n")
    found = [one for one in interpret(program, unit.where, unit.notes) if not _is_silenced(one, lines)]
    return [_finding(unit, one, lines) for one in found]


def _finding(unit: Unit, found: Found, lines: list[str]) -> Finding:
    related: dict[Place, str] = {}
    for at, what in found.related:
        related.setdefault(_place(unit, at), what)
    return Finding(
        path=unit.path,
        code=found.code,
        place=_place(unit, found.at),
        message=found.message,
        fix=found.fix,
        related=tuple(related.items()),
        source=tuple(lines[found.at.line - 1 : found.at.end_line]),
        confidence=_confidence(unit, found),
        edit=_edit(unit, found, lines),
    )


def _confidence(unit: Unit, found: Found) -> Confidence:
    """How sure a finding is; blocks of Markdown need not be one program."""
    blocks = {unit.block(at.line) for at in (found.at, *(at for at, _ in found.related))}
    return found.confidence if len(blocks) == 1 else Confidence.LIKELY


def _edit(unit: Unit, found: Found, lines: list[str]) -> Edit | None:
    if found.edit is None or found.edit[0].line != found.edit[0].end_line:
        return None
    at, new = found.edit
    return Edit(_place(unit, at), lines[at.line - 1][at.column - 1 : at.end_column - 1], new)


def _place(unit: Unit, at: At) -> Place:
    cell, line = unit.place(at.line)
    _, end_line = unit.place(at.end_line)
    return Place(line, at.column, end_line, at.end_column, cell)


_NOQA = re.compile(r"#\s*noqa\b(?P<codes>\s*:\s*(?P<list>[A-Z]+\d+(?:[\s,]+[A-Z]+\d+)*))?", re.IGNORECASE)


def _is_silenced(found: Found, lines: list[str]) -> bool:
    """Whether the line of a finding says that it is meant: without codes, or with this one."""
    line = lines[found.at.line - 1] if found.at.line <= len(lines) else ""
    match = _NOQA.search(line)
    if match is None:
        return False
    if match["list"] is None:
        return re.match(r"\s*:", line[match.end() :]) is None  # nonsense after the colon silences nothing
    return found.code in re.split(r"[\s,]+", match["list"].upper())


def _is_chosen(code: str, select: Collection[str], ignore: Collection[str]) -> bool:
    return (not select or code.startswith(tuple(select))) and not code.startswith(tuple(ignore))
