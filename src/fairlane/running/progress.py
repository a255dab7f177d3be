"""What a study shows while it runs.

In: the records of a study's trials, as they change. Out: text on a stream.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Literal, TextIO

from fairlane.errors import StudyError
from fairlane.running.displays import Display, Silent, display_for
from fairlane.running.tally import Clock, Tally
from fairlane.store import Record

Verbose = Literal["auto", 0, 1, 2]


class Progress:
    """Shows how far a study is. Use it in a ``with`` statement, and call `update` for every change.

    In a terminal, two lines are redrawn about five times a second; in a notebook, one line. Elsewhere there
    is a line at the start, one at the end, and at most one per tenth of the epochs between them. Nothing runs
    on after the ``with`` statement, also after an exception or Ctrl-C.

    Args:
        records: those of all trials; some trials may have ended already.
        epochs_total: the epochs that all trials will train, if none stops early.
        verbose: 0 shows nothing; 1, or ``"auto"``, as above; 2 a plain line per ended trial.
        file: the stream to write to; by default the ``sys.stderr`` of the moment when the ``with`` begins.
        clock: the time in seconds.

    Raises:
        StudyError: ``verbose`` has another value.

    Example:
        >>> from fairlane.trials import Trial, Variant
        >>> record = Record(Trial(0, Variant(0, {"units": 32}), seed=7))
        >>> with Progress([record], 2, verbose=2, file=sys.stdout, clock=lambda: 0.0) as progress:
        ...     record.epochs = [(0, {"loss": 0.5}), (1, {"loss": 0.25})]
        ...     record.state = TrialState.DONE
        ...     progress.update(record)
        fairlane: 1 trial, 2 epochs
        fairlane: trial 0 (units=32, seed 7): done, 2 epochs, loss 0.25
        fairlane: 1 trial, 2 epochs in 0.0 s; lowest loss of all trials and epochs: 0.25 (units=32)
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
        self._tally = Tally(list(records), epochs_total, clock)
        self._display: Display = Silent()

    def __enter__(self) -> Progress:
        self._tally.begin()
        self._display = display_for(self._verbose, self._file, self._tally, self._clock)
        self._display.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._display.stop(self._tally.closing(stopped=kind is not None))
        self._display = Silent()

    def expect(self, records: Sequence[Record], epochs: Sequence[float], later: int) -> None:
        """Show further trials.

        Args:
            records: theirs.
            epochs: how many epochs each of them will probably train.
            later: how many more trials are expected after them, each with as many epochs.
        """
        self._tally.expect(records, epochs, later)

    def update(self, record: Record) -> None:
        """Show a change of a record; fast enough for a call after every event.

        Args:
            record: one of those that were given at the start.
        """
        ended = self._tally.take(record)
        self._display.changed(record if ended else None)
