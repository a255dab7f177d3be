"""The command that trains a part of a script's studies, beside other processes that do the same.

In: a script whose calls of ``compare`` or ``search`` have a store. Out: trained trials in the store; and an
exit code: 0 where all trials have ended, 3 where some are left, 4 where training hung, 2 if the request can't
be done.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from fairlane.cli.base import app
from fairlane.errors import FairlaneError, StudyError
from fairlane.kit.text import plural

_LIMIT = (
    "End after this time, such as 55min, at the end of an epoch; what is left is for other processes, or the "
    "same command later."
)
_BATCH = "How many trials this process has at once. Default: by the number of trials and processes."
_PATIENCE = (
    "After this time, such as 30min, in which no epoch or trial begins or ends, this process counts as hung: "
    "it ends, and others take over its trials. Default: 6h."
)


@app.command(context_settings={"allow_interspersed_args": False})
def work(
    script: Annotated[
        Path, typer.Argument(help="A Python script that calls fairlane.compare, or search, with a store.")
    ],
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments of the script.")] = None,
    time_limit: Annotated[str | None, typer.Option(help=_LIMIT, show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(help=_BATCH, show_default=False)] = None,
    patience: Annotated[str | None, typer.Option(help=_PATIENCE, show_default=False)] = None,
) -> None:
    """Train a part of a script's trials, beside other processes that run the same command.

    Start any number of them, at any time, on any machine that reaches the store. Each leases some trials,
    trains them, and leases more, until all have ended. Those of a process that is lost go on elsewhere.
    Exit code 3 means that trials are left, after the time limit or a signal; 4 that training hung.
    """
    from fairlane.running.working import LEFT, working

    try:
        if not script.is_file():
            raise StudyError(f"there is no script {script}")
        with working(batch, time_limit, patience) as done:
            try:
                _run(script, arguments or [])
            except SystemExit as ended:
                if ended.code != LEFT or not done.left:
                    raise
                typer.echo(f"fairlane work: {plural(done.left, 'trial')} left for others", err=True)
                raise
        if not done.studies:
            raise StudyError(
                f"{script} made no call of fairlane.compare or fairlane.search with store= and name=, so "
                "there was nothing to share with other processes"
            )
    except FairlaneError as error:
        typer.echo(f"fairlane work: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo("fairlane work: all trials have ended", err=True)


def _run(script: Path, arguments: list[str]) -> None:
    """Run a script as Python does."""
    before = sys.argv, sys.path[:]
    sys.argv, sys.path[0:0] = [str(script), *arguments], [str(script.resolve().parent)]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before
