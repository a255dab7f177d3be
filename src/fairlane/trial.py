"""Variant, trial and event: the frozen values that flow between the stages.

In: nothing. Out: what a trial is (its spec), what state it is in, where it is trained, and what an engine
tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

RESERVED_COLUMNS = frozenset(
    {
        *("trial", "seed", "epoch", "metric", "data", "value"),
        *("state", "seconds", "engine", "fleet", "loop", "reason", "error"),
        *("variant", "seeds", "pairs", "failed"),
        *("selected_by", "selected"),
        *("mean", "low", "high", "median", "median_low", "median_high", "iqm", "iqm_low", "iqm_high"),
        *("difference", "difference_low", "difference_high", "probability", "p_value"),
    }
)
"""Names of columns of the data frames, which no hyperparameter may have.

``epochs`` is not among them, since ``Model.fit``'s argument may be varied.
"""


class TrialState(StrEnum):
    """Where a trial stands: a string, so that data frames and files have it as it is.

    Example:
        >>> TrialState.DONE == "done", TrialState.DONE.ended, TrialState.RUNNING.ended
        (True, True, False)
    """

    WAITING = "waiting"
    """Not begun."""
    RUNNING = "running"
    """Begun, not ended."""
    DONE = "done"
    """Trained to its last epoch, or stopped early by a callback."""
    DIVERGED = "diverged"
    """Trained to its end, but its loss became NaN or infinite on the way."""
    FAILED = "failed"
    """Its builder, training or callback raised an exception."""
    INTERRUPTED = "interrupted"
    """Cut off by Ctrl-C; the epochs before it are kept."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come from the trial."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


def _frozen(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, eq=False)
class Variant:
    """One assignment of hyperparameters.

    Attributes:
        number: its place in the list of variants, from 0.
        hyperparameters: name → value, as given, in the order given.
        fit_arguments: those of the hyperparameters that are arguments of ``Model.fit``.

    Example:
        >>> variant = Variant(0, {"units": 32, "batch_size": 16}, {"batch_size": 16})
        >>> variant.label
        'units=32, batch_size=16'
        >>> variant.builder_arguments
        {'units': 32}
    """

    number: int
    hyperparameters: Mapping[str, Any]
    fit_arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hyperparameters", _frozen(self.hyperparameters))
        object.__setattr__(self, "fit_arguments", _frozen(self.fit_arguments))

    @property
    def builder_arguments(self) -> dict[str, Any]:
        """The hyperparameters that go to the builder."""
        return {k: v for k, v in self.hyperparameters.items() if k not in self.fit_arguments}

    @property
    def label(self) -> str:
        """``learning_rate=0.001, units=32``, for legends and messages."""
        if not self.hyperparameters:
            return "the only variant"
        return ", ".join(f"{k}={short(v)}" for k, v in self.hyperparameters.items())


@dataclass(frozen=True, eq=False)
class Trial:
    """A variant and a seed: one training run of one model.

    Attributes:
        number: its place in the study, from 0.
        variant: its hyperparameters.
        seed: the seed of its weights, dropout and batch order.

    Example:
        >>> trial = Trial(3, Variant(1, {"units": 32}), seed=0)
        >>> print(trial)
        trial 3 (units=32, seed 0)
        >>> trial.hyperparameters["units"]
        32
    """

    number: int
    variant: Variant
    seed: int

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """The variant's hyperparameters."""
        return self.variant.hyperparameters

    def __str__(self) -> str:
        return f"trial {self.number} ({self.variant.label}, seed {self.seed})"


@dataclass(frozen=True, eq=False)
class Weights:
    """All that a trained model remembers, as NumPy arrays in the order of the model's own lists.

    Attributes:
        trainable: values of ``model.trainable_variables``.
        non_trainable: values of ``model.non_trainable_variables``, dropout's seed states among them.
        optimizer: values of ``model.optimizer.variables``.
        metrics: values of ``model.metrics_variables``.
        layers: what its layers hold besides, as `fairlane.layer_state.told` gives it; None where nobody told.
    """

    trainable: list[Any]
    non_trainable: list[Any]
    optimizer: list[Any]
    metrics: list[Any]
    layers: Sequence[Mapping[str, Any]] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Site:
    """Where trials are trained.

    Attributes:
        machine: system, processors and accelerators, in words; empty if nobody knows.
        commit: of git, in words; empty if there is none, or nobody knows.
    """

    machine: str = ""
    commit: str = ""


@dataclass(frozen=True, eq=False)
class TrialStarted:
    """An engine began a trial.

    Attributes:
        trial: which.
        engine: ``"reference"`` or ``"lanes"``.
        reason: why it is not on lanes, where ``engine="auto"`` decided so; else empty.
        fleet: the number of the fleet within the engine's run, or None.
        loop: the lanes engine's loop, such as ``"vmap×8"``; else empty.
        epoch: the epoch it is trained from, counted from 0: epochs that were finished before stay, and what
            was told of this one and later ones is forgotten.
    """

    trial: Trial
    engine: str
    reason: str = ""
    fleet: int | None = None
    loop: str = ""
    epoch: int = 0


@dataclass(frozen=True, eq=False)
class EpochEnded:
    """A trial finished an epoch.

    Attributes:
        trial: which.
        epoch: counted from 0, as in Keras.
        logs: Keras's epoch logs, in Keras's order.
    """

    trial: Trial
    epoch: int
    logs: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class TrialDone:
    """A trial trained to its end.

    Attributes:
        trial: which.
        seconds: wall-clock seconds; on lanes, the trial's share of its fleet's.
        weights: the trained state.
        loop: the loop that it ended on, where lanes chose another than at the start.
        memory: as of a `Checkpoint`, so that more epochs can follow; None where they can't.
    """

    trial: Trial
    seconds: float
    weights: Weights | None
    loop: str = ""
    memory: Mapping[str, Any] | None = None


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


Event = TrialStarted | EpochEnded | TrialDone | TrialFailed | Tested | Checkpoint


LONGEST_INTEGER = 2**13
"""Bits of an integer that is written in decimals; Python refuses some more."""


def short(value: Any) -> str:
    """A hyperparameter's value, short enough for a legend: ``0.001``, ``relu``, ``[64, 32]``."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
