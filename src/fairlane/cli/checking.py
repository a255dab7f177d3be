"""The commands that need no store: the demonstration, the static checker, and the cache of programs.

In: arguments. Out: text; `check` has exit code 1 if it finds something.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import fairlane
from fairlane.cli.base import app, reported
from fairlane.errors import StudyError


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            help="A .npz file with x_train and y_train, such as MNIST's. Default: scikit-learn's digits."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Number of epochs.")] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds per learning rate.")] = 1,
    out: Annotated[Path, typer.Option(help="The image to write.")] = Path("fairlane-demo.png"),
) -> None:
    """Compare two learning rates: a common mistake in Keras, and the correct result."""
    from rich.console import Console

    from fairlane import demo as story

    try:
        story.run(data, epochs, seeds, out, Console())
    except StudyError as error:
        typer.echo(f"fairlane demo: {error}", err=True)
        raise typer.Exit(2) from None


class Format(StrEnum):
    """The formats that `check` writes."""

    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


def _explain(code: str | None) -> None:
    """Print the page of a rule, and exit."""
    if code is None:
        return
    from fairlane.check.rules import RULES

    rule = RULES.get(code.upper())
    if rule is None:
        typer.echo(f"fairlane check: {code} is not a rule; the rules are {', '.join(RULES)}", err=True)
        raise typer.Exit(2)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(rule.page))
    else:
        typer.echo(rule.page, nl=False)
    raise typer.Exit


def _codes(given: str | None, option: str) -> tuple[str, ...] | None:
    """The codes of ``FL001,FL002``; ``FL00`` stands for all codes that begin with it."""
    from fairlane.check import settings

    return None if given is None else settings.codes(_parts(given), option)


def _parts(given: str | None) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part.strip() for part in (given or "").split(",") if part.strip())


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files, directories to search, or - for the standard input.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="Check only these rules, such as FL001,FL002.", metavar="CODES", show_default=False
        ),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Do not check these rules.", metavar="CODES", show_default=False)
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Pass over these files and directories.", metavar="PATTERNS")
    ] = None,
    force_exclude: Annotated[bool, typer.Option(help="Also those that are named as PATHS.")] = False,
    respect_gitignore: Annotated[bool, typer.Option(help="Pass over what git ignores.")] = True,
    strict: Annotated[
        bool, typer.Option("--strict", help="Likely findings, and what was left out, fail too.")
    ] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Findings do not fail.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is sure to be mended.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would change.")] = False,
    statistics: Annotated[bool, typer.Option("--statistics", help="Count the findings by rule.")] = False,
    format: Annotated[
        Format, typer.Option("--format", "--output-format", help="Output format.")
    ] = Format.text,
    output_file: Annotated[
        Path | None, typer.Option("--output-file", "-o", help="Write the report to this file.")
    ] = None,
    stdin_filename: Annotated[
        str, typer.Option(help="How to call the standard input; its ending says what it is.")
    ] = "stdin.py",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", help="Processes; by default, all processors.")
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(callback=_explain, is_eager=True, metavar="CODE", help="Explain a rule, and exit."),
    ] = None,
) -> None:
    """Find state that leaks between models in Python, notebooks, R and Markdown, without running them.

    The table [tool.fairlane.check] of pyproject.toml has the same settings. Exit code: 0 without certain
    findings, 1 with certain findings, 2 if a file could not be read.
    """
    from fairlane.check.command import Options, run
    from fairlane.check.settings import SettingsError

    is_terminal = sys.stdout.isatty() and output_file is None
    lines: list[Any] = []
    try:
        options = Options(
            paths=tuple(paths or [Path()]),
            select=_codes(select, "--select"),
            ignore=_codes(ignore, "--ignore"),
            exclude=tuple(part for given in exclude or () for part in _parts(given)),
            format=format.value,
            strict=strict,
            exit_zero=exit_zero,
            statistics=statistics,
            fix=fix,
            diff=diff,
            gitignore=respect_gitignore,
            force_exclude=force_exclude,
            jobs=jobs or os.cpu_count() or 1,
            stdin_name=stdin_filename,
            is_terminal=is_terminal,
            version=fairlane.__version__,
        )
        write = lines.append if output_file is not None else _writer(is_terminal)
        status = run(options, sys.stdin.buffer.read, write, lambda line: typer.echo(line, err=True))
    except SettingsError as error:
        typer.echo(f"fairlane check: {error}", err=True)
        raise typer.Exit(2) from None
    if output_file is not None:
        try:
            output_file.write_text("\n".join(map(str, lines)) + "\n", encoding="utf-8")
        except OSError as error:
            typer.echo(f"fairlane check: {output_file} can't be written: {error.strerror}", err=True)
            raise typer.Exit(2) from None
    raise typer.Exit(status)


@app.command()
def lsp() -> None:
    """Check in an editor: a server of the Language Server Protocol, on the standard streams."""
    try:
        from fairlane.check import server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        typer.echo("fairlane lsp: needs pygls: pip install 'fairlane[lsp]'", err=True)
        raise typer.Exit(2) from None
    server.made(fairlane.__version__).start_io()


def _writer(is_terminal: bool) -> Callable[[Any], None]:
    """What writes lines, and in a terminal texts with colours."""
    if not is_terminal:
        return typer.echo
    from rich.console import Console

    console = Console(highlight=False)
    return lambda line: console.print(line, soft_wrap=True, markup=False)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all programs from the cache.")] = False,
) -> None:
    """Show the cache of compiled programs: its folder, size and limit.

    The next run loads from there what one run has compiled. FAIRLANE_CACHE=off switches the cache off, and
    FAIRLANE_CACHE=PATH chooses another folder.
    """
    from fairlane.kit.kept_programs.folder import VARIABLE, cache_folder

    folder = cache_folder()
    if folder is None:
        typer.echo(f"the cache is off ({VARIABLE}={os.environ.get(VARIABLE, '')})")
        return
    with reported("cache"):
        removed = folder.clear() if clear else None
        contents = folder.contents()
    refusal = folder.refusal()
    typer.echo(f"folder    {folder.path}" + (f"\nnot used  {refusal}" if refusal else ""))
    typer.echo(f"programs  {contents.programs}")
    typer.echo(f"size      {_megabytes(contents.size)}")
    typer.echo(f"limit     {_megabytes(folder.limit)}; the least recently used programs are removed first")
    if removed is not None:
        typer.echo(f"removed   {removed.programs} programs, {_megabytes(removed.size)}")


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
