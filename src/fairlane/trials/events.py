"""What an engine reports of a trial, in the order in which it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlane.trials.spec import Trial
from fairlane.trials.state import Weights


@dataclass(frozen=True, eq=False)
class TrialStarted:
    """An engine began a trial.

    Attributes:
        trial: which.
        engine: ``"reference"`` or ``"lanes"``.
        reason: why it is not on lanes, where ``engine="auto"`` decided so; else empty.
        fleet: the number of the fleet within the engine's run, or None.
        loop: the lanes engine's loop, such as ``"vmap×8"``; else empty.
        epoch: the epoch it is trained from, counted from 0: the records of earlier epochs stay, and
            those of this one and later ones are dropped.
        worker: the process that trains it, such as ``"worker 2 (process 4711)"``; empty for the caller's own.
    """

    trial: Trial
    engine: str
    reason: str = ""
    fleet: int | None = None
    loop: str = ""
    epoch: int = 0
    worker: str = ""


@dataclass(frozen=True, eq=False)
class ModelDescribed:
    """A trial's model was built.

    Attributes:
        trial: whose model.
        description: how it is built again, as `fairlane.models.recipes.description` gives it.
    """

    trial: Trial
    description: str


@dataclass(frozen=True, eq=False)
class EpochEnded:
    """A trial finished an epoch.

    Attributes:
        trial: which.
        epoch: counted from 0, as in Keras.
        logs: Keras's epoch logs, in Keras's order.
        directions: metric (without ``val_``) → ``"min"`` or ``"max"``, where Keras knows it of the compiled
            metrics; given with a trial's first epoch.
    """

    trial: Trial
    epoch: int
    logs: Mapping[str, float]
    directions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TrialDone:
    """A trial trained to its end.

    Attributes:
        trial: which.
        seconds: wall-clock seconds; on lanes, the trial's share of its fleet's.
        weights: the trained state.
        loop: the loop that it ended on, where lanes chose another than at the start.
        memory: as of a `Checkpoint`, so that more epochs can follow; None where they can't.
        weights_epoch: the epoch whose logs are those of the trained weights, counted from 0: the last, unless
            a callback went back to an earlier one. `OF_NO_EPOCH` where there is none, as of an average; None
            where nobody knows, or no epoch was trained.
        stopped: whether an order ended it before its last epoch.
        fleet: the number of the fleet that it ended in, where lanes chose another than at the start.
        reason: why its fleet has no models of other sizes, where lanes know of some that it could have had.
    """

    trial: Trial
    seconds: float
    weights: Weights | None
    loop: str = ""
    memory: Mapping[str, Any] | None = None
    weights_epoch: int | None = None
    stopped: bool = False
    fleet: int | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class TrialFailed:
    """A trial ended with an exception.

    Attributes:
        trial: which.
        epoch: the epoch it was in, from 0; None where it failed before the first.
        error: ``"ValueError: ..."``, one line.
        traceback: the whole traceback.
        seconds: wall-clock seconds until then.
        exception: the exception itself, where it was raised in this process.
    """

    trial: Trial
    epoch: int | None
    error: str
    traceback: str
    seconds: float = 0.0
    exception: BaseException | None = None


@dataclass(frozen=True, eq=False)
class Tested:
    """A trained model was evaluated on the test data.

    Attributes:
        trial: which.
        logs: ``test_<metric>`` → value, in the order of ``Model.evaluate``; empty where it failed.
        error: ``"ValueError: ..."``, one line, where it failed; else empty.
    """

    trial: Trial
    logs: Mapping[str, float]
    error: str = ""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trial's whole state between two epochs, from which its training can go on.

    Attributes:
        trial: which.
        epoch: the epoch that comes next, counted from 0; the state is that after all epochs before it.
        weights: the model's state.
        memory: what else the trial remembers (random state, callbacks' state), as plain data: dicts with
            strings as keys, lists, tuples, None, bools, numbers, strings and NumPy arrays.
    """

    trial: Trial
    epoch: int
    weights: Weights
    memory: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class CutOff:
    """The state of a trial that was stopped before its end, after its last finished epoch.

    Attributes:
        trial: which.
        epoch: the epoch that would come next, counted from 0.
        weights: the model's state.
    """

    trial: Trial
    epoch: int
    weights: Weights


Event = TrialStarted | EpochEnded | TrialDone | TrialFailed | Tested | Checkpoint | CutOff

OF_NO_EPOCH = -1
"""The ``weights_epoch`` of weights that no epoch's logs are of, such as an average over steps."""
