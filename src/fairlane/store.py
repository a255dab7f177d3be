"""Events → rows and weights, and back; here in memory.

In: the events of the engines. Out: a `Record` per trial. Only the driver of a study writes a store.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fairlane.trial import (
    EpochEnded,
    Event,
    Tested,
    Trial,
    TrialDone,
    TrialFailed,
    TrialStarted,
    TrialState,
    Weights,
)


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
        weights: the trained state, or None.
        test_logs: ``test_<metric>`` → value, where there were test data.
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
    weights: Weights | None = None
    test_logs: dict[str, float] = field(default_factory=dict)

    @property
    def last_logs(self) -> dict[str, float]:
        """The logs of the last finished epoch, or nothing."""
        return self.epochs[-1][1] if self.epochs else {}


class MemoryStore:
    """Keeps the records of one study in memory."""

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self._records = {id(t): Record(t) for t in trials}

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, trial: Trial) -> Record:
        return self._records[id(trial)]

    def write(self, event: Event) -> Record:
        """Take one event in; return the record of its trial, brought up to date."""
        record = self._records[id(event.trial)]
        match event:
            case TrialStarted():
                record.state = TrialState.RUNNING
                record.engine, record.reason = event.engine, event.reason
                record.fleet, record.loop = event.fleet, event.loop
                # A trial that lanes gave up is begun anew elsewhere: its rows are written again.
                record.epochs.clear()
                record.error = ""
            case EpochEnded():
                logs = dict(event.logs)
                record.epochs.append((event.epoch, logs))
                if not record.error:
                    record.error = _divergence(event.epoch, logs)
            case TrialDone():
                record.state = TrialState.DIVERGED if record.error else TrialState.DONE
                record.seconds, record.weights = event.seconds, event.weights
                record.loop = event.loop or record.loop
            case TrialFailed():
                record.state = TrialState.FAILED
                record.error, record.traceback = event.error, event.traceback
                record.seconds = event.seconds
            case Tested():
                record.test_logs = dict(event.logs)
                if event.error:
                    record.error = f"the test data could not be evaluated: {event.error}"
        return record

    def interrupt(self) -> None:
        """Mark every trial that has not ended as cut off."""
        for record in self:
            if not record.state.ended:
                record.state = TrialState.INTERRUPTED


def _divergence(epoch: int, logs: dict[str, float]) -> str:
    """Say that the training loss is not finite, or nothing."""
    loss = logs.get("loss")
    if not isinstance(loss, float) or math.isfinite(loss):
        return ""
    kind = "NaN" if math.isnan(loss) else "infinite"
    return (
        f"the loss became {kind} in epoch {epoch} (counted from 0); "
        "a lower learning rate or gradient clipping often mends it"
    )
