"""What the driver and a worker say to each other.

In: one of the values below. Out: the same, on the other side. Jobs have numbers of their own, their tickets:
a job that is given out a second time has another ticket, so that no event of the first time is taken for one
of the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fairlane.engines.pool.packed import Packed
from fairlane.trials import Event, ModelDescribed


class Kind(StrEnum):
    """The engine that a job is for."""

    LANES = "lanes"
    REFERENCE = "reference"


# --- from the driver ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Begin:
    """A run begins.

    Attributes:
        kinds: the engines that may run jobs.
        standing: whether every trial goes on at the end of each epoch.
        threads: how many chunks of lanes run at once; None for the engine's own choice.
        folder: the session's current directory; None where this is another machine's.
        path: its ``sys.path``.
        settings: its Keras settings, packed.
        custom: name → the custom object registered under it, packed.
    """

    kinds: tuple[Kind, ...]
    standing: bool
    threads: int | None
    folder: str | None
    path: tuple[str, ...]
    settings: Packed
    custom: Mapping[str, Packed]


@dataclass(frozen=True)
class BuilderComes:
    """A builder that jobs name by its key.

    Attributes:
        packed: a `fairlane.engines.resources.Builder`, or a function that makes one.
    """

    key: str
    packed: Packed


@dataclass(frozen=True)
class DataCome:
    """Data that jobs name by their keys.

    Attributes:
        packed: a `fairlane.engines.pool.goods.Data`.
        keys: those under which it is named.
    """

    packed: Packed
    keys: tuple[str, ...]


@dataclass(frozen=True)
class DataGo:
    """No job names these data any more.

    Attributes:
        keys: the keys of the data.
    """

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """A job.

    Attributes:
        ticket: its number.
        job: the job, pickled.
        callbacks: its callbacks, pickled; None where it has none.
    """

    ticket: int
    job: bytes
    callbacks: bytes | None = None


@dataclass(frozen=True)
class Given:
    """The answer to `Wants`, once or several times: jobs. None at all says that there is none now."""

    kind: Kind
    jobs: tuple[Sent, ...]


@dataclass(frozen=True)
class Order:
    """What a trial that waits is to do.

    Attributes:
        ticket: of its job.
        what: ``"go on"``, ``"stop"`` or ``"fork"``.
        fork: the job of the new trial.
    """

    ticket: int
    what: str
    fork: Sent | None = None


@dataclass(frozen=True)
class Ordered:
    """Orders, in the order in which they were given."""

    orders: tuple[Order, ...]


@dataclass(frozen=True)
class Hold:
    """Trials with standing orders wait at the end of their epoch; or go on again."""

    on: bool


@dataclass(frozen=True)
class Finish:
    """The run ends after the epochs under way."""


# --- from a worker --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The worker has started."""


@dataclass(frozen=True)
class Alive:
    """A sign of life, whatever the worker does."""


@dataclass(frozen=True)
class Wants:
    """The worker can take jobs.

    Attributes:
        kind: for which engine.
        count: how many at most.
    """

    kind: Kind
    count: int


@dataclass(frozen=True)
class Happened:
    """An event of a trial.

    Attributes:
        event: the event, without its trial and an exception.
        exception: the exception, pickled; None where there is none.
    """

    ticket: int
    event: Event | ModelDescribed
    exception: bytes | None = None


@dataclass(frozen=True)
class Returned:
    """A job that the worker's engine can't run.

    Attributes:
        reason: as of a `fairlane.engines.contract.Declined`.
        error: the exception that is the reason, pickled; None where there is none.
        opening: the state that a later phase is to begin with, where the job was declined there; else None.
    """

    ticket: int
    reason: str
    error: bytes | None = None
    opening: Any = None


@dataclass(frozen=True)
class NoFork:
    """A trial could not be copied for this job."""

    ticket: int
    reason: str


@dataclass(frozen=True)
class Rests:
    """The worker has nothing to do before a job or an order comes.

    Attributes:
        read: how many messages it has read in this run: a later one may have woken it.
        waiting: the jobs whose trials wait for an order.
    """

    read: int
    waiting: tuple[int, ...]


@dataclass(frozen=True)
class Over:
    """The run has ended.

    Attributes:
        error: what the engine itself raised, or empty.
        left: what the engine had not reported, by the tickets.
    """

    error: str = ""
    left: tuple[Happened, ...] = ()


def plain(event: Any, **changed: Any) -> Any:
    """An event without its trial, to be sent."""
    fields = {name: getattr(event, name) for name in type(event).__dataclass_fields__}
    return type(event)(**{**fields, "trial": None, **changed})
