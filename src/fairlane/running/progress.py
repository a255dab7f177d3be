"""What a study shows while it runs: live in a terminal or notebook, plain lines elsewhere.

In: the records of a study's trials, as they change. Out: text on a stream. rich is imported only
where something is shown.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

from fairlane.errors import StudyError
from fairlane.store import Record
from fairlane.trials import TrialState

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Verbose = Literal["auto", 0, 1, 2]
Clock = Callable[[], float]

_BETWEEN_DRAWS = 0.2
"""Seconds between two redraws of a live display."""
_BETWEEN_LINES = 5.0
"""Seconds between two plain lines, at least."""
_LINES = 10
"""Plain lines of a whole study, at most, but for the first and the last."""
_WINDOW = 30.0
"""Seconds back to which the rate is measured."""


class Progress:
    """Shows how far a study is; to be used in a ``with`` statement and told of every change.

    In a terminal two lines are redrawn about five times a second, in a notebook one line is.
    Elsewhere there is a line at the start, one at the end, and at most one per tenth of the epochs
    between them. Nothing is left running once the ``with`` statement is left, be it by an exception
    or by Ctrl-C.

    Args:
        records: those of all trials, of which some may have ended already.
        epochs_total: the epochs that all trials will train, if none stops early.
        verbose: 0 shows nothing; 1, or ``"auto"``, as above; 2 a plain line per ended trial.
        file: the stream to write to; by default ``sys.stderr``, as it is on entry.
        clock: the time in seconds.

    Raises:
        StudyError: ``verbose`` is something else.

    Example:
        >>> from fairlane.trials import Trial, Variant
        >>> record = Record(Trial(0, Variant(0, {"units": 32}), seed=7))
        >>> with Progress([record], 2, verbose=2, file=sys.stdout, clock=lambda: 0.0) as progress:
        ...     record.epochs = [(0, {"loss": 0.5}), (1, {"loss": 0.25})]
        ...     record.state = TrialState.DONE
        ...     progress.update(record)
        fairlane: 1 trial, 2 epochs
        fairlane: trial 0 (units=32, seed 7): done, 2 epochs, loss 0.25
        fairlane: 1 trial, 2 epochs in 0.0 s; lowest loss of any trial and epoch 0.25 (units=32)
    """

    def __init__(
        self,
        records: Iterable[Record],
        epochs_total: int,
        verbose: Verbose = "auto",
        file: TextIO | None = None,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        if verbose not in ("auto", 0, 1, 2):
            raise StudyError(f'verbose must be "auto", 0, 1 or 2, not {verbose!r}')
        self._verbose = 1 if verbose == "auto" else int(verbose)
        self._file = file
        self._clock = clock
        self._tally = _Tally(list(records), epochs_total, clock)
        self._display: _Display = _Silent()

    def __enter__(self) -> Progress:
        self._tally.begin()
        self._display = _display(self._verbose, self._file, self._tally, self._clock)
        self._display.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._display.stop(self._tally.closing(stopped=kind is not None))
        self._display = _Silent()

    def update(self, record: Record) -> None:
        """Take in what has changed in a record; cheap enough to be called after every event.

        Args:
            record: one of those that the progress was made with.
        """
        ended = self._tally.take(record)
        self._display.changed(record if ended else None)


# Counting


class _Tally:
    """Counts of trials and epochs, and the words for them."""

    def __init__(self, records: list[Record], epochs_total: int, clock: Clock) -> None:
        self._clock = clock
        self._records = records
        self._several_seeds = len({record.trial.seed for record in records}) > 1
        self._planned = _Planned(records, epochs_total)
        self.total = float(epochs_total)
        self.done = 0
        self._epochs: dict[int, int] = {}
        self._ended: dict[int, TrialState] = {}
        self._lowest: dict[str, tuple[float, str]] = {}
        self._samples: deque[tuple[float, int]] = deque()
        self._first = self._last = math.nan
        self.begin()

    @property
    def _trials(self) -> int:
        return len(self._records)

    def begin(self) -> None:
        """Start the clock; what has been done before does not count for the rate."""
        self._take_all()
        self._began = self._clock()
        self._before = self.done
        self._samples.clear()
        self._last = math.nan

    def take(self, record: Record) -> bool:
        """Count what is new in a record; say whether its trial has just ended."""
        number = record.trial.number
        before, now = self._epochs.get(number, 0), len(record.epochs)
        self._epochs[number] = now
        if now > before:
            self._sample()
        self.done += now - before
        for _, logs in record.epochs[min(before, now) :]:
            self._look_at(record, logs)
        if not record.state.ended or number in self._ended:
            return False
        self._ended[number] = record.state
        self.total += now - self._planned.epochs(record)  # stopped early: fewer are left to do
        return True

    def _sample(self) -> None:
        """Note how far it was at the last change, now that there is another.

        So the lanes of a fleet, which end their epochs together, count together; and the time before
        the first epochs have ended, which is mostly spent compiling, does not count.
        """
        now, samples = self._clock(), self._samples
        if math.isnan(self._last):
            self._first = now
        elif now - (samples[-1][0] if samples else self._first) >= _BETWEEN_DRAWS:
            samples.append((self._last, self.done))
        while len(samples) > 1 and now - samples[1][0] > _WINDOW:
            samples.popleft()
        self._last = now

    def _take_all(self) -> None:
        for record in self._records:
            self.take(record)

    def _look_at(self, record: Record, logs: dict[str, float]) -> None:
        for metric in ("loss", "val_loss"):
            value = logs.get(metric, math.nan)
            if value < self._lowest.get(metric, (math.inf, ""))[0]:
                seed = f", seed {record.trial.seed}" if self._several_seeds else ""
                self._lowest[metric] = value, record.trial.variant.label + seed

    @property
    def fraction(self) -> float:
        """Of all epochs, those that are done."""
        return min(1.0, self.done / self._all) if self._all else 0.0

    def done_of(self, parts: int) -> int:
        """Of so many equal parts of all epochs, those that are done."""
        return parts * self.done // self._all if self._all else 0

    @property
    def _all(self) -> int:
        return max(self.done, round(self.total))

    def opening(self) -> str:
        """``4 trials, 120 epochs``."""
        begun = f"; {_many(self.done, 'epoch')} done before" if self.done else ""
        return f"{_many(self._trials, 'trial')}, {_many(self._all, 'epoch')}{begun}"

    def counts(self) -> str:
        """``3/10 trials, 1 failed, 123/300 epochs``."""
        parts = [f"{len(self._ended)}/{self._trials} trials", *self._troubles()]
        return ", ".join([*parts, f"{self.done}/{self._all} epochs"])

    def _troubles(self) -> list[str]:
        counts = Counter(self._ended.values())
        troubles = TrialState.FAILED, TrialState.DIVERGED, TrialState.INTERRUPTED
        return [f"{counts[state]} {state}" for state in troubles if counts[state]]

    def pace(self) -> str:
        """``45.2 epochs/s, 0:07 left``; before there is a rate, the time gone."""
        since, before = self._samples[0] if self._samples else (self._last, self.done)
        if not (self.done > before and self._last > since):
            return f"{_duration(self._clock() - self._began)} gone"
        rate = (self.done - before) / (self._last - since)
        speed = f"{_digits(rate)} epochs/s" if rate >= 1 else f"{_digits(1 / rate)} s/epoch"
        return f"{speed}, {_duration((self._all - self.done) / rate)} left"

    def lowest(self) -> str:
        """``lowest val_loss of any trial and epoch 0.1234 (learning_rate=0.001)``, or nothing yet."""
        metric = "val_loss" if "val_loss" in self._lowest else "loss"
        if metric not in self._lowest:
            return ""
        value, label = self._lowest[metric]
        return f"lowest {metric} of any trial and epoch {value:.4g} ({label})"

    def closing(self, stopped: bool) -> str:
        """``10 trials, 1 failed, 300 epochs in 6.6 s; lowest ...``."""
        self._take_all()  # Ctrl-C marks trials as interrupted without an event
        ended = len(self._ended)
        trials = _many(self._trials, "trial")
        if stopped or ended < self._trials:
            trials = f"stopped after {ended} of {trials}"
        epochs = _many(self.done - self._before, "epoch")
        seconds = self._clock() - self._began
        time_taken = f"{seconds:.1f} s" if seconds < 60 else _duration(seconds)
        words = ", ".join([trials, *self._troubles(), f"{epochs} in {time_taken}"])
        return "; ".join(filter(None, [words, self.lowest()]))


class _Planned:
    """How many epochs each trial was to train."""

    def __init__(self, records: list[Record], epochs_total: int) -> None:
        own = [n for n in map(self._own, records) if n is not None]
        others = len(records) - len(own)
        self._common = (epochs_total - sum(own)) / others if others else 0.0

    def epochs(self, record: Record) -> float:
        own = self._own(record)
        return self._common if own is None else own

    @staticmethod
    def _own(record: Record) -> float | None:
        """Those of a trial whose ``epochs`` are a hyperparameter."""
        own = record.trial.variant.fit_arguments.get("epochs")
        return float(own) if isinstance(own, int) else None


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _duration(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:23:45``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# Showing


class _Display(Protocol):
    """What shows a tally."""

    def start(self) -> None:
        """Begin."""

    def changed(self, ended: Record | None) -> None:
        """The tally has changed; ``ended`` is the record of a trial that has just ended."""

    def stop(self, closing: str) -> None:
        """Show the last words, and leave nothing running."""


def _display(verbose: int, file: TextIO | None, tally: _Tally, clock: Clock) -> _Display:
    """The display that suits the stream."""
    if verbose == 0:
        return _Silent()
    file = file or sys.stderr
    if file is None:  # as under pythonw, which has no streams
        return _Silent()
    if verbose == 2:
        return _TrialLines(file, tally)
    from rich.console import Console

    console = Console(file=file)
    if console.is_jupyter:
        return _Notebook(tally, clock)
    # rich takes FORCE_COLOR, which build servers like to set, for a terminal.
    if console.is_interactive and file.isatty():
        return _Live(console, tally)
    return _Lines(file, tally, clock)


class _Silent:
    """Shows nothing."""

    def start(self) -> None:
        pass

    def changed(self, ended: Record | None) -> None:
        pass

    def stop(self, closing: str) -> None:
        pass


class _Lines:
    """A plain line now and then."""

    def __init__(self, file: TextIO, tally: _Tally, clock: Clock) -> None:
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

    def __init__(self, file: TextIO, tally: _Tally) -> None:
        super().__init__(file, tally, lambda: 0.0)

    def changed(self, ended: Record | None) -> None:
        if ended is None:
            return
        logs = ended.last_logs
        words = [str(ended.state), _many(len(ended.epochs), "epoch")]
        words += [f"{name} {logs[name]:.4g}" for name in ("loss", "val_loss") if name in logs]
        error = f": {ended.error}" if ended.error else ""
        self._line(f"{ended.trial}: {', '.join(words)}{error}")


class _Live:
    """Two lines in a terminal, redrawn by a thread of rich's."""

    def __init__(self, console: Console, tally: _Tally) -> None:
        from rich.live import Live

        self._tally = tally
        self._closing = ""
        self._live = Live(
            console=console,
            get_renderable=self._renderable,
            refresh_per_second=1 / _BETWEEN_DRAWS,
            # What is printed meanwhile goes above the display, but not from a pipe to the terminal.
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

    def __init__(self, tally: _Tally, clock: Clock) -> None:
        self._tally, self._clock = tally, clock
        self._due = clock() + _BETWEEN_DRAWS
        self._handle: Any = None

    def start(self) -> None:
        from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

        opening = self._text(self._tally.opening())
        self._handle = display(opening, raw=True, display_id=True)

    def changed(self, ended: Record | None) -> None:
        if self._clock() < self._due:
            return
        self._due = self._clock() + _BETWEEN_DRAWS
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
