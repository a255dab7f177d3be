"""A study in a database, for reading.

In: a database and a study's name. Out: its records, always as they are now, also while another process trains
the study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError, StudyError
from fairlane.models.recipes.individual import of_trial
from fairlane.provenance.origin import Origin
from fairlane.store import sharers, tables
from fairlane.store.artifacts import Artifacts
from fairlane.store.database import Database
from fairlane.store.lease import Writer
from fairlane.store.loading import StudyRows, load, study_row
from fairlane.store.notes import Note
from fairlane.store.records import Decision, Record, Records
from fairlane.store.saved import read_checkpoint, read_cut_off, read_weights
from fairlane.trials import Checkpoint, CutOff, Site, Trial, TrialState, Weights

_LISTED = 10
"""Names of studies that an error lists."""


class StoredRecords(Records):
    """The records of a study in a database, read again whenever they have changed.

    Args:
        database: open for reading.
        name: the study's.
        place: where its files are; None where the store's URL does not say.
        write_note: replaces a note in the database, which is open here for reading alone.

    Raises:
        StudyError: there is no such study; which there are.
        StoreError: the database can't be read.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        place: Path | str | None,
        write_note: Callable[[int | None, Note], None],
    ) -> None:
        self.notes: list[str] = []
        self._database, self._name, self._place = database, name, place
        self._write_note = write_note
        self._revision: Any = None
        self._study: StudyRows | None = None
        self._now()

    def __iter__(self) -> Iterator[Record]:
        return iter(self._now().records)

    def __len__(self) -> int:
        return len(self._now().records)

    def __getitem__(self, trial: Trial) -> Record:
        for record in self._now().records:
            if record.trial is trial:
                return record
        raise KeyError(trial)

    def weights(self, trial: Trial) -> Weights | None:
        """The trained state of a trial that was trained to its end."""
        saved = self._now().files.get(self[trial].trial.number, [])
        return read_weights(self._files(), saved, trial) if saved else None

    def checkpoint(self, trial: Trial) -> Checkpoint | None:
        """The newest state that training can continue from."""
        saved = self._now().files.get(self[trial].trial.number, [])
        return read_checkpoint(self._files(), saved, trial, self.notes) if saved else None

    def cut_off(self, trial: Trial) -> CutOff | None:
        """The newest state of a trial that was not trained to its end."""
        saved = self._now().files.get(self[trial].trial.number, [])
        return read_cut_off(self._files(), saved, trial) if saved else None

    def description(self, trial: Trial) -> str | None:
        """How the model of the trial's variant is built."""
        return of_trial(self._now().models.get(trial.variant.number), trial.number)

    def decisions(self) -> list[Decision]:
        """What a search has decided."""
        return list(self._now().decisions)

    def noted(self) -> dict[int | None, Note]:
        """Notes, by the variant's number."""
        return dict(self._now().noted)

    def note(self, variant: int | None, note: Note) -> None:
        """Replace the note about a variant, or the whole study."""
        self._write_note(variant, note)

    def sites(self) -> list[Site]:
        """Where trials were trained."""
        return list(self._now().sites)

    def origin(self) -> Origin:
        """What was requested, and where it was trained."""
        study = self._now()
        row, epochs = study.row, max(study.requested.values(), default=None)
        return Origin(row.spec, row.versions, epochs, study.sites, created=row.created)

    def _files(self) -> Artifacts:
        if self._place is None:
            raise StoreError(
                f"the URL of {self._database.place} does not say where the files with the weights are: add "
                "?artifacts=... to it"
            )
        return Artifacts(self._place, self._now().row.folder)

    def _now(self) -> StudyRows:
        """The rows; read again where a writer has committed since, or has died."""
        study, _ = self._database.patiently(self._read)
        return study

    def _read(self, connection: sa.Connection) -> StudyRows:
        row = study_row(connection, self._name)
        if row is None:
            raise no_such_study(connection, self._name, self._database.place)
        writer = Writer.of(row)
        written = writer is not None and writer.alive(sharers.now(connection))
        running = written or bool(sharers.living(connection, row.id))
        # The row's id, too: the study may have been deleted, and another made with its name.
        revision = (row.id, row.revision, running)
        if self._study is None or revision != self._revision:
            before, self._study = self._study, load(connection, row)
            self._revision = revision
            if not running:
                _mark_interrupted(self._study.records)
            if before is not None and before.row.id == row.id:
                for old, new in zip(before.records, self._study.records, strict=False):
                    new.trial = old.trial  # callers hold trials, and records are found by their identity
        return self._study


def _mark_interrupted(records: Sequence[Record]) -> None:
    """Mark trials as interrupted that still say "running" although the process that trained them is dead."""
    for record in records:
        if record.state is TrialState.RUNNING:
            record.state = TrialState.INTERRUPTED


def no_such_study(connection: sa.Connection, name: str, place: str) -> StudyError:
    """The error for a name that no study has; which there are."""
    names = connection.execute(sa.select(tables.studies.c.name).order_by(tables.studies.c.name)).scalars()
    there = [repr(one) for one in names]
    more = len(there) - _LISTED
    listed = ", ".join(there[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    return StudyError(f"there is no study {name!r:.200} in {place}; there are: {listed or 'none'}")
