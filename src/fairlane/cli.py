"""The command line: parses and delegates.

In: arguments. Out: an exit code: 0 for success, 1 if `check` has findings, 2 if the request can't be done.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

import fairlane
from fairlane.errors import FairlaneError, StudyError

app = typer.Typer(
    help="Train many Keras models side by side, each in its own lane.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fairlane {fairlane.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train many Keras models side by side, each in its own lane."""


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


Store = Annotated[str, typer.Argument(help="The store: a path such as runs.db, or a URL.", metavar="STORE")]
Name = Annotated[str, typer.Argument(help="The study's name.", metavar="NAME")]


_METRIC = "The metric that ranks variants. Default: val_loss, or loss."
_MODE = (
    "Whether small (min) or large (max) values are better; auto reads it from Keras or the metric's name. "
    "For several metrics: NAME=max,NAME=min."
)


def _mode(text: str) -> Any:
    """``max``, or ``val_mcc=max,val_loss=min`` as a dict."""
    if "=" not in text:
        return text
    pairs = [part.rpartition("=") for part in text.split(",")]
    return {name.strip(): better.strip() for name, _, better in pairs}


@contextmanager
def _reported(command: str) -> Iterator[None]:
    """Print an error as one message, without a traceback, and exit."""
    try:
        yield
    except (FairlaneError, OSError) as error:
        typer.echo(f"fairlane {command}: {error}", err=True)
        raise typer.Exit(2) from None


@app.command(name="list")
def list_(store: Store) -> None:
    """List the studies of a store."""
    with _reported("list"):
        table = fairlane.studies(store)
        typer.echo("no studies" if table.empty else table.to_string(index=False))


@app.command()
def show(
    store: Store,
    name: Name,
    trials: Annotated[bool, typer.Option("--trials", help="Also print a row per trial.")] = False,
    metric: Annotated[str | None, typer.Option(help=_METRIC, show_default=False)] = None,
    mode: Annotated[str, typer.Option(help=_MODE)] = "auto",
) -> None:
    """Show a study: its progress, and its variants, the best first."""
    with _reported("show"):
        study = fairlane.open(store, name)
        typer.echo(study.described(metric, mode=_mode(mode)))
        if trials:
            typer.echo("\n" + study.trials.to_string(index=False))


@app.command()
def plot(
    store: Store,
    name: Name,
    out: Annotated[Path, typer.Option("--out", "-o", help="The image to write: .png, .svg or .pdf.")],
    metric: Annotated[
        list[str] | None, typer.Option(help="The metric to draw; may be repeated. Default: all.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="The plot: curves, final or paired; of a search also optimization, rungs, parallel, slice, "
            "importance or pareto."
        ),
    ] = "curves",
    mode: Annotated[str, typer.Option(help=f"Not for --kind curves and pareto. {_MODE}")] = "auto",
) -> None:
    """Plot a study's learning curves, or compare its variants, as an image."""
    with _reported("plot"):
        study = fairlane.open(store, name)
        if kind == "curves":
            figure = study.plot(metrics=metric or None)
        elif kind == "pareto":
            figure = study.plot("pareto", objectives=metric or None)
        elif metric and len(metric) > 1:
            raise StudyError(f"plot --kind {kind} draws one metric, not {len(metric)}")
        else:
            figure = study.plot(cast(Any, kind), metric=metric[0] if metric else None, mode=_mode(mode))
        try:
            figure.savefig(out)
        except ValueError as error:  # the image's format is not known
            raise StudyError(str(error)) from None
        typer.echo(f"wrote {out}")


@app.command()
def report(
    store: Store,
    name: Name,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write: .html.")],
    metric: Annotated[str | None, typer.Option(help=_METRIC, show_default=False)] = None,
    mode: Annotated[str, typer.Option(help=_MODE)] = "auto",
) -> None:
    """Write a study as one HTML page that opens without a network: the request and the results."""
    with _reported("report"):
        typer.echo(f"wrote {fairlane.open(store, name).report(out, metric, mode=_mode(mode))}")


@app.command()
def export(
    store: Store,
    name: Name,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    what: Annotated[str, typer.Option(help="The rows: history, long, trials or summary.")] = "history",
    format: Annotated[
        str | None,
        typer.Option(help="csv, jsonl or parquet. Default: from the file's name.", show_default=False),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help=f"Only for --what summary. {_METRIC}", show_default=False)
    ] = None,
    mode: Annotated[str, typer.Option(help=f"Only for --what summary. {_MODE}")] = "auto",
) -> None:
    """Export a study's rows as CSV, JSON lines or Parquet."""
    from fairlane.results.export import export as write

    with _reported("export"):
        rows = write(fairlane.open(store, name), out, what, format, metric, _mode(mode))
        typer.echo(f"wrote {rows} rows to {out}")


@app.command()
def ui(
    store: Store,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The port. Default: 8420, or a free one if 8420 is in use.",
            show_default=False,
        ),
    ] = None,
    browser: Annotated[
        bool | None,
        typer.Option(
            "--browser/--no-browser",
            help="Whether to open a browser. Default: if there is a display.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the studies of a store on live pages, until Ctrl-C. The store is only read."""
    from fairlane.ui import serve

    with _reported("ui"):
        serve(store, host, port, browser, typer.echo)


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
    with _reported("cache"):
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
