"""What the session and its worker process say to each other, and how it goes through a pipe.

In: one of the values below. Out: the same, on the other side. All are small: objects are packed in parcels.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from fairlane.engines.workers.parcel import Parcel, Slots
from fairlane.trials import Event

_LENGTH = struct.Struct("<Q")


# --- from the session -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Begin:
    """A run of the lanes engine begins.

    Attributes:
        standing: whether every trial goes on at the end of each epoch.
        folder: the session's current directory.
        path: its ``sys.path``.
        settings: its Keras settings, packed.
        custom: name → the custom object registered under it, packed.
    """

    standing: bool
    folder: str
    path: tuple[str, ...]
    settings: Parcel
    custom: Mapping[str, Parcel]


@dataclass(frozen=True)
class Common:
    """An object that jobs refer to by number.

    Attributes:
        number: its number in this run.
        parcel: the object, packed.
    """

    number: int
    parcel: Parcel


@dataclass(frozen=True)
class Work:
    """A job.

    Attributes:
        parcel: a `Task`, packed.
        slots: the values of its model's variables.
        groups: how many of them each of a state's four groups has.
    """

    number: int
    parcel: Parcel
    slots: Slots
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """What a job is made of.

    Attributes:
        hyperparameters: of its variant.
        fit_arguments: those that are ``Model.fit``'s.
        seed: of its trial.
        model: a `fairlane.models.recipes.portable.PortableRecipe`; or the `Reference` of a builder.
        arguments: of ``Model.fit``; a `Reference` for what is no plain value.
        callbacks: fresh ones, or None.
        in_place: whether the model is the caller's own.
        varying: as a `fairlane.engines.contract.Job` has it.
        alike: as a `fairlane.engines.contract.Job` has it.
    """

    hyperparameters: Mapping[str, Any]
    fit_arguments: Mapping[str, Any]
    seed: int
    model: Any
    arguments: Mapping[str, Any]
    callbacks: list[Any] | None
    in_place: bool
    varying: tuple[float, ...]
    alike: int


@dataclass(frozen=True)
class Reference:
    """Stands for the object of a `Common`."""

    number: int


@dataclass(frozen=True)
class NoMore:
    """There is no job left."""


@dataclass(frozen=True)
class NotYet:
    """There is no job now."""


@dataclass(frozen=True)
class Ordered:
    """The answer to `Asked`.

    Attributes:
        answers: for some of the trials, the number, and whether the trial ends now instead of going on.
    """

    answers: tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class Awake:
    """The answer to `Waiting`: there may be a job or an order now."""


@dataclass(frozen=True)
class Stop:
    """End the run after the epochs under way."""


# --- from the worker ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The worker has started."""


@dataclass(frozen=True)
class Wanted:
    """The worker can take a job."""


@dataclass(frozen=True)
class Asked:
    """Trials wait for orders.

    Attributes:
        numbers: theirs.
    """

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Waiting:
    """Nothing can happen before a job or an order comes.

    Attributes:
        numbers: of the trials that wait for an order.
    """

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Happened:
    """An event of a trial.

    Attributes:
        number: the trial's.
        event: the event, without its trial and without what follows.
        slots: where the trained state is.
        callbacks: what the trial's callbacks remember, pickled.
        exception: the exception, pickled.
    """

    number: int
    event: Event
    slots: Slots | None = None
    callbacks: bytes | None = None
    exception: bytes | None = None


@dataclass(frozen=True)
class Refused:
    """A job that can't run there.

    Attributes:
        number: the trial's.
        reason: why.
        foreign: the package among ``FOREIGN`` that the error came from, or empty.
        error: whether an exception was the reason.
    """

    number: int
    reason: str
    foreign: str = ""
    error: bool = False


@dataclass(frozen=True)
class Kept:
    """The state of a caller's model whose training was cut off.

    Attributes:
        number: the trial's.
        slots: where its state is.
    """

    number: int
    slots: Slots


@dataclass(frozen=True)
class Printed:
    """What the trial's code wrote to standard output."""

    text: str


@dataclass(frozen=True)
class Warned:
    """A warning of the trial's code, pickled with category, file and line."""

    warning: bytes


@dataclass(frozen=True)
class Over:
    """The run has ended.

    Attributes:
        error: what the engine itself raised, or empty.
    """

    error: str = ""


OWN = (Ready, Printed, Warned)
"""What the process says at any time, whether or not it has read what it was sent last."""


def send(pipe: BinaryIO, message: Any) -> None:
    """Write a message.

    Raises:
        OSError: there is nobody at the other end.
    """
    body = pickle.dumps(message)
    pipe.write(_LENGTH.pack(len(body)) + body)
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """Read a message.

    Raises:
        EOFError: the other end is closed.
    """
    return pickle.loads(_exactly(pipe, _LENGTH.unpack(_exactly(pipe, _LENGTH.size))[0]))


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    body = pipe.read(size)
    if len(body) < size:
        raise EOFError
    return body
