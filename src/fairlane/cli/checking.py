"""The commands that need no store: the demonstration, the static checker, and the cache of programs.

In: arguments. Out: text; `check` has exit code 1 if it finds something.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

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


def _codes(given: str | None, option: str) -> tuple[str, ...]:
    """The codes of ``FL001,FL002``; ``FL00`` stands for all codes that begin with it."""
    from fairlane.check.rules import RULES

    codes = tuple(code.strip().upper() for code in (given or "").split(",") if code.strip())
    for code in codes:
        if not any(known.startswith(code) for known in RULES):
            typer.echo(
                f"fairlane check: {option} {code} is not a rule; the rules are {', '.join(RULES)}", err=True
            )
            raise typer.Exit(2)
    return codes


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Files, or directories to search.")],
    select: Annotated[
        str | None,
        typer.Option(
            help="Check only these rules, such as FL001,FL002.", metavar="CODES", show_default=False
        ),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Do not check these rules.", metavar="CODES", show_default=False)
    ] = None,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.text,
    explain: Annotated[
        str | None,
        typer.Option(callback=_explain, is_eager=True, metavar="CODE", help="Explain a rule, and exit."),
    ] = None,
) -> None:
    """Find state that leaks between models in Python, notebooks, R and R Markdown, without running them.

    Exit code: 0 without findings, 1 with findings, 2 if a file could not be read.
    """
    from fairlane.check import check_paths, output

    report = check_paths(paths, select=_codes(select, "--select"), ignore=_codes(ignore, "--ignore"))
    match format:
        case Format.json:
            typer.echo(output.as_json(report))
        case Format.sarif:
            typer.echo(output.sarif(report, fairlane.__version__))
        case Format.github:
            for line in output.github(report):
                typer.echo(line)
        case Format.text if sys.stdout.isatty():
            from rich.console import Console

            console = Console(highlight=False)
            for part in output.framed(report):
                console.print(part, soft_wrap=True)
        case Format.text:
            for line in output.plain(report):
                typer.echo(line)
    for line in output.failures(report):
        typer.echo(line, err=True)
    typer.echo(output.closing(report), err=format is not Format.text)
    raise typer.Exit(report.status)


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
