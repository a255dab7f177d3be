"""The contract of engines: they pull jobs from a feed and yield events; they never see the store.

In: a `Feed` of `Job`. Out: events (`fairlane.trials.Event`), each as soon as it is known, in the caller's
thread; a job that an engine can't run comes back as `Declined`, untouched by training.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from fairlane.engines.data.fit_data import FitData
from fairlane.models.session import Session
from fairlane.models.sharing import Held
from fairlane.trials import Checkpoint, Event, Trial


@dataclass(frozen=True)
class Pace:
    """How often a trial's checkpoints are taken, at the ends of epochs: after as many epochs, or seconds.

    Attributes:
        epochs: since the last one; None counts none.
        seconds: since the last one; None looks at no clock.
    """

    epochs: int | None = None
    seconds: float | None = None

    def is_due(self, epochs: int, seconds: float) -> bool:
        """Whether to take one, so many epochs and seconds after the last."""
        return (self.epochs is not None and epochs >= self.epochs) or (
            self.seconds is not None and seconds >= self.seconds
        )


@dataclass(eq=False)
class Job:
    """All that an engine needs to run one trial.

    Attributes:
        trial: the trial.
        model: returns its model: built anew, or the caller's own.
        arguments: of ``Model.fit``, without ``callbacks`` and ``verbose``.
        callbacks: returns its list of callbacks; None where there are none.
        session: returns the session it runs in.
        in_place: whether the model is the caller's own, to be left trained.
        varying: the numbers among its hyperparameters that another trial has otherwise.
        alike: how many jobs will probably share its program, itself included.
        reason: why it can't run on lanes, where that is known beforehand; else empty.
        data: its data arguments taken apart for lanes; None where they can't run there.
        builder: a function of the trial's builder arguments that returns such a model in another process
            too; None where the model itself must travel.
        shared: the variables of its model that other trials' models have too, and that training must not
        change.
        prepare: called with the built model before it is trained.
        resume: returns the checkpoint to go on from, or None; None where there is none.
        pace: how often checkpoints are taken; None for never.
        held_by_others: the addresses of objects that its callbacks hold, and those of other jobs too.
    """

    trial: Trial
    model: Callable[[], keras.Model]
    arguments: Mapping[str, Any]
    callbacks: Callable[[], list[Any]] | None
    session: Callable[[], Session]
    in_place: bool = False
    varying: tuple[float, ...] = ()
    alike: int = 1
    reason: str = ""
    data: FitData | None = None
    builder: Callable[..., keras.Model] | None = None
    shared: Callable[[keras.Model], list[Any]] | None = None
    prepare: Callable[[keras.Model], None] | None = None
    resume: Callable[[], Checkpoint | None] | None = None
    pace: Pace | None = None
    held_by_others: frozenset[int] = frozenset()

    def held(self, model: keras.Model) -> Held:
        """A watch over what its model shares."""
        return Held(self.shared(model) if self.shared is not None else (), str(self.trial))

    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from, or None."""
        return self.resume() if self.resume is not None else None


@dataclass(frozen=True, eq=False)
class Declined:
    """A job that the engine can't run.

    Attributes:
        job: the job.
        reason: why, in words that complete "not on lanes: ...".
        error: the exception that is the reason, where one is.
    """

    job: Job
    reason: str
    error: BaseException | None = None


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Feed:
    """Jobs in the order in which engines take them.

    Attributes:
        left: what an engine that is closed before its end has still to tell: epochs that were finished
            meanwhile, and the states of the trials that are cut off.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = deque(jobs)
        self.left: list[Event] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def take(self) -> Job | None:
        """The next job, or None where there is none left."""
        return self._jobs.popleft() if self._jobs else None


def one_line(error: BaseException) -> str:
    """``ValueError: the first line of what it says``."""
    first = first_line(error)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of what an error says; of Keras's "Exception encountered when", what it was too."""
    lines = [line for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    wrapped = bool(lines) and lines[0].startswith("Exception encountered when")
    return " ".join(lines[: 1 + wrapped]).strip()
