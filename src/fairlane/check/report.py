"""What a check found: findings, files that could not be read, and what was left out.

In: nothing; `checking` makes these. Out: values for `output`, for the editor and for programs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fairlane.check.rules import Confidence


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

    @classmethod
    def of(cls, reports: Iterable[Report]) -> Report:
        """Several reports as one."""
        several = list(reports)
        return cls(
            tuple(one for report in several for one in report.findings),
            tuple(one for report in several for one in report.failures),
            sum(report.checked for report in several),
            tuple(one for report in several for one in report.remarks),
        )
