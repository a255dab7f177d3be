"""What ``fairlane check`` does with its options.

In: `Options`. Out: an exit status, and text, written to where the caller says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlane.check import chosen, fixing, output, settings
from fairlane.check.checking import check_file
from fairlane.check.parallel import check_files
from fairlane.check.report import Report
from fairlane.check.rules import RULES
from fairlane.check.settings import Settings, SettingsError
from fairlane.check.sources import files


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one call; None where it says nothing, and the project's settings count."""

    paths: tuple[Path, ...]
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    format: str = "text"
    strict: bool = False
    exit_zero: bool = False
    statistics: bool = False
    fix: bool = False
    diff: bool = False
    gitignore: bool = True
    force_exclude: bool = False
    jobs: int = 1
    stdin_name: str = "stdin.py"
    is_terminal: bool = False
    version: str = ""


Write = Callable[[Any], None]


def run(options: Options, stdin: Callable[[], bytes], write: Write, note: Write) -> int:
    """Check.

    Args:
        options: what was asked for.
        stdin: gives the text that is checked for ``-``.
        write: takes the report, line by line, or as a `rich` text.
        note: takes what is said besides.

    Returns:
        the exit status.

    Raises:
        SettingsError: the settings, or the options, can't be used.
    """
    if Path("-") in options.paths:
        if len(options.paths) > 1:
            raise SettingsError("- stands alone: what is read from the standard input is one file")
        return _run_stdin(options, stdin(), write, note)
    report, fixes, differs = Report((), (), 0), 0, False
    for root, paths in _by_settings(options).items():
        found = Report.of(check_files(paths, options.jobs))
        if options.fix or options.diff:
            found, more, changed = _mend(found, root, options, write)
            fixes, differs = fixes + more, differs or changed
        report = Report.of([report, _counted(found, root, options)])
    if options.diff:
        note(f"{_count(fixes)} would be fixed")
        return 2 if report.failures else int(differs)
    if options.fix:
        note(f"{_count(fixes)} fixed")
    return _show(report, options, write, note)


def _by_settings(options: Options) -> dict[Settings, list[Path]]:
    """The files, by the settings that hold for them."""
    found: dict[Settings, list[Path]] = {}
    seen: set[Path] = set()
    for path in options.paths:
        own = settings.of_folder(path if path.is_dir() else path.parent)
        exclude = (*own.exclude, *options.exclude)
        ignored = own.respect_gitignore and options.gitignore
        root = own.root
        for file in files([path], exclude, root, ignored, options.force_exclude):
            if file not in seen:
                seen.add(file)
                found.setdefault(settings.of_folder(file.parent), []).append(file)
    return found


def _counted(report: Report, own: Settings, options: Options) -> Report:
    """A report with the findings that count."""
    select = own.select if options.select is None else options.select
    ignore = own.ignore if options.ignore is None else options.ignore
    report = chosen(report, select, ignore)
    if not own.per_file_ignores:
        return report
    kept = [f for f in report.findings if not f.code.startswith(own.ignored_in(Path(f.path)))]
    return replace(report, findings=tuple(kept))


def _mend(report: Report, own: Settings, options: Options, write: Write) -> tuple[Report, int, bool]:
    """Fix what can be fixed, or show how; the report of what is left."""
    counted, fixes, differs = _counted(report, own, options), 0, False
    mended: set[str] = set()
    for name in dict.fromkeys(finding.path for finding in counted.findings):
        path = Path(name)
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        new, count = _fixed(text, name, counted)
        if not count:
            continue
        fixes, differs = fixes + count, True
        if options.diff:
            for line in fixing.difference(text, new, name):
                write(line)
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(new)
            mended.add(name)
    if not mended:
        return report, fixes, differs
    again = Report.of(check_file(Path(name)) for name in mended)
    left = tuple(finding for finding in report.findings if finding.path not in mended)
    findings = sorted((*left, *again.findings), key=lambda finding: finding.path)
    return replace(report, findings=tuple(findings)), fixes, differs


def _fixed(text: str, name: str, report: Report) -> tuple[str, int]:
    """A text with what can be fixed in it; its lines keep their ends."""
    found = [finding for finding in report.findings if finding.path == name]
    is_dos = "\r\n" in text
    new, count = fixing.fixed(text.replace("\r\n", "\n"), name, found)
    return (new.replace("\n", "\r\n") if is_dos else new), count


def _run_stdin(options: Options, data: bytes, write: Write, note: Write) -> int:
    path = Path(options.stdin_name)
    own = settings.of_folder(path.parent)
    report = _counted(check_file(path, data), own, options)
    if not (options.fix or options.diff):
        return _show(report, options, write, note)
    text = data.decode("utf-8", "replace")
    new, count = _fixed(text, str(path), report)
    if options.diff:
        for line in fixing.difference(text, new, str(path)):
            write(line)
        return 2 if report.failures else int(count > 0)
    write(new.removesuffix("\n"))
    left = _counted(check_file(path, new.encode()), own, options)
    note(f"{_count(count)} fixed")
    return _status(left, options)


def _show(report: Report, options: Options, write: Write, note: Write) -> int:
    """Write a report in the format that was asked for."""
    for line in _statistics(report) if options.statistics else _formatted(report, options):
        write(line)
    for line in output.failures(report):
        note(line)
    (write if options.format == "text" else note)(output.closing(report))
    return _status(report, options)


def _formatted(report: Report, options: Options) -> Iterator[Any]:
    match options.format:
        case "json":
            yield output.as_json(report)
        case "sarif":
            yield output.sarif(report, options.version)
        case "github":
            yield from output.github(report)
        case _ if options.is_terminal:
            yield from output.framed(report)
        case _:
            yield from output.plain(report)


def _statistics(report: Report) -> Iterator[str]:
    """How often each rule was broken, the most frequent first."""
    counts = Counter(finding.code for finding in report.findings)
    for code, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        yield f"{count:>5}  {code}  {RULES[code].title}"


def _status(report: Report, options: Options) -> int:
    strict = options.strict or settings.of_folder(Path()).strict
    status = report.strict_status if strict else report.status
    return 0 if options.exit_zero and status == 1 else status


def _count(number: int) -> str:
    return f"{number} finding{'' if number == 1 else 's'}"
