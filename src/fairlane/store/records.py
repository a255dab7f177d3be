"""What is known of each trial, and the contract of the stores that keep it.

In: the events of the engines. Out: a `Record` per trial, trained weights, and checkpoints to go on from.
Only the driver of a study writes a store; frames, figures and progress read the records.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairlane.errors import StoreError
from fairlane.trials import (
    Checkpoint,
    CutOff,
    EpochEnded,
    Event,
    Site,
    Tested,
    Trial,
    TrialDone,
    TrialFailed,
    TrialStarted,
    TrialState,
    Weights,
)

KEPT_CHECKPOINTS = 2
"""Checkpoints kept of each trial: the newest, and the one before, should the newest be damaged."""


@dataclass(eq=False)
class Record:
    """What is known of one trial.

    Attributes:
        trial: its spec.
        state: where it stands.
        epochs: ``(epoch, logs)`` per finished epoch, in order; epochs count from 0.
        seconds: wall-clock seconds spent.
        engine: the engine that ran it, or empty.
        reason: why it is not on lanes, or empty.
        fleet: its fleet's number, or None.
        loop: the loop of its fleet, or empty.
        error: one line, or empty.
        traceback: the whole traceback, or empty.
        test_logs: ``test_<metric>`` → value, where there were test data.
        weights_epoch: the epoch that the trained weights are of, as of a `fairlane.trials.TrialDone`.
        directions: metric → ``"min"`` or ``"max"``, as Keras knows it of the compiled metrics.
    """

    trial: Trial
    state: TrialState = TrialState.WAITING
    epochs: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    seconds: float = 0.0
    engine: str = ""
    reason: str = ""
    fleet: int | None = None
    loop: str = ""
    error: str = ""
    traceback: str = ""
    test_logs: dict[str, float] = field(default_factory=dict)
    weights_epoch: int | None = None
    directions: dict[str, str] = field(default_factory=dict)

    @property
    def last_logs(self) -> dict[str, float]:
        """The logs of the last finished epoch, or nothing."""
        return self.epochs[-1][1] if self.epochs else {}

    def take(self, event: Event) -> None:
        """Bring the record up to date.

        Raises:
            StoreError: the event can't come in this state; the record is as it was.
        """
        self._check(event)
        match event:
            case TrialStarted():
                # A trial that lanes gave up is begun anew elsewhere: its rows are written again.
                self.rewind(event.epoch)
                self.state = TrialState.RUNNING
                self.engine, self.reason = event.engine, event.reason
                self.fleet, self.loop = event.fleet, event.loop
            case EpochEnded():
                # An array that a callback logs and goes on with is to stay what it was in this epoch.
                logs = {name: _own(value) for name, value in event.logs.items()}
                self.epochs.append((event.epoch, logs))
                self.directions |= event.directions
                self.error = self.error or divergence(event.epoch, logs)
            case TrialDone():
                self.state = TrialState.DIVERGED if self.error else TrialState.DONE
                self.seconds = event.seconds
                self.loop = event.loop or self.loop
                self.weights_epoch = event.weights_epoch
            case TrialFailed():
                self.state = TrialState.FAILED
                self.error, self.traceback = event.error, event.traceback
                self.seconds = event.seconds
            case Tested():
                self.test_logs = dict(event.logs)
                if event.error:
                    self.error = f"the test data could not be evaluated: {event.error}"
            case Checkpoint() | CutOff():
                pass  # it says nothing about the trial that the epochs before it did not

    def rewind(self, epoch: int) -> None:
        """Forget ``epoch`` and all after it, and how the trial ended: it is to be trained from there."""
        self.epochs = [(number, logs) for number, logs in self.epochs if number < epoch]
        self.state = TrialState.WAITING
        self.weights_epoch = None
        self.traceback = ""
        self.test_logs = {}
        self.error = next(filter(None, (divergence(number, logs) for number, logs in self.epochs)), "")

    def _check(self, event: Event) -> None:
        running = self.state is TrialState.RUNNING
        if isinstance(event, EpochEnded | TrialDone | Checkpoint) and not running:
            raise StoreError(
                f"{self.trial} is {self.state}, so a store takes no {type(event).__name__} of it"
            )
        if isinstance(event, CutOff) and not (running or self.state is TrialState.INTERRUPTED):
            raise StoreError(f"{self.trial} is {self.state}, so it can't be cut off")
        if isinstance(event, Tested) and self.state is not TrialState.DONE:
            raise StoreError(f"{self.trial} is {self.state}, and only what is done is tested")
        if isinstance(event, TrialFailed) and self.state.ended:
            raise StoreError(f"{self.trial} is {self.state} already, so it can't fail any more")
        if isinstance(event, EpochEnded) and self.epochs and event.epoch <= self.epochs[-1][0]:
            raise StoreError(
                f"{self.trial} has finished epoch {self.epochs[-1][0]}, so epoch {event.epoch} can't follow"
            )


def _own(value: Any) -> Any:
    """A logged value that nobody else can change."""
    return copy.deepcopy(value) if isinstance(value, np.ndarray | list | dict) else value


def next_epoch(record: Record) -> int:
    """The epoch after the last that was finished, counted from 0."""
    return record.epochs[-1][0] + 1 if record.epochs else 0


def divergence(epoch: int, logs: dict[str, float]) -> str:
    """Say that the training loss is not finite, or nothing."""
    loss = logs.get("loss")
    if not isinstance(loss, float) or math.isfinite(loss):
        return ""
    kind = "NaN" if math.isnan(loss) else "infinite"
    return (
        f"the loss became {kind} in epoch {epoch} (counted from 0); "
        "a lower learning rate or gradient clipping often mends it"
    )


class Records(ABC):
    """What can be read of a study, wherever it is kept.

    Iteration gives the records in the order of the trials' numbers, and ``len`` their count.

    Attributes:
        notes: unusual things that reading or writing met, a sentence each, for the study to warn of: a
            damaged file that was passed over, a log that could not be kept exactly. The reader empties it.
    """

    notes: list[str]

    @abstractmethod
    def __iter__(self) -> Iterator[Record]:
        """The records, by their trials' numbers."""

    @abstractmethod
    def __len__(self) -> int:
        """How many trials there are."""

    @abstractmethod
    def __getitem__(self, trial: Trial) -> Record:
        """The record of a trial of this study.

        Raises:
            KeyError: it is not of this study.
        """

    @abstractmethod
    def weights(self, trial: Trial) -> Weights | None:
        """The trained state of a trial that was trained to its end; None where there is none.

        Raises:
            StoreError: they were kept, and can't be read, or not as they were written.
        """

    @abstractmethod
    def checkpoint(self, trial: Trial) -> Checkpoint | None:
        """The newest state that training can go on from; None where there is none.

        Of a trial that is done, it is its end, where ``TrialDone`` came with a ``memory``. One that can't
        be read as it was written is passed over for the one before, and `notes` says so.
        """

    @abstractmethod
    def cut_off(self, trial: Trial) -> CutOff | None:
        """The newest state of a trial that was not trained to its end; None where there is none.

        It is that after its last finished epoch where it was stopped by Ctrl-C; of a process that was killed,
        of its newest checkpoint.

        Raises:
            StoreError: it was kept, and can't be read, or not as it was written.
        """

    @abstractmethod
    def description(self, trial: Trial) -> str | None:
        """How the model of the trial's variant is built, as `Store.describe` was told; else None."""

    @abstractmethod
    def sites(self) -> list[Site]:
        """Where trials were trained: the site of each process that told something, in order, each once.

        Of what was told to an older Fairlane, which kept no sites, it is an empty `Site`.
        """


class Store(Records):
    """Where a study is kept while it runs: one writer, from one thread.

    What may be written when, checked before anything is changed (`StoreError`):

    ================  ==========================  ================================================
    call              states it is allowed in     the state after it
    ================  ==========================  ================================================
    ``TrialStarted``  any                         running; epochs from ``event.epoch`` on go, with
                                                  later checkpoints and the trained weights
    ``EpochEnded``    running                     running; epochs come in ascending order
    ``Checkpoint``    running                     running; the newest two are kept
    ``CutOff``        running, interrupted        the same; it goes when the trial is trained again
    ``TrialDone``     running                     done, or diverged; the checkpoints go
    ``TrialFailed``   waiting, running            failed; the checkpoints stay
    ``Tested``        done                        done; what an earlier test told goes
    ``rewind``        any                         waiting; as ``TrialStarted``
    ``interrupt``     any                         trials that have not ended: interrupted
    ================  ==========================  ================================================

    Durable stores may collect what is written for about half a second. What they have committed is whole:
    a killed process leaves each epoch with all of its logs or not at all, and no trial done without its
    weights. `flush` and `close` wait for it. The values of events must not be changed after `write`.

    Any call that writes may raise a `StoreError` for what could not be committed since the last one, too;
    what was committed before stays, and nothing more is taken.
    """

    @abstractmethod
    def adopt(self, trials: Sequence[Trial], epochs: Sequence[int]) -> list[Trial]:
        """Add those trials of a plan that are not there yet.

        Args:
            trials: planned, in order.
            epochs: for each, up to which epoch it is to be trained.

        Returns:
            For each of them the trial to run, numbered as in the store.
        """

    @abstractmethod
    def unfinished(self, trial: Trial) -> bool:
        """Whether the trial is to be run: not trained to its end, or asked for more epochs since then."""

    @abstractmethod
    def write(self, event: Event) -> Record:
        """Take one event in; return the record of its trial, brought up to date.

        Raises:
            StoreError: the event can't come in the trial's state, or can't be kept.
        """

    @abstractmethod
    def describe(self, trial: Trial, description: str) -> None:
        """Keep how the model of the trial's variant is built."""

    @abstractmethod
    def rewind(self, trial: Trial, epoch: int) -> Record:
        """Forget ``epoch``, counted from 0, and all after it, because the trial is trained from there."""

    @abstractmethod
    def interrupt(self, diverged: Trial | None = None) -> None:
        """Mark every trial that has not ended as cut off.

        Args:
            diverged: the one whose divergence is why, and which is marked so.
        """

    @abstractmethod
    def flush(self) -> None:
        """Wait until all that was written is kept for good."""

    @abstractmethod
    def close(self) -> None:
        """End writing, after a `flush`; reading goes on. Closing twice is allowed."""
