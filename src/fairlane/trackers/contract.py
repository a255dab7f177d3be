"""What a tracker is: it writes a study for a tool that shows it.

In: nothing. Out: the contract, and how trackers name trials, values and files for their tools.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fairlane.store import Record
from fairlane.trials import Event, Trial

_LONGEST_VALUE = 500


@dataclass(frozen=True)
class Facts:
    """What is known of a study before its first event.

    Attributes:
        name: the study's, or None.
        trials: all of them, by their numbers.

    Example:
        >>> from fairlane.trials import Trial, Variant
        >>> facts = Facts("learning rates", [Trial(0, Variant(0, {"learning_rate": 0.1}), seed=0)])
        >>> [run_name(trial) for trial in facts.trials]
        ['trial-000 learning_rate=0.1 seed=0']
    """

    name: str | None
    trials: Sequence[Trial]


class Tracker(ABC):
    """Receives the events of a study, while it is trained or afterwards, and writes them for a tool.

    The order of calls is: `begin`, then `take` for each event, `conclude`, and `end`. After that, `begin` may
    be called again, for another study or the same one. For a trial that was already written, it replaces the
    old data.

    Each method may raise an error. While a study is trained, an error switches the tracker off, with a
    warning.

    Attributes:
        live: whether the tracker can be used during training, when events of several trials alternate; if
            not, it is only for exports.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> class Names(fl.trackers.Tracker):
        ...     def begin(self, facts):
        ...         print(facts.name, len(facts.trials))
        ...     def take(self, event, record):
        ...         print(type(event).__name__, record.trial.number)
        ...     def end(self, records):
        ...         print([str(record.state) for record in records])
        >>> def build():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", loss="mse")
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> _ = fl.compare(build, [{}], x, y, name="a", trackers=[Names()], verbose=0)
        a 1
        TrialStarted 0
        EpochEnded 0
        TrialDone 0
        ['done']
    """

    live: ClassVar[bool] = True

    @abstractmethod
    def begin(self, facts: Facts) -> None:
        """Prepare for the events of a study.

        Args:
            facts: the study's name and its trials.
        """

    @abstractmethod
    def take(self, event: Event, record: Record) -> None:
        """Write one event for the tool.

        Args:
            event: during training, an event of a running trial; in an export, of any trial that has started.
                After ``TrialStarted`` with an epoch k, delete what was written of epoch k and later ones.
            record: the trial's record, which already has the event; in an export, also all later events.
        """

    def conclude(self, summary: Mapping[str, float | str]) -> None:  # noqa: B027  # one that writes nothing is whole
        """Write what is said of the study as a whole; by default, nothing is written.

        Args:
            summary: the numbers ``trials``, ``trials_done`` and ``trials_failed``. Where variants can be
                ranked, also the text ``best_variant``, such as ``learning_rate=0.01``, and, by the name of
                the metric that ranks, the mean over this variant's seeds, and its interval's ends, whose
                names end with ``_low`` and ``_high``.
        """

    @abstractmethod
    def end(self, records: Iterable[Record]) -> None:
        """Finish: there are no more events. A trial that has started and not ended was interrupted.

        Args:
            records: the records of all trials.
        """


def run_name(trial: Trial) -> str:
    """Such as ``trial-003 learning_rate=0.001 seed=0``; of any length, with any characters."""
    values = [f"{name}={plain(value)}" for name, value in trial.hyperparameters.items()]
    return " ".join([f"trial-{trial.number:03d}", *values, f"seed={trial.seed}"])


def last_epoch(record: Record) -> int:
    """The trial's last finished epoch; 0 if there is none."""
    return record.epochs[-1][0] if record.epochs else 0


def plain(value: Any) -> bool | int | float | str:
    """A hyperparameter's value as tools take it: a number or text."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        text = value
    else:
        text = str(value.__name__) if hasattr(value, "__name__") else repr(value)
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)  # an address is different in each process
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """The logs that are numbers; tools draw nothing else."""
    found = {}
    for name, value in logs.items():
        if isinstance(value, int | float | np.number) or (isinstance(value, np.ndarray) and value.ndim == 0):
            found[str(name)] = float(value)
    return found


def safe(text: str, longest: int, others: str = " ,+=") -> str:
    """A name of ASCII letters, digits, ``_``, ``-``, ``.`` and a few others, which every file system takes.

    If the text must be changed, a digest of it follows, so that different texts have different names.

    Args:
        text: any text.
        longest: how many characters it may have.
        others: further characters that are allowed.
    """
    clean = re.sub(rf"[^A-Za-z0-9_.{re.escape(others)}-]", "_", text).strip(". ")
    if clean == text and len(text) <= longest and text:
        return text
    return f"{clean[: longest - 9].rstrip('. ')}-{digest(text)[:8]}".lstrip("-")


def digest(text: str) -> str:
    """A text's SHA-256, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
