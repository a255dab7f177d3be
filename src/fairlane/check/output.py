"""Formats for what was found.

In: a `Report`. Out: text: as linters write it, with a frame around the code, as JSON, as SARIF 2.1.0, or as
the commands that GitHub's workflows turn into annotations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from fairlane.check.fixing import can_fix
from fairlane.check.report import Failure, Finding, Place, Report
from fairlane.check.rules import RULES, Confidence
from fairlane.kit.text import plural

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def plain(report: Report) -> Iterator[str]:
    """A line for each finding: ``path:line:column: FL001 message``."""
    for finding in report.findings:
        sure = "" if finding.confidence is Confidence.CERTAIN else "(likely) "
        yield f"{finding.path}:{finding.place}: {finding.code} {sure}{finding.message}; {finding.fix}"


def failures(report: Report) -> Iterator[str]:
    """A line for each file that could not be checked, and for each cell or chunk that was left out."""
    for remark in report.remarks:
        words = remark.message if remark.message.startswith("not ") else f"left out: {remark.message}"
        yield f"{remark.path}:{remark.place}: note: {words}"
    for failure in report.failures:
        place = "" if failure.place is None else f"{failure.place}:"
        yield f"{failure.path}:{place} error: {failure.message}"


def closing(report: Report) -> str:
    """The last line: ``2 findings in 1 file (7 files checked)``."""
    checked = f"{plural(report.checked, 'file')} checked"
    unread = f", {plural(len(report.failures), 'file')} could not be read" if report.failures else ""
    if not report.findings:
        return f"no findings ({checked}{unread})"
    where = plural(len({finding.path for finding in report.findings}), "file")
    likely = sum(finding.confidence is Confidence.LIKELY for finding in report.findings)
    notes = f", {likely} of them only likely" if likely else ""
    fixes = sum(map(can_fix, report.findings))
    offer = f"; --fix mends {fixes}" if fixes else ""
    return f"{plural(len(report.findings), 'finding')} in {where}{notes} ({checked}{unread}){offer}"


def framed(report: Report) -> Iterator[Any]:
    """For a terminal: each finding with its code, the places it is about, and the fix; rich prints these."""
    from rich.text import Text

    for finding in report.findings:
        head = Text()
        head.append(f"{finding.path}:{finding.place}: ", style="bold")
        is_sure = finding.confidence is Confidence.CERTAIN
        head.append(finding.code, style="bold red" if is_sure else "bold yellow")
        head.append("" if is_sure else " (likely)", style="yellow")
        head.append(f" {finding.message}")
        yield head
        yield from _frame(finding)
        yield Text()


def _frame(finding: Finding) -> Iterator[Any]:
    from rich.text import Text

    place, width = finding.place, len(str(finding.place.line + len(finding.source)))
    for number, line in enumerate(finding.source[:4], place.line):
        yield Text.assemble((f"  {number:>{width}} | ", "blue"), line.replace("\t", " "))
        if number == place.line:
            end = place.end_column if place.end_line == place.line else len(line.rstrip()) + 1
            marks = "^" * max(1, end - place.column)
            yield Text.assemble((f"  {'':>{width}} | ", "blue"), " " * (place.column - 1), (marks, "red"))
    for where, what in finding.related:
        yield Text.assemble((f"  {'':>{width}} = ", "blue"), f"{_in_words(where)}: {what}")
    yield Text.assemble((f"  {'':>{width}} = ", "blue"), ("fix: ", "green"), finding.fix)
    yield Text.assemble((f"  {'':>{width}} = ", "blue"), f"why: fairlane check --explain {finding.code}")


def _in_words(place: Place) -> str:
    return f"line {place.line}" if place.cell is None else f"cell {place.cell}, line {place.line}"


def as_json(report: Report) -> str:
    """One JSON object: findings, failures, and how many files were checked."""
    found = {
        "findings": [_finding(finding) for finding in report.findings],
        "failures": [asdict(failure) for failure in report.failures],
        "remarks": [asdict(remark) for remark in report.remarks],
        "checked": report.checked,
    }
    return json.dumps(found, indent=2)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "path": finding.path,
        "code": finding.code,
        "name": RULES[finding.code].name,
        "confidence": str(finding.confidence),
        **asdict(finding.place),
        "message": finding.message,
        "fix": finding.fix,
        "edit": None if finding.edit is None else asdict(finding.edit),
        "related": [{**asdict(place), "message": what} for place, what in finding.related],
    }


def github(report: Report) -> Iterator[str]:
    """Commands for GitHub's workflows, which show them beside the code."""
    for finding in report.findings:
        place = finding.place
        line = 1 if place.cell is not None else place.line  # a notebook's lines are not its file's
        words = f"{_in_words(place)}: {finding.message}" if place.cell is not None else finding.message
        fields = f"file={_escaped(finding.path, True)},line={line}"
        if place.cell is None:
            fields += f",col={place.column},endLine={place.end_line}"
        title = f"{finding.code} {RULES[finding.code].name}"
        level = "error" if finding.confidence is Confidence.CERTAIN else "notice"
        yield f"::{level} {fields},title={_escaped(title, True)}::{_escaped(f'{words}; {finding.fix}')}"
    for failure in report.failures:
        line = 1 if failure.place is None or failure.place.cell is not None else failure.place.line
        yield f"::error file={_escaped(failure.path, True)},line={line}::{_escaped(failure.message)}"


def _escaped(text: str, in_field: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_field else text


def sarif(report: Report, version: str) -> str:
    """SARIF 2.1.0, which code scanning services read."""
    rules = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.title},
            "help": {"text": rule.page, "markdown": rule.page},
            "defaultConfiguration": {"level": "error"},
        }
        for rule in RULES.values()
    ]
    order = list(RULES)
    driver = {"name": "fairlane check", "semanticVersion": version, "rules": rules}
    invocation = {
        "executionSuccessful": not report.failures,
        "toolExecutionNotifications": [_notification(failure) for failure in report.failures],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": [_result(finding, order.index(finding.code)) for finding in report.findings],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    related = [
        {"id": number, **_location(finding.path, place), "message": {"text": what}}
        for number, (place, what) in enumerate(finding.related)
    ]
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": "error" if finding.confidence is Confidence.CERTAIN else "note",
        "message": {"text": f"{finding.message}; {finding.fix}"},
        "locations": [_location(finding.path, finding.place)],
        "relatedLocations": related,
    }


def _notification(failure: Failure) -> dict[str, Any]:
    place = failure.place or Place(1, 1, 1, 1)
    return {
        "level": "error",
        "message": {"text": failure.message},
        "locations": [_location(failure.path, place)],
    }


def _location(path: str, place: Place) -> dict[str, Any]:
    """A place. SARIF knows no cells: in a notebook the file is named, and the cell beside it."""
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(path)}}
    if place.cell is None:
        location["region"] = {
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": place.end_line,
            "endColumn": place.end_column,
        }
        return {"physicalLocation": location}
    name = f"cell {place.cell}, line {place.line}"
    return {"physicalLocation": location, "logicalLocations": [{"name": name, "kind": "member"}]}


def _uri(path: str) -> str:
    """A path as a URI: relative to where the check was run, if it lies below."""
    pure = Path(path)
    if pure.is_absolute():
        try:
            pure = pure.relative_to(os.getcwd())
        except ValueError:
            return pure.as_uri()
    return quote(PurePath(pure).as_posix())
