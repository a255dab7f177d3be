"""Comments that say that a finding is meant.

In: a text, and a finding in it. Out: whether a comment covers it: ``# noqa`` or ``# noqa: FL001`` on any line
of the statement, in R ``# nolint`` as well, or ``# fairlane: noqa`` on a line of its own for the whole file.
"""

from __future__ import annotations

import re

from fairlane.check.again import Found
from fairlane.check.forms import Assign, Block, Call, Form, Function, Operation, Program, Return
from fairlane.check.rules import RULES
from fairlane.check.texts import Unit
from fairlane.check.walking import all_forms

_CODES = r"(?P<codes>\s*:\s*(?P<list>[A-Z]+\d+(?:[\s,]+[A-Z]+\d+)*))?"
_NOQA = re.compile(rf"#\s*noqa\b{_CODES}", re.IGNORECASE)
_FILE = re.compile(rf"^\s*#\s*fairlane\s*:\s*noqa\b{_CODES}", re.IGNORECASE)
_NOLINT = re.compile(r"#\s*nolint\b(?!\s+(?:start|end|next))(?P<list>\s*:\s*[^#]*)?")
_START = re.compile(r"#\s*nolint start\b(?P<list>\s*:\s*[^#]*)?")
_END = re.compile(r"#\s*nolint end\b")
_SIMPLE = (Assign, Call, Operation, Return)


class Silence:
    """The comments of a text.

    Args:
        unit: the text.
        program: the same, parsed.
    """

    def __init__(self, unit: Unit, program: Program) -> None:
        self.lines = unit.text.split("\n")
        self.is_r = unit.language == "r"
        self.whole = [match for line in self.lines if (match := _FILE.match(line)) is not None]
        has_any = self.whole or any(word in unit.text.lower() for word in ("noqa", "nolint"))
        self.statements = _statements(program.body) if has_any else []
        self.ranges = self._ranges() if self.is_r and "nolint" in unit.text else []

    def covers(self, found: Found) -> bool:
        """Whether a finding is meant."""
        if any(_names(match["list"], found.code, _rest(match)) for match in self.whole):
            return True
        if any(a <= found.at.line <= b and _lints(codes, found.code) for a, b, codes in self.ranges):
            return True
        first, last = self._statement(found)
        return any(self._covers(self.lines[number - 1], found.code) for number in range(first, last + 1))

    def _covers(self, line: str, code: str) -> bool:
        match = _NOQA.search(line)
        if match is not None:
            return _names(match["list"], code, _rest(match))
        lint = _NOLINT.search(line) if self.is_r else None
        return lint is not None and _lints(lint["list"], code)

    def _statement(self, found: Found) -> tuple[int, int]:
        """The first and the last line of the statement that a finding lies in."""
        first, last = found.at.line, found.at.end_line
        around = [(a, b) for a, b in self.statements if a <= first and last <= b]
        first, last = min(around, key=lambda pair: pair[1] - pair[0], default=(first, last))
        return first, min(last, len(self.lines))

    def _ranges(self) -> list[tuple[int, int, str | None]]:
        """The lines between ``# nolint start`` and ``# nolint end``."""
        found: list[tuple[int, int, str | None]] = []
        start: tuple[int, str | None] | None = None
        for number, line in enumerate(self.lines, 1):
            if (match := _START.search(line)) is not None:
                start = (number, match["list"])
            elif start is not None and _END.search(line):
                found.append((start[0], number, start[1]))
                start = None
        return found if start is None else [*found, (start[0], len(self.lines), start[1])]


def _rest(match: re.Match[str]) -> str:
    """What stands behind a match."""
    return match.string[match.end() :]


def _names(codes: str | None, code: str, rest: str) -> bool:
    """Whether a list of codes names one; without a list, all are meant."""
    if codes is None:
        return re.match(r"\s*:", rest) is None  # nonsense after the colon silences nothing
    return code in re.split(r"[\s,]+", codes.upper())


def _lints(names: str | None, code: str) -> bool:
    """The same in the manner of lintr: ``# nolint: FL001.``, by code or by name."""
    if names is None or not names.strip(" :."):
        return True
    words = {word.strip(" .").lower() for word in re.split(r"[\s,:]+", names)}
    return bool(words & {code.lower(), RULES[code].name, RULES[code].name.replace("-", "_"), "fairlane"})


def _statements(body: Form) -> list[tuple[int, int]]:
    """The lines of the statements that have no statements inside."""
    found = []
    for form in all_forms(body):
        if isinstance(form, Block):
            for item in form.items:
                is_definition = isinstance(item, Assign) and isinstance(item.value, Function)
                if isinstance(item, _SIMPLE) and not is_definition:
                    found.append((item.at.line, item.at.end_line))
    return found
