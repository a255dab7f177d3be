"""The commands about the studies of a store.

In: a store, and a study's name where there are several. Out: text, files, and pages.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, cast

import typer

import fairlane
from fairlane.cli.base import app, reported
from fairlane.errors import StudyError
from fairlane.kit.text import plural

Store = Annotated[str, typer.Argument(help="The store: a path such as runs.db, or a URL.", metavar="STORE")]
Name = Annotated[
    str | None,
    typer.Argument(help="The study's name; not needed where the store has one study.", metavar="[NAME]"),
]


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


def _opened(store: str, name: str | None) -> fairlane.Study:
    """The study of this name, or the only one."""
    return fairlane.open(store, _only(store, name))


def _only(store: str, name: str | None) -> str:
    if name is not None:
        return name
    names = fairlane.studies(store)["study"].tolist()
    if len(names) == 1:
        return str(names[0])
    there = f"{len(names)} studies: {', '.join(map(repr, names))}" if names else "no study yet"
    raise StudyError(f"give a NAME: {store} has {there}")


def _folder(out: Path) -> None:
    """Refuse a file whose folder does not exist, before anything is computed."""
    if not out.parent.is_dir():
        raise StudyError(f"the folder {out.parent} does not exist, so {out.name} can't be written there")


@app.command(name="list")
def list_(store: Store) -> None:
    """List the studies of a store."""
    with reported("list"):
        table = fairlane.studies(store)
        typer.echo("no studies" if table.empty else table.to_string(index=False))


@app.command()
def show(
    store: Store,
    name: Name = None,
    trials: Annotated[bool, typer.Option("--trials", help="Also print a row per trial.")] = False,
    metric: Annotated[str | None, typer.Option(help=_METRIC, show_default=False)] = None,
    mode: Annotated[str, typer.Option(help=_MODE)] = "auto",
) -> None:
    """Show a study: its progress, and its variants, the best first."""
    with reported("show"):
        study = _opened(store, name)
        typer.echo(study.described(metric, mode=_mode(mode)))
        if trials:
            typer.echo("\n" + study.trials.to_string(index=False))


@app.command()
def plot(
    store: Store,
    out: Annotated[Path, typer.Option("--out", "-o", help="The image to write: .png, .svg or .pdf.")],
    name: Name = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="The metric to draw; may be repeated. Default: all.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="The plot: curves, final, paired, sweep (needs --x), parallel, slice, contour (needs "
            "--x and --y), importance, optimization, rungs, or pareto."
        ),
    ] = "curves",
    x: Annotated[
        str | None, typer.Option("--x", help="The hyperparameter on the x axis.", show_default=False)
    ] = None,
    y: Annotated[
        str | None, typer.Option("--y", help="The hyperparameter on the y axis.", show_default=False)
    ] = None,
    mode: Annotated[str, typer.Option(help=f"Not for --kind curves and pareto. {_MODE}")] = "auto",
) -> None:
    """Plot a study's learning curves, or compare its variants, as an image."""
    with reported("plot"):
        _folder(out)
        study = _opened(store, name)
        axes = {key: value for key, value in (("x", x), ("y", y)) if value is not None}
        if kind in ("ensemble", "calibration"):
            raise StudyError(
                f"--kind {kind} needs data, so it is drawn in Python: study.plot({kind!r}, on=(x, y))"
            )
        if kind == "curves":
            figure = study.plot(metrics=metric or None, **cast(Any, axes))
        elif kind == "pareto":
            figure = study.plot("pareto", objectives=metric or None, **cast(Any, axes))
        elif metric and len(metric) > 1:
            raise StudyError(f"plot --kind {kind} draws one metric, not {len(metric)}")
        else:
            figure = study.plot(
                cast(Any, kind), metric=metric[0] if metric else None, mode=_mode(mode), **cast(Any, axes)
            )
        try:
            figure.savefig(out)
        except ValueError as error:  # the image's format is not known
            raise StudyError(str(error)) from None
        typer.echo(f"wrote {out}")


@app.command()
def report(
    store: Store,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write: .html.")],
    name: Name = None,
    metric: Annotated[str | None, typer.Option(help=_METRIC, show_default=False)] = None,
    mode: Annotated[str, typer.Option(help=_MODE)] = "auto",
) -> None:
    """Write a study as one HTML page that opens without a network: the request and the results."""
    with reported("report"):
        if out.suffix.lower() not in (".html", ".htm"):
            raise StudyError(
                f"a report is a page of HTML, so --out ends in .html, not {out.suffix or out.name!r}. For "
                "PDF, open the page in a browser and print it"
            )
        typer.echo(f"wrote {_opened(store, name).report(out, metric, mode=_mode(mode))}")


@app.command()
def export(
    store: Store,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to write; - for standard output.", allow_dash=True)
    ],
    name: Name = None,
    what: Annotated[str, typer.Option(help="The rows: history, long, trials or summary.")] = "history",
    format: Annotated[
        str | None,
        typer.Option(
            help="csv, jsonl or parquet. Default: from the file's name, or csv on standard output.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help=f"Only for --what summary. {_METRIC}", show_default=False)
    ] = None,
    mode: Annotated[str, typer.Option(help=f"Only for --what summary. {_MODE}")] = "auto",
) -> None:
    """Export a study's rows as CSV, JSON lines or Parquet."""
    from fairlane.results.export import export as write

    with reported("export"):
        study = _opened(store, name)
        if str(out) != "-":
            _folder(out)
            rows = write(study, out, what, format, metric, _mode(mode))
            typer.echo(f"wrote {rows} rows to {out}")
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "rows")
            write(study, file, what, format or "csv", metric, _mode(mode))
            sys.stdout.buffer.write(file.read_bytes())
            sys.stdout.buffer.flush()


@app.command()
def compare(
    store: Store,
    names: Annotated[list[str], typer.Argument(help="The studies' names.", metavar="NAME...")],
    metric: Annotated[str | None, typer.Option(help=_METRIC, show_default=False)] = None,
    mode: Annotated[str, typer.Option(help=_MODE)] = "auto",
) -> None:
    """Show the best variant of several studies, a row each, by the same metric.

    There is no p-value: studies may have other data, and seeds that can't be paired.
    """
    import pandas as pd

    with reported("compare"):
        rows = []
        for name in names:
            table = fairlane.open(store, name).summary(metric, mode=_mode(mode))
            best = table.iloc[0]
            labels = [n for n in table.columns[1 : table.columns.get_loc("metric")] if best[n] == best[n]]
            rows.append(
                {
                    "study": name,
                    "best variant": ", ".join(f"{n}={best[n]}" for n in labels)
                    or f"variant {best['variant']}",
                    **{n: best[n] for n in ("metric", "seeds", "mean", "low", "high")},
                }
            )
        if len({row["metric"] for row in rows}) > 1:
            raise StudyError("the studies have different default metrics; give --metric, one that all have")
        typer.echo(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.4g}"))


@app.command()
def copy(
    store: Store,
    name: Annotated[str, typer.Argument(help="The study's name.")],
    to: Annotated[
        str, typer.Argument(help="The store for the copy; it is made if it does not exist.", metavar="TO")
    ],
    new: Annotated[
        str | None,
        typer.Option("--name", help="The copy's name. Default: the study's own.", show_default=False),
    ] = None,
) -> None:
    """Copy a study to another store, with its weights and checkpoints.

    The copy can be continued like the study itself.
    """
    from fairlane.store import copied

    with reported("copy"):
        trials = copied(store, name, to, new)
        called = "" if new in (None, name) else f" as {new!r}"
        typer.echo(f"copied {name!r} with its {plural(trials, 'trial')} to {to}{called}")


@app.command()
def rename(
    store: Store,
    name: Annotated[str, typer.Argument(help="The study's name.")],
    new: Annotated[str, typer.Argument(help="Its next name.")],
) -> None:
    """Give a study another name."""
    from fairlane.store import rename as renamed

    with reported("rename"):
        renamed(store, name, new)
        typer.echo(f"{name!r} is {new!r} now")


@app.command()
def delete(
    store: Store,
    name: Annotated[str, typer.Argument(help="The study's name.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study with its weights. This can't be undone."""
    from fairlane.store import delete as deleted

    with reported("delete"):
        trials = len(fairlane.open(store, name).trials)
        if not yes and not typer.confirm(f"Delete {name!r} with its {plural(trials, 'trial')} and weights?"):
            typer.echo("nothing was deleted")
            return
        deleted(store, name)
        typer.echo(f"deleted {name!r} and its {plural(trials, 'trial')}")


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
    write: Annotated[
        bool,
        typer.Option("--write", help="Let who has the printed address write notes and tags on the pages."),
    ] = False,
) -> None:
    """Show the studies of a store on live pages, until Ctrl-C. The store is only read, without --write."""
    from fairlane.ui import serve

    with reported("ui"):
        serve(store, host, port, browser, typer.echo, write)
