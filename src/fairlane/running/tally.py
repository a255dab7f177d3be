"""Records → how far a study is, in numbers and in words.

In: the records of a study's trials, as they change, and a clock. Out: counts, a rate, the time that is left,
and the lowest loss.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence

from fairlane.kit.text import plural
from fairlane.store import Record
from fairlane.trials import TrialState

Clock = Callable[[], float]

BETWEEN_DRAWS = 0.2
"""Seconds between two redraws of a live display, and at least between two samples of the rate."""
_WINDOW = 30.0
"""Seconds over which the rate is measured."""


class Tally:
    """Counts of trials and epochs, and the words for them.

    Args:
        records: those of all trials.
        epochs_total: the epochs that all trials will train, if none stops early.
        clock: the time in seconds.
    """

    def __init__(self, records: list[Record], epochs_total: int, clock: Clock) -> None:
        self._clock = clock
        self._records = records
        self._several_seeds = len({record.trial.seed for record in records}) > 1
        self._planned = _Planned(records, epochs_total)
        self._later, self._later_epochs = 0, 0.0
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
        return len(self._records) + self._later

    def expect(self, records: Sequence[Record], epochs: Sequence[float], later: int) -> None:
        """Count further trials.

        Args:
            records: theirs.
            epochs: how many epochs each of them will probably train.
            later: how many more trials are expected after them, each with as many epochs.
        """
        for record, count in zip(records, epochs, strict=True):
            self._records.append(record)
            self._planned.own[record.trial.number] = count
        mean = sum(epochs) / len(epochs) if epochs else 0.0
        self.total += sum(epochs) + later * mean - self._later_epochs
        self._later, self._later_epochs = later, later * mean
        self._several_seeds = len({record.trial.seed for record in self._records}) > 1
        for record in records:
            self.take(record)

    def begin(self) -> None:
        """Start the clock; epochs that are done already do not count for the rate."""
        self._take_all()
        self._began = self._clock()
        self._before = self.done
        self._samples.clear()
        self._last = math.nan

    def take(self, record: Record) -> bool:
        """Count what is new in a record.

        Args:
            record: one of the study's.

        Returns:
            Whether its trial has just ended.
        """
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
        """At a change, note how far the study was at the change before.

        So the lanes of a fleet, which end their epochs together, count together. The time before the first
        epochs end does not count, because most of it is compilation.
        """
        now, samples = self._clock(), self._samples
        if math.isnan(self._last):
            self._first = now
        elif now - (samples[-1][0] if samples else self._first) >= BETWEEN_DRAWS:
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
        """The share of the epochs that are done."""
        return min(1.0, self.done / self._all) if self._all else 0.0

    def done_of(self, parts: int) -> int:
        """How many of some equal parts of all epochs are done.

        Args:
            parts: the number of parts.
        """
        return parts * self.done // self._all if self._all else 0

    @property
    def _all(self) -> int:
        return max(self.done, round(self.total))

    def opening(self) -> str:
        """``4 trials, 120 epochs; 30 epochs are done already``."""
        are = "is" if self.done == 1 else "are"
        already = f"; {plural(self.done, 'epoch')} {are} done already" if self.done else ""
        return f"{plural(self._trials, 'trial')}, {plural(self._all, 'epoch')}{already}"

    def counts(self) -> str:
        """``3/10 trials, 1 failed, 123/300 epochs``."""
        parts = [f"{len(self._ended)}/{plural(self._trials, 'trial')}", *self._troubles()]
        return ", ".join([*parts, f"{self.done}/{self._all} epochs"])

    def _troubles(self) -> list[str]:
        counts = Counter(self._ended.values())
        troubles = TrialState.FAILED, TrialState.DIVERGED, TrialState.INTERRUPTED
        return [f"{counts[state]} {state}" for state in troubles if counts[state]]

    def pace(self) -> str:
        """``45.2 epochs/s, 0:07 left``; before there is a rate, ``0:10 elapsed``.

        Until the first epoch has ended, most of the time is compilation: ``compiling, 0:10 elapsed``.
        """
        if self.done == self._before:
            return f"compiling, {_duration(self._clock() - self._began)} elapsed"
        since, before = self._samples[0] if self._samples else (self._last, self.done)
        if not (self.done > before and self._last > since):
            return f"{_duration(self._clock() - self._began)} elapsed"
        rate = (self.done - before) / (self._last - since)
        speed = f"{_digits(rate)} epochs/s" if rate >= 1 else f"{_digits(1 / rate)} s/epoch"
        return f"{speed}, {_duration((self._all - self.done) / rate)} left"

    def lowest(self) -> str:
        """``lowest val_loss of all trials and epochs: 0.1234 (learning_rate=0.001)``, or empty."""
        metric = "val_loss" if "val_loss" in self._lowest else "loss"
        if metric not in self._lowest:
            return ""
        value, label = self._lowest[metric]
        return f"lowest {metric} of all trials and epochs: {value:.4g} ({label})"

    def closing(self, stopped: bool) -> str:
        """``10 trials, 1 failed, 300 epochs in 6.6 s; lowest ...``.

        Args:
            stopped: whether an exception ended the study.
        """
        self._take_all()  # Ctrl-C marks trials as interrupted without an event
        ended = len(self._ended)
        trials = plural(self._trials, "trial")
        if stopped or ended < self._trials:
            trials = f"stopped after {ended} of {trials}"
        epochs = plural(self.done - self._before, "epoch")
        seconds = self._clock() - self._began
        time_taken = f"{seconds:.1f} s" if seconds < 60 else _duration(seconds)
        words = ", ".join([trials, *self._troubles(), f"{epochs} in {time_taken}"])
        return "; ".join(filter(None, [words, self.lowest()]))


class _Planned:
    """How many epochs each trial is planned to train."""

    def __init__(self, records: list[Record], epochs_total: int) -> None:
        self.own: dict[int, float] = {}
        own = [n for n in map(self._own, records) if n is not None]
        others = len(records) - len(own)
        self._common = (epochs_total - sum(own)) / others if others else 0.0

    def epochs(self, record: Record) -> float:
        """A trial's planned epochs.

        Args:
            record: the trial's.
        """
        own = self._own(record)
        return self._common if own is None else own

    def _own(self, record: Record) -> float | None:
        """The epochs of a trial that has them as a hyperparameter, or that came later."""
        if record.trial.number in self.own:
            return self.own[record.trial.number]
        own = record.trial.variant.fit_arguments.get("epochs")
        return float(own) if isinstance(own, int) else None


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _duration(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:23:45``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
