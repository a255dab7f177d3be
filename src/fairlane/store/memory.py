"""The store that ends with the process.

In: the trials of a study, and events. Out: see `fairlane.store.records.Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from fairlane.models.recipes.individual import described_with, of_trial
from fairlane.store.notes import Note, no_such_variant
from fairlane.store.records import KEPT_CHECKPOINTS, Decision, Record, Store, next_epoch
from fairlane.trials import (
    Checkpoint,
    CutOff,
    Event,
    Site,
    Trial,
    TrialDone,
    TrialStarted,
    TrialState,
    Weights,
)


class MemoryStore(Store):
    """Keeps the records, weights and checkpoints of one study in memory.

    Args:
        trials: to be adopted.
        site: returns where this process trains; only `sites` calls it.
    """

    def __init__(self, trials: Iterable[Trial] = (), site: Callable[[], Site] = Site) -> None:
        self.notes: list[str] = []
        self._site, self._has_events = site, False
        self._records: dict[int, Record] = {}
        self._weights: dict[int, Weights | None] = {}
        self._checkpoints: dict[int, list[Checkpoint]] = {}
        self._cut_off: dict[int, CutOff] = {}
        self._descriptions: dict[int, str] = {}
        self._decisions: list[Decision] = []
        self._noted: dict[int | None, Note] = {}
        listed = list(trials)
        self.adopt(listed, [0] * len(listed))

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, trial: Trial) -> Record:
        return self._records[id(trial)]

    def adopt(self, trials: Sequence[Trial], epochs: Sequence[int]) -> list[Trial]:
        """Add trials; all of them are new here."""
        for trial in trials:
            self._records[id(trial)] = Record(trial)
        return list(trials)

    def unfinished(self, trial: Trial) -> bool:
        """Whether it has not been trained to its end."""
        return self[trial].state not in (TrialState.DONE, TrialState.STOPPED, TrialState.DIVERGED)

    def write(self, event: Event) -> Record:
        """Record one event; return the record of its trial, brought up to date."""
        trial, record = event.trial, self[event.trial]
        record.take(event)
        self._has_events = True
        if isinstance(event, TrialStarted):
            self._forget_from(trial, event.epoch)
        elif isinstance(event, Checkpoint):
            checkpoints = self._checkpoints.setdefault(id(trial), [])
            checkpoints.append(event)
            del checkpoints[:-KEPT_CHECKPOINTS]
        elif isinstance(event, CutOff):
            self._cut_off[id(trial)] = event
        elif isinstance(event, TrialDone):
            self._weights[id(trial)] = event.weights
            end = checkpoint_at_the_end(record, event)
            self._checkpoints[id(trial)] = [] if end is None else [end]
        return record

    def rewind(self, trial: Trial, epoch: int) -> Record:
        """Delete an epoch and all after it."""
        record = self[trial]
        record.rewind(epoch)
        self._forget_from(trial, epoch)
        return record

    def describe(self, trial: Trial, description: str) -> None:
        """Store how the model of the trial's variant is built."""
        number = trial.variant.number
        self._descriptions[number] = described_with(self._descriptions.get(number), trial.number, description)

    def decide(self, decision: Decision) -> None:
        """Store a decision of a search."""
        self._decisions.append(decision)

    def decisions(self) -> list[Decision]:
        """What a search has decided."""
        return list(self._decisions)

    def interrupt(self, diverged: Trial | None = None) -> None:
        """Mark every trial that has not ended as interrupted."""
        for record in self:
            if not record.state.ended:
                interrupted = record.trial is not diverged
                record.state = TrialState.INTERRUPTED if interrupted else TrialState.DIVERGED

    def flush(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to close."""

    def weights(self, trial: Trial) -> Weights | None:
        """The trained state of a trial that was trained to its end."""
        return self._weights.get(id(trial))

    def checkpoint(self, trial: Trial) -> Checkpoint | None:
        """The newest state that training can continue from."""
        return next(reversed(self._checkpoints.get(id(trial), [])), None)

    def cut_off(self, trial: Trial) -> CutOff | None:
        """The newest state of a trial that was not trained to its end."""
        found, checkpoint = self._cut_off.get(id(trial)), self.checkpoint(trial)
        if found is None and checkpoint is not None:
            return CutOff(trial, checkpoint.epoch, checkpoint.weights)
        return found

    def description(self, trial: Trial) -> str | None:
        """How the model of the trial's variant is built."""
        return of_trial(self._descriptions.get(trial.variant.number), trial.number)

    def noted(self) -> dict[int | None, Note]:
        """Notes, by the variant's number."""
        order = sorted(self._noted, key=lambda variant: -1 if variant is None else variant)
        return {variant: self._noted[variant] for variant in order}

    def note(self, variant: int | None, note: Note) -> None:
        """Replace the note about a variant, or the whole study."""
        there = {record.trial.variant.number for record in self}
        if variant is not None and variant not in there:
            raise no_such_variant(None, variant, len(there))
        self._noted.pop(variant, None)
        if note:
            self._noted[variant] = note

    def sites(self) -> list[Site]:
        """Where trials were trained."""
        return [self._site()] if self._has_events else []

    def _forget_from(self, trial: Trial, epoch: int) -> None:
        """Delete the states from after the beginning of ``epoch``."""
        self._weights.pop(id(trial), None)
        self._cut_off.pop(id(trial), None)
        checkpoints = self._checkpoints.get(id(trial), [])
        self._checkpoints[id(trial)] = [one for one in checkpoints if one.epoch <= epoch]


def checkpoint_at_the_end(record: Record, done: TrialDone) -> Checkpoint | None:
    """A trial's end as a checkpoint, where the event holds all that one needs; else None."""
    if done.weights is None or done.memory is None or not record.epochs:
        return None
    return Checkpoint(done.trial, next_epoch(record), done.weights, done.memory)
