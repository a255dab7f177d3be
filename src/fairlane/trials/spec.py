"""What a trial is: a variant and a seed; which states it can be in, and where it is trained."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

RESERVED_COLUMNS = frozenset(
    {
        *("trial", "seed", "epoch", "metric", "data", "value"),
        *("state", "weights_epoch", "seconds", "engine", "worker", "fleet", "loop", "reason", "error"),
        *("variant", "seeds", "folds", "pairs", "failed", "unfinished"),
        *("selected_by", "selected"),
        *("mean", "low", "high", "median", "median_low", "median_high", "iqm", "iqm_low", "iqm_high"),
        *("difference", "difference_low", "difference_high", "probability", "p_value"),
    }
)
"""Names of columns of the data frames, which no hyperparameter may have.

``epochs`` is not among them, since ``Model.fit``'s argument may be varied.
"""


class TrialState(StrEnum):
    """The state of a trial: a string, so that data frames and files contain it unchanged.

    Example:
        >>> TrialState.DONE == "done", TrialState.DONE.ended, TrialState.RUNNING.ended
        (True, True, False)
    """

    WAITING = "waiting"
    """Not started."""
    RUNNING = "running"
    """Started, not ended."""
    DONE = "done"
    """Trained to its last epoch, or stopped early by a callback."""
    DIVERGED = "diverged"
    """Trained to its end, but its loss became NaN or infinite on the way."""
    FAILED = "failed"
    """Its builder, training or callback raised an exception."""
    INTERRUPTED = "interrupted"
    """Stopped by Ctrl-C, or because its process ended; its finished epochs are stored."""
    STOPPED = "stopped"
    """Ended by a search before its last epoch, because others were better."""

    @property
    def ended(self) -> bool:
        """Whether the trial reports nothing more."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)

    @property
    def is_open(self) -> bool:
        """Whether it is not trained to its end: the same call would train it on."""
        return not self.ended or self is TrialState.INTERRUPTED


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

    def __reduce__(self) -> tuple[Any, ...]:
        # read-only views of dicts can't be pickled
        return Variant, (self.number, dict(self.hyperparameters), dict(self.fit_arguments))

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
    """A variant, a seed and a fold: one training run of one model.

    Attributes:
        number: its place in the study, from 0.
        variant: its hyperparameters.
        seed: the seed of its weights, dropout and batch order.
        fold: the number of its fold, from 0; None where the data are not cut into folds.

    Example:
        >>> trial = Trial(3, Variant(1, {"units": 32, "batch_size": 16}, {"batch_size": 16}), seed=0)
        >>> print(trial)
        trial 3 (units=32, batch_size=16, seed 0)
        >>> trial.hyperparameters["units"], trial.builder_arguments, trial.fit_arguments
        (32, {'units': 32}, {'batch_size': 16})
    """

    number: int
    variant: Variant
    seed: int
    fold: int | None = None

    @property
    def replicate(self) -> int | tuple[int, int]:
        """Which replicate of its variant it is: its seed, or its seed and fold; pairs have the same."""
        return self.seed if self.fold is None else (self.seed, self.fold)

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """The variant's hyperparameters."""
        return self.variant.hyperparameters

    @property
    def builder_arguments(self) -> dict[str, Any]:
        """The hyperparameters that go to the builder: ``build(**trial.builder_arguments)``."""
        return self.variant.builder_arguments

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """The hyperparameters that are arguments of ``Model.fit``, such as a ``batch_size`` that varies."""
        return dict(self.variant.fit_arguments)

    def __str__(self) -> str:
        fold = "" if self.fold is None else f", fold {self.fold}"
        return f"trial {self.number} ({self.variant.label}, seed {self.seed}{fold})"


@dataclass(frozen=True)
class Site:
    """Where trials are trained.

    Attributes:
        machine: system, processors and accelerators, in words; empty if not known.
        commit: of git, in words; empty if not known.
    """

    machine: str = ""
    commit: str = ""


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_KEYWORDS = re.compile(r"kwargs=(\{.*\})")
_LONGEST_CALL = 60


LONGEST_INTEGER = 2**13
"""Bits of an integer that is written in decimals; Python refuses some more."""


def short(value: Any) -> str:
    """A hyperparameter's value, short enough for a legend: ``0.001``, ``relu``, ``[64, 32]``,
    ``Huber(delta=2)``."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    if call := _configured(value):
        return call if len(call) <= _LONGEST_CALL else call[: _LONGEST_CALL - 3] + "..."
    text = value if isinstance(value, str) else _ADDRESS.sub("", repr(value))
    return text if len(text) <= 40 else text[:37] + "..."


def _configured(value: Any) -> str:
    """An object of Keras's, such as a loss or an optimizer: its class, and what differs from the defaults.

    Empty for all else. Keras's own ``repr`` shows functions and addresses.
    """
    kind = type(value)
    if not (kind.__module__.startswith("keras.") and callable(getattr(value, "get_config", None))):
        return ""
    try:
        config, parameters = value.get_config(), inspect.signature(kind).parameters
        if found := _KEYWORDS.search(repr(value)):  # of a loss that leaves them out of its config
            config |= ast.literal_eval(found[1])
        given = [
            f"{name}={_of_config(config[name])}"
            for name, parameter in parameters.items()
            if name in config and name not in ("name", "dtype") and not _same(config[name], parameter.default)
        ]
    except Exception:  # a class that can't describe itself has its name
        given = []
    return f"{kind.__name__}({', '.join(given)})"


def _of_config(value: Any) -> str:
    """A value of a config; of an object or function, its name."""
    if isinstance(value, Mapping) and "class_name" in value:
        name = value["config"] if value["class_name"] == "function" else value["class_name"]
        return str(name)
    return short(value)


def _same(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, bool | int | float | str) and type(a) is type(b) and a == b)
