"""The command line: parses and delegates.

In: arguments. Out: an exit code: 0 where all went well, 2 where what was asked can't be done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import fairlane
from fairlane.errors import StudyError

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
            help="A .npz file with x_train and y_train, such as MNIST's; by default scikit-learn's digits."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How long to train.")] = 30,
    seeds: Annotated[
        int, typer.Option(min=1, help="Replicates that Fairlane trains of each learning rate.")
    ] = 1,
    out: Annotated[Path, typer.Option(help="Where to write the figure.")] = Path("fairlane-demo.png"),
) -> None:
    """Two learning rates compared: the mistake that Keras lets pass, and what is true."""
    from rich.console import Console

    from fairlane import demo as story

    try:
        story.run(data, epochs, seeds, out, Console())
    except StudyError as error:
        typer.echo(f"fairlane demo: {error}", err=True)
        raise typer.Exit(2) from None
