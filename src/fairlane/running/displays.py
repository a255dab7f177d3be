"""How far a study is → text on a stream: live in a terminal or notebook, plain lines elsewhere.

In: a `Tally`, whenever it changes. Out: text. rich is imported only where something is shown.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from fairlane.kit.text import plural
from fairlane.running.tally import BETWEEN_DRAWS, Clock, Tally
from fairlane.store import Record

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_BETWEEN_LINES = 5.0
"""Seconds between two plain lines, at least."""
_LINES = 10
"""The most plain lines of a study, without the first and the last."""


class Display(Protocol):
    """Shows a tally. The three methods are called in this order: once, for every change, and once."""

    def start(self) -> None:
        """Begin."""

    def changed(self, ended: Record | None) -> None:
        """The tally has changed; ``ended`` is the record of a trial that has just ended."""

    def stop(self, closing: str) -> None:
        """Show the last line, and stop everything that runs."""


def display_for(verbose: int, file: TextIO | None, tally: Tally, clock: Clock) -> Display:
    """The display for a stream.

    Args:
        verbose: 0, 1 or 2, as for `fairlane.running.progress.Progress`.
        file: the stream; None for ``sys.stderr``.
        tally: what is shown.
        clock: the time in seconds.
    """
    if verbose == 0:
        return Silent()
    file = file or sys.stderr
    if file is None:  # as under pythonw, which has no streams
        return Silent()
    if verbose == 2:
        return _TrialLines(file, tally)
    from rich.console import Console

    console = Console(file=file)
    if console.is_jupyter:
        return _Notebook(tally, clock)
    # rich takes FORCE_COLOR for a terminal, and build servers often set it.
    if console.is_interactive and file.isatty():
        return _Live(console, tally)
    return _Lines(file, tally, clock)


class Silent:
    """Shows nothing."""

    def start(self) -> None:
        """Do nothing."""

    def changed(self, ended: Record | None) -> None:
        """Do nothing."""

    def stop(self, closing: str) -> None:
        """Do nothing."""


class _Lines:
    """A plain line now and then."""

    def __init__(self, file: TextIO, tally: Tally, clock: Clock) -> None:
        self._file, self._tally, self._clock = file, tally, clock
        self._due = clock() + _BETWEEN_LINES
        self._part = tally.done_of(_LINES)

    def start(self) -> None:
        self._line(self._tally.opening())

    def changed(self, ended: Record | None) -> None:
        part = self._tally.done_of(_LINES)
        if not self._part < part < _LINES or self._clock() < self._due:
            return
        self._part, self._due = part, self._clock() + _BETWEEN_LINES
        tally = self._tally
        words = f"{tally.counts()}, {tally.pace()}"
        self._line("; ".join(filter(None, [words, tally.lowest()])))

    def stop(self, closing: str) -> None:
        self._line(closing)

    def _line(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a closed pipe must not end a study
            print(f"fairlane: {text}", file=self._file, flush=True)


class _TrialLines(_Lines):
    """A plain line per ended trial."""

    def __init__(self, file: TextIO, tally: Tally) -> None:
        super().__init__(file, tally, lambda: 0.0)

    def changed(self, ended: Record | None) -> None:
        if ended is None:
            return
        logs = ended.last_logs
        words = [str(ended.state), plural(len(ended.epochs), "epoch")]
        words += [f"{name} {logs[name]:.4g}" for name in ("loss", "val_loss") if name in logs]
        error = f": {ended.error}" if ended.error else ""
        self._line(f"{ended.trial}: {', '.join(words)}{error}")


class _Live:
    """Two lines in a terminal, redrawn by a thread of rich's."""

    def __init__(self, console: Console, tally: Tally) -> None:
        from rich.live import Live

        self._tally = tally
        self._closing = ""
        self._live = Live(
            console=console,
            get_renderable=self._renderable,
            refresh_per_second=1 / BETWEEN_DRAWS,
            # Text that is printed meanwhile goes above the display; but text for a pipe must stay in the
            # pipe.
            redirect_stdout=_is_terminal(sys.stdout),
            redirect_stderr=_is_terminal(sys.stderr),
        )

    def start(self) -> None:
        self._live.start()

    def changed(self, ended: Record | None) -> None:
        pass

    def stop(self, closing: str) -> None:
        self._closing = closing
        self._live.stop()

    def _renderable(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if self._closing:
            return Text(self._closing)
        tally = self._tally
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1, min_width=8)
        bar.add_column(no_wrap=True, overflow="ellipsis")
        words = Text(f"{tally.counts()}, {tally.pace()}")
        bar.add_row(ProgressBar(total=1.0, completed=tally.fraction), words)
        lowest = Text(tally.lowest(), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(bar, lowest) if lowest else bar


class _Notebook:
    """One line in a notebook's output, replaced in place; needs no widgets."""

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self._tally, self._clock = tally, clock
        self._due = clock() + BETWEEN_DRAWS
        self._handle: Any = None

    def start(self) -> None:
        from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

        opening = self._text(self._tally.opening())
        self._handle = display(opening, raw=True, display_id=True)

    def changed(self, ended: Record | None) -> None:
        if self._clock() < self._due:
            return
        self._due = self._clock() + BETWEEN_DRAWS
        tally = self._tally
        words = f"{tally.counts()}, {tally.pace()}"
        self._show("; ".join(filter(None, [words, tally.lowest()])))

    def stop(self, closing: str) -> None:
        self._show(closing)

    def _show(self, text: str) -> None:
        if self._handle is not None:
            self._handle.update(self._text(text), raw=True)

    @staticmethod
    def _text(text: str) -> dict[str, str]:
        return {"text/plain": f"fairlane: {text}"}


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
