"""What is known of each trial, and the contract of the stores that hold it.

In: the events of the engines. Out: a `Record` per trial, trained weights, and checkpoints to continue from.
Only the driver of a study writes a store; frames, figures and progress read the records.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairlane.errors import StoreError
from fairlane.store.notes import Note
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
"""Checkpoints of each trial that a store holds: the newest, and one before it in case that is damaged."""


@dataclass(frozen=True)
class Decision:
    """What a search has decided.

    Attributes:
        about: what it is about: a word, then numbers, such as ``("rung", 0, 1)``.
        content: the decision, as JSON data.
    """

    about: tuple[Any, ...]
    content: Mapping[str, Any]


@dataclass(eq=False)
class Record:
    """What is known of one trial.

    Attributes:
        trial: its spec.
        state: how far it is.
        epochs: ``(epoch, logs)`` per finished epoch, in order; epochs count from 0.
        seconds: elapsed wall-clock seconds.
        engine: the engine that trained it, or empty.
        worker: the process that trained it, or empty: as of a `fairlane.trials.TrialStarted`.
        reason: why it is not on lanes, or why its fleet has no models of other sizes; or empty.
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
    worker: str = ""
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
                # A trial that lanes gave up starts again on another engine: its rows are written again.
                self.rewind(event.epoch)
                self.state = TrialState.RUNNING
                self.engine, self.worker, self.reason = event.engine, event.worker, event.reason
                self.fleet, self.loop = event.fleet, event.loop
            case EpochEnded():
                # A callback may go on to change an array that it logs; the record is of this epoch.
                logs = {name: _own(value) for name, value in event.logs.items()}
                self.epochs.append((event.epoch, logs))
                self.directions |= event.directions
                self.error = self.error or divergence(event.epoch, logs)
            case TrialDone():
                ended = TrialState.STOPPED if event.stopped else TrialState.DONE
                self.state = TrialState.DIVERGED if self.error else ended
                self.seconds = event.seconds
                self.loop, self.reason = event.loop or self.loop, event.reason or self.reason
                self.fleet = self.fleet if event.fleet is None else event.fleet
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
                pass  # the epochs before it say all that a record holds

    def rewind(self, epoch: int) -> None:
        """Delete ``epoch`` and all after it, and how the trial ended: it is trained from there again."""
        self.epochs = [(number, logs) for number, logs in self.epochs if number < epoch]
        self.state = TrialState.WAITING
        self.weights_epoch = None
        self.traceback = ""
        self.test_logs = {}
        # An epoch that stays may be the one that diverged.
        self.error = next(filter(None, (divergence(number, logs) for number, logs in self.epochs)), "")

    def _check(self, event: Event) -> None:
        running = self.state is TrialState.RUNNING
        if isinstance(event, EpochEnded | TrialDone | Checkpoint) and not running:
            raise StoreError(
                f"{self.trial} is {self.state}, so a store takes no {type(event).__name__} of it: only a "
                "running trial reports one"
            )
        if isinstance(event, CutOff) and not (running or self.state is TrialState.INTERRUPTED):
            raise StoreError(f"{self.trial} is {self.state}, so its training can't be cut off")
        if isinstance(event, Tested) and self.state is not TrialState.DONE:
            raise StoreError(f"{self.trial} is {self.state}, and only a trial that is done is tested")
        if isinstance(event, TrialFailed) and self.state.ended:
            raise StoreError(f"{self.trial} is {self.state}, so it has ended and can't fail")
        if isinstance(event, EpochEnded) and self.epochs and event.epoch <= self.epochs[-1][0]:
            raise StoreError(
                f"{self.trial} has finished epoch {self.epochs[-1][0]}, so epoch {event.epoch} can't follow"
            )


def _own(value: Any) -> Any:
    """A logged value, copied where its owner could change it."""
    return copy.deepcopy(value) if isinstance(value, np.ndarray | list | dict) else value


def next_epoch(record: Record) -> int:
    """The epoch after the last finished one, counted from 0."""
    return record.epochs[-1][0] + 1 if record.epochs else 0


def divergence(epoch: int, logs: dict[str, float]) -> str:
    """The sentence that the training loss is not finite; empty where it is finite."""
    loss = logs.get("loss")
    if not isinstance(loss, float) or math.isfinite(loss):
        return ""
    kind = "NaN" if math.isnan(loss) else "infinite"
    return (
        f"the loss became {kind} in epoch {epoch + 1} (counted from 1); "
        "a lower learning rate or gradient clipping often helps"
    )


class Records(ABC):
    """What can be read of a study, wherever it is stored.

    Iteration gives the records in the order of the trials' numbers, and ``len`` their count.

    Attributes:
        notes: a sentence for each unusual thing that reading or writing has found, for the study to warn of:
        a
            damaged file that was skipped, a log that could not be stored exactly. Who reads them clears the
            list.
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
            KeyError: the trial is not of this study.
        """

    @abstractmethod
    def weights(self, trial: Trial) -> Weights | None:
        """The trained state of a trial that was trained to its end; None where there is none.

        Raises:
            StoreError: the file with them is missing or damaged.
        """

    @abstractmethod
    def checkpoint(self, trial: Trial) -> Checkpoint | None:
        """The newest state that training can continue from; None where there is none.

        For a trial that is done, that is its end, if its ``TrialDone`` came with a ``memory``. A damaged
        checkpoint is skipped for the one before, and `notes` says so.
        """

    @abstractmethod
    def cut_off(self, trial: Trial) -> CutOff | None:
        """The newest state of a trial that was not trained to its end; None where there is none.

        After Ctrl-C, that is the state after its last finished epoch; after a killed process, its newest
        checkpoint.

        Raises:
            StoreError: the file with it is missing or damaged.
        """

    @abstractmethod
    def description(self, trial: Trial) -> str | None:
        """How the model of the trial is built, as given to `Store.describe`; else None."""

    @abstractmethod
    def decisions(self) -> list[Decision]:
        """What a search has decided, in order; empty for a study that is not a search."""

    @abstractmethod
    def noted(self) -> dict[int | None, Note]:
        """Notes, by the variant's number; that about the whole study under None, first."""

    @abstractmethod
    def note(self, variant: int | None, note: Note) -> None:
        """Replace the note about a variant, or the whole study; an empty one deletes it.

        Raises:
            StudyError: there is no variant of this number.
            StoreError: the store can't be written.
        """

    @abstractmethod
    def sites(self) -> list[Site]:
        """Where trials were trained: the site of each process that wrote an event, in order, each once.

        An empty `Site` stands for what older versions of Fairlane trained, which stored no sites.
        """


class Store(Records):
    """Where a study is stored while it runs: one writer, from one thread.

    What may be written in which state; it is checked before anything is changed (`StoreError`):

    ================  ==========================  ================================================
    call              states it is allowed in     the state after it
    ================  ==========================  ================================================
    ``TrialStarted``  any                         running; epochs from ``event.epoch`` on are
                                                  deleted, as are later checkpoints and weights
    ``EpochEnded``    running                     running; epochs come in ascending order
    ``Checkpoint``    running                     running; the newest two stay
    ``CutOff``        running, interrupted        the same; deleted when the trial is trained again
    ``TrialDone``     running                     done, stopped or diverged; no checkpoints stay
    ``TrialFailed``   waiting, running            failed; the checkpoints stay
    ``Tested``        done                        done; an earlier test is replaced
    ``rewind``        any                         waiting; as ``TrialStarted``
    ``interrupt``     any                         trials that have not ended: interrupted
    ================  ==========================  ================================================

    Durable stores may collect what is written for about half a second. What they have committed is complete:
    a killed process leaves each epoch with all of its logs or not at all, and no trial done without its
    weights. `flush` and `close` wait for the commit. The values of events must not be changed after `write`.

    Any call that writes may also raise a `StoreError` because an earlier write could not be committed. What
    was committed before stays, and nothing more is written.
    """

    @abstractmethod
    def adopt(self, trials: Sequence[Trial], epochs: Sequence[int]) -> list[Trial]:
        """Add those trials of a plan that the store does not have yet.

        Args:
            trials: planned, in order.
            epochs: for each, for how many epochs it is to be trained.

        Returns:
            For each of them the trial to run, numbered as in the store.
        """

    @abstractmethod
    def unfinished(self, trial: Trial) -> bool:
        """Whether the trial is to be trained: it has not ended, or more epochs are requested now."""

    @abstractmethod
    def write(self, event: Event) -> Record:
        """Record one event; return the record of its trial, brought up to date.

        Raises:
            StoreError: the event can't come in the trial's state, or can't be stored.
        """

    @abstractmethod
    def describe(self, trial: Trial, description: str) -> None:
        """Store how the model of the trial is built: the first of its variant, or one that differs."""

    @abstractmethod
    def decide(self, decision: Decision) -> None:
        """Store a decision of a search, after those before it."""

    @abstractmethod
    def rewind(self, trial: Trial, epoch: int) -> Record:
        """Delete ``epoch``, counted from 0, and all after it, because the trial is trained from there."""

    @abstractmethod
    def interrupt(self, diverged: Trial | None = None) -> None:
        """Mark every trial that has not ended as interrupted.

        Args:
            diverged: the trial whose divergence is the reason; it is marked as diverged.
        """

    @abstractmethod
    def flush(self) -> None:
        """Wait until all that was written is durable."""

    @abstractmethod
    def close(self) -> None:
        """Stop writing, after a `flush`; reading is still possible. Closing twice is allowed."""
