"""The application, and how its commands report an error and a warning.

In: a command's name. Out: one line on standard error, and exit code 2 where the request can't be done.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

import fairlane
from fairlane.errors import FairlaneError, FairlaneWarning

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


@contextmanager
def reported(command: str) -> Iterator[None]:
    """Print an error as one message, without a traceback, and exit; print warnings as notes.

    Args:
        command: the name of the command, which stands before the message.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", FairlaneWarning)
        try:
            yield
        except (FairlaneError, OSError) as error:
            typer.echo(f"fairlane {command}: {_in_words(error)}", err=True)
            raise typer.Exit(2) from None
        finally:
            for one in said:
                typer.echo(f"fairlane {command}: note: {one.message}", err=True)


def _in_words(error: Exception) -> str:
    """An error without the number that the operating system gives it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror[:1].lower()}{error.strerror[1:]}{where}"
