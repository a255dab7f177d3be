"""A study in a database and files, written while it runs.

In: events, as `fairlane.store.records.Store` says. Out: rows and files. The records of the study are in
memory, too, for the process that trains; its weights are not. A separate thread commits what is written:
first files, then, in one transaction, the rows that name them. So a row never names a file that was not
written whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError
from fairlane.models.recipes.individual import described_with, of_trial
from fairlane.store import coding, tree
from fairlane.store.artifacts import Artifact, Artifacts
from fairlane.store.batch import Batch
from fairlane.store.claim import Claim
from fairlane.store.committer import Committer
from fairlane.store.database import Database
from fairlane.store.lease import BEAT
from fairlane.store.loading import StudyRows, load_notes
from fairlane.store.notes import Note
from fairlane.store.noting import write_note
from fairlane.store.numbering import Numbering
from fairlane.store.records import Decision, Record, Store, next_epoch
from fairlane.store.request import StudyRequest
from fairlane.store.saved import HAS_TRAINED_WEIGHTS, read_checkpoint, read_cut_off, read_weights
from fairlane.store.steps import (
    AddDecision,
    AddDirections,
    AddEpochs,
    AddSite,
    Rewind,
    SaveFile,
    SetModel,
    SetTest,
    SetTrial,
    SetWeightsEpoch,
    Step,
    size_of,
    trial_columns,
)
from fairlane.trials import (
    Checkpoint,
    CutOff,
    EpochEnded,
    Event,
    Site,
    Tested,
    Trial,
    TrialDone,
    TrialStarted,
    TrialState,
    Weights,
)

_PARALLEL_FILES = 8
"""Files that are written in parallel."""
_TRAINED = (TrialState.DONE, TrialState.STOPPED, TrialState.DIVERGED)


class SqlStore(Store):
    """One study, opened for writing.

    Args:
        database: open for writing.
        name: as `fairlane.store.request.check_name` returns it; a study is made if none has the name.
        place: where its files go.
        request: what is requested of it.

    Raises:
        StudyError: the study is another one, or exists and must not.
        StoreError: another process writes it; or the files can't be written.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        place: Path | str,
        request: StudyRequest,
        claim: Claim | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._database, self._name, self._request = database, name, request
        self._claim = Claim(database, name) if claim is None else claim
        self._take_rows(self._claim.take(request, self.notes))
        self._adopted: dict[int, Trial] = {}
        self._has_site = self._closed = False
        self._inexact: set[str] = set()
        self._redescribed: set[int] = set()
        try:
            self._files = Artifacts(place, self._study.row.folder)
            self._files.prepare()
            named = [one.artifact for saved in self._study.files.values() for one in saved]
            # Where others write, a file that no row names may be one of theirs that is just being written.
            self._broken = self._files.sweep(named) if claim is None else self._files.broken(named)
        except BaseException:
            self._claim.withdraw(self._study.row.id)
            self._release()
            raise
        self._note_broken()
        self._committer = Committer[Step](self._commit, BEAT)

    def _take_rows(self, study: StudyRows) -> None:
        """Go on from the rows of a study."""
        self._study = study
        self._records = {record.trial.number: record for record in study.records}
        self._requested = dict(study.requested)
        self._fresh = {n for n, one in self._records.items() if not one.epochs and n not in study.files}
        """Trials of which the store has neither an epoch nor a file."""

    def _note_broken(self) -> None:
        self.notes += [
            f"the file with the weights of {record.trial} is missing or incomplete, so it is trained again"
            for record in self
            if self._is_lost(record.trial.number)
        ]

    def _is_lost(self, number: int) -> bool:
        """Whether a trial's trained weights were saved and are missing now."""
        saved = self._study.files.get(number, [])
        return any(one.artifact in self._broken for one in saved if one.kind in HAS_TRAINED_WEIGHTS)

    # --- trials ---

    def adopt(self, trials: Sequence[Trial], epochs: Sequence[int]) -> list[Trial]:
        """Find the trials among those stored, and add the others."""
        numbering, adopted = self._insert(trials, epochs)
        requested = {trial.number: count for trial, count in zip(adopted, epochs, strict=True)}
        # A trial that was adopted before stays the same object, by which callers know it.
        adopted = [self._adopted.setdefault(trial.number, trial) for trial in adopted]
        for trial in adopted:
            number = trial.number
            if number in self._records:
                self._records[number].trial = trial
            else:
                self._records[number] = Record(trial)
                self._study.requested[number] = requested[number]
                self._fresh.add(number)
        self._requested |= requested
        numbering.keep()
        return adopted

    def _insert(self, trials: Sequence[Trial], epochs: Sequence[int]) -> tuple[Numbering, list[Trial]]:
        """Number trials, and insert rows for those that are new."""
        numbering, adopted, requested = self._numbered(trials, epochs)
        self._database.patiently(lambda connection: numbering.insert(connection, requested))
        return numbering, adopted

    def _numbered(
        self, trials: Sequence[Trial], epochs: Sequence[int]
    ) -> tuple[Numbering, list[Trial], dict[int, int]]:
        numbering = Numbering(self._study, self._name, trusts=self._request.resume == "force")
        adopted = [numbering.number(trial) for trial in trials]
        requested = {trial.number: count for trial, count in zip(adopted, epochs, strict=True)}
        return numbering, adopted, requested

    def unfinished(self, trial: Trial) -> bool:
        """Whether it is to be trained."""
        record = self[trial]
        if record.state not in _TRAINED or self._is_lost(trial.number):
            return True
        trained = next_epoch(record)
        # A trial that a callback had stopped before its last epoch has ended, though more are requested now.
        was_complete = trained >= self._study.requested[trial.number]
        return was_complete and self._requested[trial.number] > trained

    # --- reading ---

    def __iter__(self) -> Iterator[Record]:
        return iter([self._records[number] for number in sorted(self._records)])

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, trial: Trial) -> Record:
        record = self._records.get(trial.number)
        if record is None or record.trial is not trial:
            raise KeyError(trial)
        return record

    def weights(self, trial: Trial) -> Weights | None:
        """The trained state of a trial that was trained to its end, from its file."""
        self.flush()
        return read_weights(self._files, self._study.files.get(self[trial].trial.number, []), trial)

    def checkpoint(self, trial: Trial) -> Checkpoint | None:
        """The newest state that training can continue from, from its file."""
        number = self[trial].trial.number
        if number in self._fresh:  # before each new trial this is called: it must not wait for the disk
            return None
        self.flush()
        return read_checkpoint(self._files, self._study.files.get(number, []), trial, self.notes)

    def cut_off(self, trial: Trial) -> CutOff | None:
        """The newest state of a trial that was not trained to its end, from its file."""
        self.flush()
        return read_cut_off(self._files, self._study.files.get(self[trial].trial.number, []), trial)

    def description(self, trial: Trial) -> str | None:
        """How the model of the trial's variant is built."""
        return of_trial(self._study.models.get(trial.variant.number), trial.number)

    def decisions(self) -> list[Decision]:
        """What a search has decided."""
        return list(self._study.decisions)

    def noted(self) -> dict[int | None, Note]:
        """Notes, by the variant's number, as they are now: any process may write one."""
        return self._database.patiently(lambda connection: load_notes(connection, self._study.row.id))[0]

    def note(self, variant: int | None, note: Note) -> None:
        """Replace the note about a variant, or the whole study."""
        self.flush()  # a note may be about a variant that is not committed yet
        name, place = self._name, self._database.place
        self._database.patiently(lambda connection: write_note(connection, name, variant, note, place))

    def sites(self) -> list[Site]:
        """Where trials were trained, as far as it has been written."""
        return list(self._study.sites)

    # --- writing ---

    def write(self, event: Event) -> Record:
        """Record one event; return the record of its trial, brought up to date."""
        record = self[event.trial]
        record.take(event)
        steps, size = self._steps(event, record)
        # The site comes with the first event: a call that trains nothing adds none.
        self._put(steps if self._has_site else [AddSite(), *steps], size)
        self._has_site = True
        return record

    def _steps(self, event: Event, record: Record) -> tuple[list[Step], int]:
        """What an event changes, and about how many bytes that holds."""
        number = event.trial.number
        state = SetTrial(number, trial_columns(record))
        match event:
            case TrialStarted():
                self._study.requested[number] = self._requested[number]
                begun = {**state.values, "asked": self._requested[number]}
                return [*self._rewind(number, event.epoch), SetTrial(number, begun)], 0
            case EpochEnded():
                rows, inexact = coding.epoch_rows(self._study.ids[number], event.epoch, event.logs)
                self._note_inexact(inexact, event.trial)
                steps: list[Step] = [AddEpochs(rows), *self._new_directions(event)]
                return ([*steps, state] if record.error else steps), 0
            case Tested():
                rows, inexact = coding.log_rows(self._study.ids[number], event.logs)
                self._note_inexact(inexact, event.trial)
                return [SetTest(number, rows), state], 0
            case Checkpoint():
                content = _content(event.weights, event.memory)
                return [SaveFile(number, "checkpoint", event.epoch, content)], size_of(event.weights)
            case CutOff():
                save = SaveFile(number, "cut off", event.epoch, _content(event.weights))
                return [save], size_of(event.weights)
            case TrialDone() if event.weights is not None:
                return [*self._end(event, event.weights, record), state], size_of(event.weights)
        return [state], 0

    def _end(self, event: TrialDone, weights: Weights, record: Record) -> list[Step]:
        """What is saved of a trial that was trained to its end."""
        number = event.trial.number
        memory = event.memory if record.epochs else None
        kind = "weights" if memory is None else "end"
        save = SaveFile(number, kind, next_epoch(record), _content(weights, memory))
        if event.weights_epoch is None:
            return [save]
        return [save, SetWeightsEpoch(number, event.weights_epoch)]

    def _new_directions(self, event: EpochEnded) -> list[Step]:
        """What a variant's first trial reports of its metrics."""
        number = event.trial.variant.number
        known = self._study.directions.setdefault(number, {})
        new = {metric: better for metric, better in event.directions.items() if metric not in known}
        known |= new
        return [AddDirections(number, new)] if new else []

    def _rewind(self, number: int, epoch: int) -> list[Step]:
        """What deletes a trial's epochs from one on: nothing where the store has none."""
        fresh = number in self._fresh
        self._fresh.discard(number)
        return [] if fresh else [Rewind(number, epoch)]

    def _note_inexact(self, names: Sequence[str], trial: Trial) -> None:
        for name in names:
            if name not in self._inexact:
                self._inexact.add(name)
                self.notes.append(
                    f"the log {name!r:.60} of {trial} is not plain data; only its text is stored"
                )

    def describe(self, trial: Trial, description: str) -> None:
        """Store how the model of the trial is built."""
        number, forced = trial.variant.number, self._request.resume == "force"
        before = self._study.models.get(number)
        # The builder may be another one, whose models are not those of the trials before.
        known = before if not forced or number in self._redescribed else None
        self._redescribed.add(number)
        found = described_with(known, trial.number, description)
        if found != before:
            self._study.models[number] = found
            self._put([SetModel(number, found)])

    def decide(self, decision: Decision) -> None:
        """Store a decision of a search."""
        place = len(self._study.decisions)
        self._study.decisions.append(decision)
        self._put([AddDecision.of(place, decision)])

    def rewind(self, trial: Trial, epoch: int) -> Record:
        """Delete an epoch and all after it."""
        record = self[trial]
        record.rewind(epoch)
        number = trial.number
        self._put([*self._rewind(number, epoch), SetTrial(number, trial_columns(record))])
        return record

    def interrupt(self, diverged: Trial | None = None) -> None:
        """Mark every trial that has not ended as interrupted, and wait until that is stored."""
        self._interrupt(list(self), diverged)

    def _interrupt(self, records: Sequence[Record], diverged: Trial | None) -> None:
        for record in records:
            if not record.state.ended:
                interrupted = record.trial is not diverged
                record.state = TrialState.INTERRUPTED if interrupted else TrialState.DIVERGED
                self._put([SetTrial(record.trial.number, trial_columns(record))])
        self.flush()

    def flush(self) -> None:
        """Wait until all that was written is in the database."""
        if not self._closed:
            self._committer.flush()

    def close(self) -> None:
        """Write what is left, and let another process write the study."""
        if self._closed:
            return
        self._closed = True
        try:
            self._committer.close()
        finally:
            self._release()

    def _put(self, steps: Sequence[Step], size: int = 0) -> None:
        if self._closed:
            raise StoreError(f"the study {self._name!r} was closed, so nothing more is written to it")
        self._committer.put(steps, size)

    def _release(self) -> None:
        self._claim.release(self._study.row.id)
        self._database.close()

    # --- in the committer's thread ---

    def _commit(self, batch: Sequence[Step]) -> None:
        """Files first, then the rows in one transaction, then what they replace is deleted."""
        saves = [step for step in batch if isinstance(step, SaveFile)]
        written = self._write_files(saves) if saves else {}
        here = self._request.site() if AddSite() in batch else None
        statements = Batch(self._database, self._study, written, here)

        def act(connection: sa.Connection) -> Batch:
            self._claim.renew(connection, self._study.row.id, changed=bool(batch))
            self._beside(connection, batch)
            return statements.run(connection, batch)

        done, again = self._database.patiently(act)
        if again:
            self.notes.append(
                f"{self._database.place} was locked or not available for a while; nothing was lost"
            )
        self._study.files.update(done.files)
        if here is not None and here not in self._study.sites:
            self._study.sites.append(here)
        self._files.delete(done.gone)

    def _beside(self, connection: sa.Connection, batch: Sequence[Step]) -> None:
        """What a commit changes beside its steps."""

    def _write_files(self, saves: Sequence[SaveFile]) -> dict[int, Artifact]:
        """Write files in parallel: a disk confirms many as fast as one."""

        def write(step: SaveFile) -> tuple[int, Artifact]:
            data = tree.to_bytes(step.tree)
            artifact = Artifact.of(step.number, step.epoch, data)
            self._files.write(artifact, data)
            return id(step), artifact

        with ThreadPoolExecutor(min(_PARALLEL_FILES, len(saves))) as pool:
            written = dict(pool.map(write, saves))
        self._files.sync()
        return written


def _content(weights: Weights, memory: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a file holds: weights, and of a checkpoint what else its trial remembers."""
    content = {"weights": coding.weights_to_tree(weights)}
    return content if memory is None else {**content, "memory": dict(memory)}
