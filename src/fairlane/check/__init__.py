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
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from fairlane.check.checking import check_file
from fairlane.check.parallel import check_files
from fairlane.check.report import Edit, Failure, Finding, Place, Report
from fairlane.check.rules import RULES, Confidence, Rule
from fairlane.check.sources import files

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


def check_paths(
    paths: Iterable[str | os.PathLike[str]],
    *,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    jobs: int = 1,
) -> Report:
    """Check files, and all files below directories.

    Args:
        paths: files and directories.
        select: codes of the rules to apply, or beginnings of codes; by default all.
        ignore: codes of the rules not to apply, or beginnings of codes.
        jobs: how many processes check files side by side. A script that asks for more than one must be
            importable: what it does stands under ``if __name__ == "__main__":``.

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
    return chosen(Report.of(check_files(list(files(paths)), jobs)), select, ignore)


def check_text(text: str, name: str) -> Report:
    """Check a text.

    Args:
        text: a program, or a notebook's JSON.
        name: a file name; its ending says what the text is.

    Returns:
        what was found, and what could not be read.
    """
    return check_file(Path(name), text.encode("utf-8", "surrogatepass"))


def chosen(report: Report, select: Collection[str], ignore: Collection[str]) -> Report:
    """A report with the findings of some rules only.

    Args:
        report: the report.
        select: codes, or beginnings of codes; none for all.
        ignore: codes, or beginnings of codes.

    Returns:
        the rest of it.
    """
    found = tuple(f for f in report.findings if is_chosen(f.code, select, ignore))
    return replace(report, findings=found)


def is_chosen(code: str, select: Collection[str], ignore: Collection[str]) -> bool:
    """Whether a rule is one of those that are applied."""
    return (not select or code.startswith(tuple(select))) and not code.startswith(tuple(ignore))
