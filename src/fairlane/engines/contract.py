"""The contract of engines: what an engine is given, what it reports, and how it is directed.

In: jobs from a `Feed`, and orders. Out: events, each as soon as it is known, in the thread of whoever
iterates.

- **A job is data.** It names its builder, its data and its callbacks by keys; `fairlane.engines.resources`
  holds what the keys stand for. So the same job can be run here, in another process, or on another machine.
- **Events are yielded, by every engine.** Nobody is called from inside a trial's session, so nothing that is
  done with an event can change the trial.
- **A feed has no length.** It gives a job, or says that there is none yet, or that there will be none.
- **After each epoch a trial waits for an order**, as long as it takes: go on, or stop. `Pause` and no order
  are the same: the trial's state stays where it is. A waiting trial can be forked.
- Engines never see the store, and never decide anything by a trial's results.

`tests/engines/test_contract.py` holds every engine to this.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from fairlane.trials import Checkpoint, Event, ModelDescribed, Trial


@dataclass(frozen=True)
class Pace:
    """How often a trial's checkpoints are taken, at the ends of epochs: after as many epochs, or seconds.

    A trial without a pace keeps no memory of what its callbacks do. `Pace()` keeps it and takes no checkpoint
    by itself: the trial can be forked.

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


@dataclass(frozen=True, eq=False)
class Job:
    """All that an engine needs to know to run one trial: plain data, which can be pickled.

    Attributes:
        trial: the trial: its hyperparameters, seed and fold.
        builder: the key of the builder of its model, in the engine's `fairlane.engines.resources.Resources`.
        data: the key of its data.
        callbacks: the key of what makes its callbacks; empty where it has none.
        arguments: of ``Model.fit``, without those of the data, ``callbacks`` and ``verbose``.
        checkpoint: what it goes on from, or None.
        forked: whether the checkpoint is a copy of another trial's state, without which it does not begin.
        phases: how many epochs each phase of its training has, but the first: ``arguments`` say it of that.
        phase: which of them this job trains, from 0; `fairlane.engines.phases` makes the next one's job.
        began: the epoch that its phase began with, counted from 0, where it is not the first.
        opening: the state at the end of the phase before, where this one is to begin; else None.
        pace: how often its checkpoints are taken; None for never.
        varying: the numbers among its hyperparameters that other trials have with another value.
        alike: how many jobs will probably share its program, itself included.
        reason: why it can't run on lanes, where that is known beforehand; else empty.
        extremes: trials that nobody trains, whose whole numbers are the smallest and the largest that other
            trials of a search may have.
    """

    trial: Trial
    builder: str
    data: str
    callbacks: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    forked: bool = False
    phases: tuple[int, ...] = ()
    phase: int = 0
    began: int = 0
    opening: Checkpoint | None = None
    pace: Pace | None = None
    varying: tuple[float, ...] = ()
    alike: int = 1
    reason: str = ""
    extremes: tuple[Trial, ...] = ()

    @property
    def epochs(self) -> int:
        """Up to which epoch ``fit`` is to train."""
        return int(self.fit_arguments.get("epochs", 1))

    @property
    def first_epoch(self) -> int:
        """``fit``'s ``initial_epoch``."""
        return int(self.fit_arguments.get("initial_epoch") or 0)

    @property
    def fit_arguments(self) -> Mapping[str, Any]:
        """Those of ``fit`` in its phase, without those of the data, ``callbacks`` and ``verbose``."""
        if not self.phase:
            return self.arguments
        last = self.began + self.phases[self.phase - 1]
        return {**self.arguments, "initial_epoch": self.began, "epochs": last}


def forked(job: Job, copy: Checkpoint) -> Job:
    """A job that begins with a copy of another trial's state."""
    return replace(job, checkpoint=replace(copy, trial=job.trial), forked=True)


class Nothing(Enum):
    """What a feed gives where it has no job."""

    NOT_YET = "not yet"
    """None now; there may be one later, when epochs have ended and orders were given."""
    OVER = "over"
    """None now, and never again."""


NOT_YET, OVER = Nothing.NOT_YET, Nothing.OVER


class Feed(Protocol):
    """Where engines take jobs from, in the order in which they are to begin."""

    def next(self) -> Job | Nothing:
        """The next job; `NOT_YET`, or `OVER`, which it gives from then on."""


# --- what engines report --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Declined:
    """A job that this engine can't run; it has to begin again on another.

    Attributes:
        job: the job, to be run from its beginning or its checkpoint.
        reason: why, in words that complete "not on lanes: ...".
        error: the exception that is the reason, where one is.
    """

    job: Job
    reason: str
    error: BaseException | None = None


@dataclass(frozen=True)
class Idle:
    """The engine has nothing to do before a job or an order comes.

    Attributes:
        waiting: the trials that wait for an order.
    """

    waiting: tuple[Trial, ...] = ()


@dataclass(frozen=True, eq=False)
class ForkRefused:
    """A trial could not be copied, so that the job does not begin.

    Attributes:
        job: of the new trial.
        reason: why, in words that complete "it can't be forked: ...".
    """

    job: Job
    reason: str


EngineEvent = Event | ModelDescribed | Declined | ForkRefused | Idle


# --- how engines are directed ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class GoOn:
    """The trial trains its next epoch; after its last epoch, it ends."""

    trial: Trial


@dataclass(frozen=True, eq=False)
class Pause:
    """The trial waits; its state stays where it is."""

    trial: Trial


@dataclass(frozen=True, eq=False)
class Stop:
    """The trial ends now, as where a callback has set ``model.stop_training``."""

    trial: Trial


@dataclass(frozen=True, eq=False)
class Fork:
    """Another trial begins with a copy of the trial's whole state: weights, random generators, callbacks'
    memory.

    Given before the order that lets the trial itself go on or stop.

    Attributes:
        trial: which is copied; it waits for an order, and its job has a pace.
        job: of the new trial.
    """

    trial: Trial
    job: Job


Order = GoOn | Pause | Stop | Fork


class Orders(Protocol):
    """Where engines look for orders.

    Attributes:
        standing: whether they do not depend on what happens. An engine may then take them before it reports.
    """

    standing: bool

    @property
    def closed(self) -> bool:
        """Whether no job and no epoch may begin now."""

    def take(self, waiting: Collection[Trial]) -> Sequence[Order]:
        """The orders for some trials, in the order in which they were given; each order is taken once."""


class Engine(Protocol):
    """What runs trials.

    Attributes:
        name: as ``Study.trials`` shows it.
    """

    name: str

    def run(self, feed: Feed, orders: Orders) -> Generator[EngineEvent]:
        """Run the jobs of a feed until it is over, and every trial has ended.

        Of each trial come `TrialStarted`, then epochs and checkpoints, then `TrialDone` or `TrialFailed`; or
        `Declined`, also after some epochs. The trial's `ModelDescribed` may come before all of them. Where a
        `Fork` is not possible, `ForkRefused` comes of its job.

        Whoever iterates may close the generator at any time, and Ctrl-C may come at any moment. Models of the
        caller's own then hold what they have learned, and `unreported` has the rest.

        Args:
            feed: where jobs come from.
            orders: where the answers to the ends of epochs are.

        Yields:
            What happens; `Idle` whenever nothing can happen before a job or an order comes.
        """

    def unreported(self) -> Sequence[Event]:
        """What a run that was closed before its end did not report.

        Epochs that were finished meanwhile, and a `CutOff` with the state of each trial that had finished an
        epoch. The last event that was yielded may be among them: whoever closed the run may not have come to
        handle it.
        """
