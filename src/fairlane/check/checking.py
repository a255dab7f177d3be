"""One file → what is found in it.

In: a path. Out: a `Report`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fairlane.check import known, python, r
from fairlane.check.again import Found
from fairlane.check.forms import At
from fairlane.check.interpret import interpret
from fairlane.check.report import Edit, Failure, Finding, Place, Report
from fairlane.check.rules import Confidence
from fairlane.check.silencing import Silence
from fairlane.check.sources import units
from fairlane.check.texts import Unit, Unreadable


def check_file(path: Path, data: bytes | None = None) -> Report:
    """Check one file.

    Args:
        path: the file.
        data: what it holds, where that comes from elsewhere.

    Returns:
        what was found, and what could not be read.
    """
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
    language = python if unit.language == "python" else r
    try:
        if not known.may_matter(unit.text):
            if (error := language.complaint(unit.text)) is not None:
                raise error
            return []
        program = language.parse(unit.text)
    except SyntaxError as error:
        line, column = error.lineno, error.offset or 1
        place = None if line is None else _place(unit, At(line, max(column, 1), line, max(column, 1)))
        raise _Broken(f"syntax error: {error.msg}", place) from None
    lines = unit.text.split("\n")
    silence = Silence(unit, program)
    found = [one for one in interpret(program, unit.where, unit.notes) if not silence.covers(one)]
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
