"""A study in a database and files, written while it runs.

In: events, as `fairlane.store.records.Store` says. Out: rows and files. The records of the study are in
memory, too, for the process that trains; its weights are not. A thread of its own commits what is written:
first files, then, in one transaction, the rows that tell of them; so a row never tells of a file that was
not written whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError, StudyError
from fairlane.models.identity import objects
from fairlane.provenance import fingerprint
from fairlane.store import coding, tables, tree
from fairlane.store.artifacts import Artifact, Artifacts, new_folder
from fairlane.store.committer import Committer
from fairlane.store.database import Database
from fairlane.store.lease import BEAT, NOBODY, SILENCE, Writer
from fairlane.store.reading import Kept, Loaded, load, read_checkpoint, read_cut_off, read_weights, study_row
from fairlane.store.records import KEPT_CHECKPOINTS, Record, Store, next_epoch
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
    Variant,
    Weights,
    short,
)

_LONGEST_NAME = 200
_AT_ONCE = 8
"""Files that are written at once."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a study now.

    Attributes:
        spec: as `fairlane.provenance.fingerprint.spec` gives it.
        versions: package → version.
        resume: ``"auto"`` goes on if the spec is the same, ``"force"`` anyhow, ``"never"`` not at all.
        site: says where this process trains.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    resume: str = "auto"
    site: Callable[[], Site] = Site


# Steps of a batch


@dataclass(frozen=True)
class _Rows:
    """Rows of epochs."""

    rows: list[coding.Row]


@dataclass(frozen=True)
class _Test:
    """A trial's rows of the test data, instead of those it had."""

    number: int
    rows: list[coding.Row]


@dataclass(frozen=True)
class _Set:
    """New values of a trial's row."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class _Describe:
    """How a variant's model is built."""

    number: int
    text: str


@dataclass(frozen=True)
class _Forget:
    """A trial's epochs from one on, and what was saved after it."""

    number: int
    epoch: int


@dataclass(frozen=True, eq=False)
class _Save:
    """A state to keep in a file."""

    number: int
    kind: str
    epoch: int
    tree: dict[str, Any]


@dataclass(frozen=True)
class _Here:
    """Trials are trained by this process."""


@dataclass(frozen=True)
class _Directions:
    """What Keras knows of a variant's metrics."""

    number: int
    better: dict[str, str]


@dataclass(frozen=True)
class _WeightsEpoch:
    """The epoch that a trial's weights are of."""

    number: int
    epoch: int


_Step = _Rows | _Test | _Set | _Describe | _Forget | _Save | _Here | _Directions | _WeightsEpoch


class SqlStore(Store):
    """One study, opened for writing.

    Args:
        database: open for writing.
        name: the study's; made where there is none of that name.
        place: where its files go.
        asked: what is asked of it.

    Raises:
        StudyError: the study is another, or is there and must not be; or its name is no good.
        StoreError: another process writes it; or the files can't be written.
    """

    def __init__(self, database: Database, name: str, place: Path | str, asked: Asked) -> None:
        check_name(name)
        self.notes: list[str] = []
        self._database, self._name = database, name
        self._writer, self._is_new = Writer.this(), False
        try:
            self._loaded, _ = database.patiently(lambda connection: self._open(connection, asked))
        except BaseException:
            self._writer.let_go()
            raise
        self._records = {record.trial.number: record for record in self._loaded.records}
        self._asked = dict(self._loaded.asked)
        self._trusts = asked.resume == "force"
        self._adopted: dict[int, Trial] = {}
        self._kept = self._loaded.kept
        self._site, self._told = asked.site, False
        self._closed = False
        self._noted: set[str] = set()
        self._fresh = {n for n, one in self._records.items() if not one.epochs and n not in self._kept}
        try:
            self._files = Artifacts(place, self._loaded.row.folder)
            self._files.prepare()
            self._broken = self._files.sweep(one.artifact for kept in self._kept.values() for one in kept)
        except BaseException:
            if self._is_new:
                self._withdraw()
            self._release()
            raise
        self._note_broken()
        self._committer = Committer[_Step](self._commit, BEAT)

    # --- opening ---

    def _open(self, connection: sa.Connection, asked: Asked) -> Loaded:
        """Make the study or take it over, in one transaction."""
        self.notes.clear()
        row = study_row(connection, self._name)
        if row is None:
            connection.execute(self._database.insert(tables.studies).values(self._new_row(asked)))
            self._is_new = True
        else:
            self._check_free(row)
            values = {**self._writer.columns, "revision": row.revision + 1}
            values |= self._compared(row, asked, _is_begun(connection, row.id))
            columns = tables.studies.c
            # Of two processes that come at once, one finds the row as it was read.
            free = columns.writer.is_(None) if row.writer is None else columns.writer == row.writer
            taken = connection.execute(
                sa.update(tables.studies).where(columns.id == row.id, free).values(**values)
            )
            if taken.rowcount != 1:
                raise StoreError(f"another process has just begun to train the study {self._name!r}")
            trials = tables.trials.c
            dead = sa.update(tables.trials).where(
                trials.study_id == row.id, trials.state == str(TrialState.RUNNING)
            )
            connection.execute(dead.values(state=str(TrialState.INTERRUPTED)))
        return load(connection, study_row(connection, self._name))

    def _new_row(self, asked: Asked) -> dict[str, Any]:
        return {
            "name": self._name,
            "folder": new_folder(),
            "created": time.time(),
            "spec": json.dumps(asked.spec),
            "versions": json.dumps(dict(asked.versions)),
            "revision": 0,
            **self._writer.columns,
        }

    def _check_free(self, row: Any) -> None:
        """Refuse a study that a living process writes; say so where a dead one did."""
        other = Writer.of(row)
        if other is None:
            return
        if other.alive:
            here = other.place and other.place.rpartition(" ")[0] == self._writer.place.rpartition(" ")[0]
            how = (
                ""
                if here
                else (
                    f" It was heard of {other.silent:.0f} s ago; if it is dead, the study is free after "
                    f"{SILENCE:.0f} s of silence."
                )
            )
            raise StoreError(
                f"the study {self._name!r} in {self._database.place} is being trained by {other}: wait for "
                f"it, end it, or give another name. To read meanwhile: fairlane.open(store, name).{how}"
            )
        who = "an earlier call in this process" if other.is_here else str(other)
        self.notes.append(
            f"{who}, which trained the study {self._name!r}, ended without closing it; it goes on from "
            "what was stored"
        )

    def _compared(self, row: Any, asked: Asked, begun: bool) -> dict[str, Any]:
        """Compare what is asked with what was; what to change in the study's row.

        A study of which nothing was trained yet has nothing that would not fit to what is asked now.
        """
        if asked.resume == "never":
            raise StudyError(
                f"there is a study {self._name!r} in {self._database.place} already, and resume='never': "
                "give another name"
            )
        if begun and asked.resume != "force":
            self._refuse_another(row.spec, json.loads(json.dumps(asked.spec)))
        before = row.versions
        for package, version in asked.versions.items():
            if before.get(package, version) != version:
                self.notes.append(
                    f"the study {self._name!r} was begun with {package} {before[package]}, and goes on with "
                    f"{version}: what is trained now may differ in rounding"
                )
        return {"spec": json.dumps(asked.spec)}

    def _refuse_another(self, before: fingerprint.Spec, now: fingerprint.Spec) -> None:
        """Refuse to go on with a study that is another, or of which nobody can tell.

        Raises:
            StudyError: which; what differs, or can't be read.
        """
        which = f"the study {self._name!r} in {self._database.place}"
        lines = fingerprint.changed_settings(before, now)
        if lines:
            raise StudyError(
                f"{which} was trained under other settings of the session, which change what training gives: "
                "its trials can't be gone on with, nor compared with new ones.\n    "
                + "\n    ".join(lines)
                + "\nSet them back, or give the study another name; or, if the change makes no difference, "
                "resume='force'"
            )
        changed = fingerprint.differences(before, now)
        if changed:
            raise StudyError(
                f"{which} was asked for otherwise, and its "
                "finished trials would stand beside others that they can't be compared with.\n"
                f"{changed}\nGive it another name; or, if the change makes no difference, resume='force'"
            )
        unreadable = fingerprint.unreadable(now) or fingerprint.unreadable(before)
        if unreadable:
            raise StudyError(
                f"{which} is there, and nobody can tell whether this request is the one that it was trained "
                "for, because something that the model or the callbacks depend on can't be read:\n    "
                + "\n    ".join(unreadable)
                + "\nGive its class a __repr__ that says all that matters, or give the study another name; "
                "or, if it is the same, resume='force'"
            )

    def _note_broken(self) -> None:
        self.notes += [
            f"the file with the weights of {record.trial} is gone or cut off, so that the trial is to be "
            "trained again"
            for record in self
            if self._is_lost(record.trial.number)
        ]

    def _is_lost(self, number: int) -> bool:
        """Whether a trial's trained weights were kept and are no more."""
        kept = [one.artifact for one in self._kept.get(number, []) if one.kind in ("weights", "end")]
        return any(artifact in self._broken for artifact in kept)

    # --- trials ---

    def adopt(self, trials: Sequence[Trial], epochs: Sequence[int]) -> list[Trial]:
        """Find the trials among those stored, and add the others."""
        plan = _Plan(self._loaded, self._name, self._trusts)
        adopted = [plan.place(trial) for trial in trials]
        asked = {trial.number: count for trial, count in zip(adopted, epochs, strict=True)}
        self._database.patiently(lambda connection: self._insert(connection, plan, asked))
        adopted = [self._adopted.setdefault(trial.number, trial) for trial in adopted]
        for trial in adopted:
            number = trial.number
            if number in self._records:
                self._records[number].trial = trial
            else:
                self._records[number] = Record(trial)
                self._loaded.asked[number] = asked[number]
                self._fresh.add(number)
        self._asked |= asked
        self._loaded.keys.update((coding.key(trial), trial.number) for trial in plan.new_trials)
        self._loaded.variant_keys.update((coding.variant_key(one), one.number) for one in plan.new_variants)
        return adopted

    def _insert(self, connection: sa.Connection, plan: _Plan, asked: Mapping[int, int]) -> None:
        study_id, ids, variant_ids = self._loaded.row.id, self._loaded.ids, self._loaded.variant_ids
        if plan.new_variants:
            connection.execute(
                sa.insert(tables.variants), [_variant_row(study_id, one) for one in plan.new_variants]
            )
        number_and_id = sa.select(tables.variants.c.number, tables.variants.c.id)
        there = connection.execute(number_and_id.where(tables.variants.c.study_id == study_id))
        variant_ids.update((number, row_id) for number, row_id in there)
        if plan.new_trials:
            rows = [
                _trial_row(study_id, variant_ids[trial.variant.number], trial, asked[trial.number])
                for trial in plan.new_trials
            ]
            connection.execute(sa.insert(tables.trials), rows)
        number_and_id = sa.select(tables.trials.c.number, tables.trials.c.id)
        there = connection.execute(number_and_id.where(tables.trials.c.study_id == study_id))
        ids.update((number, row_id) for number, row_id in there)

    def unfinished(self, trial: Trial) -> bool:
        """Whether it is to be run."""
        record = self[trial]
        if record.state not in _TRAINED or self._is_lost(trial.number):
            return True
        trained = next_epoch(record)
        return trained >= self._loaded.asked[trial.number] and self._asked[trial.number] > trained

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
        return read_weights(self._files, self._kept.get(self[trial].trial.number, []), trial)

    def checkpoint(self, trial: Trial) -> Checkpoint | None:
        """The newest state that training can go on from, from its file."""
        number = self[trial].trial.number
        if number in self._fresh:  # every new trial is asked for one: nobody should wait for the disk
            return None
        self.flush()
        return read_checkpoint(self._files, self._kept.get(number, []), trial, self.notes)

    def cut_off(self, trial: Trial) -> CutOff | None:
        """The newest state of a trial that was not trained to its end, from its file."""
        self.flush()
        return read_cut_off(self._files, self._kept.get(self[trial].trial.number, []), trial)

    def description(self, trial: Trial) -> str | None:
        """How the model of the trial's variant is built."""
        return self._loaded.models.get(trial.variant.number)

    def sites(self) -> list[Site]:
        """Where trials were trained, as far as it has been written."""
        return list(self._loaded.sites)

    # --- writing ---

    def write(self, event: Event) -> Record:
        """Take one event in; return the record of its trial, brought up to date."""
        record = self[event.trial]
        record.take(event)
        steps, size = self._steps(event, record)
        self._put(steps if self._told else [_Here(), *steps], size)
        self._told = True
        return record

    def _steps(self, event: Event, record: Record) -> tuple[list[_Step], int]:
        number = event.trial.number
        state = _Set(number, _state_of(record))
        match event:
            case TrialStarted():
                self._loaded.asked[number] = self._asked[number]
                begun = {**state.values, "asked": self._asked[number]}
                return [*self._forget(number, event.epoch), _Set(number, begun)], 0
            case EpochEnded():
                rows, inexact = coding.epoch_rows(self._loaded.ids[number], event.epoch, event.logs)
                self._note_inexact(inexact, event.trial)
                steps: list[_Step] = [_Rows(rows), *self._new_directions(event)]
                return ([*steps, state] if record.error else steps), 0
            case Tested():
                rows, inexact = coding.log_rows(self._loaded.ids[number], event.logs)
                self._note_inexact(inexact, event.trial)
                return [_Test(number, rows), state], 0
            case Checkpoint():
                told = {"weights": coding.weights_to_tree(event.weights), "memory": dict(event.memory)}
                return [_Save(number, "checkpoint", event.epoch, told)], _size(event.weights)
            case CutOff():
                told = {"weights": coding.weights_to_tree(event.weights)}
                return [_Save(number, "cut off", event.epoch, told)], _size(event.weights)
            case TrialDone() if event.weights is not None:
                told = {"weights": coding.weights_to_tree(event.weights)}
                end = event.memory is not None and bool(record.epochs)
                if event.memory is not None and end:
                    told["memory"] = dict(event.memory)
                save = _Save(number, "end" if end else "weights", next_epoch(record), told)
                of = () if event.weights_epoch is None else (_WeightsEpoch(number, event.weights_epoch),)
                return [save, *of, state], _size(event.weights)
        return [state], 0

    def _new_directions(self, event: EpochEnded) -> list[_Step]:
        """What a variant's first trial tells of its metrics."""
        number = event.trial.variant.number
        known = self._loaded.directions.setdefault(number, {})
        new = {metric: better for metric, better in event.directions.items() if metric not in known}
        known |= new
        return [_Directions(number, new)] if new else []

    def _forget(self, number: int, epoch: int) -> list[_Step]:
        """What it takes to forget a trial's epochs: nothing where there was none yet."""
        fresh = number in self._fresh
        self._fresh.discard(number)
        return [] if fresh else [_Forget(number, epoch)]

    def _note_inexact(self, names: Sequence[str], trial: Trial) -> None:
        for name in names:
            if name not in self._noted:
                self._noted.add(name)
                self.notes.append(
                    f"the log {name!r:.60} of {trial} is no plain data; the store keeps its text"
                )

    def describe(self, trial: Trial, description: str) -> None:
        """Keep how the model of the trial's variant is built."""
        number = trial.variant.number
        if self._loaded.models.get(number) != description:
            self._loaded.models[number] = description
            self._put([_Describe(number, description)])

    def rewind(self, trial: Trial, epoch: int) -> Record:
        """Forget an epoch and all after it."""
        record = self[trial]
        record.rewind(epoch)
        number = trial.number
        self._put([*self._forget(number, epoch), _Set(number, _state_of(record))])
        return record

    def interrupt(self, diverged: Trial | None = None) -> None:
        """Mark every trial that has not ended as cut off, and wait until it is kept."""
        for record in self:
            if not record.state.ended:
                cut = record.trial is not diverged
                record.state = TrialState.INTERRUPTED if cut else TrialState.DIVERGED
                self._put([_Set(record.trial.number, _state_of(record))])
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

    def _put(self, steps: Sequence[_Step], size: int = 0) -> None:
        if self._closed:
            raise StoreError(f"the study {self._name!r} was closed, so nothing more is written to it")
        self._committer.put(steps, size)

    def _withdraw(self) -> None:
        """Take the row of a study back whose files can't be kept, so that the store is as it was."""
        row = tables.studies.c.id == self._loaded.row.id
        with suppress(StoreError):
            self._database.patiently(
                lambda connection: connection.execute(sa.delete(tables.studies).where(row))
            )

    def _release(self) -> None:
        columns = tables.studies.c
        mine = sa.update(tables.studies).where(
            columns.id == self._loaded.row.id, columns.writer == self._writer.token
        )
        with suppress(StoreError):  # it is known to be dead when its process has ended
            self._database.patiently(
                lambda connection: connection.execute(
                    mine.values(**NOBODY, revision=tables.studies.c.revision + 1)
                )
            )
        self._writer.let_go()
        self._database.close()

    # --- in the committer's thread ---

    def _commit(self, batch: Sequence[_Step]) -> None:
        """Files first, then the rows in one transaction, then what they replace is deleted."""
        saves = [step for step in batch if isinstance(step, _Save)]
        written = self._write_files(saves) if saves else {}
        here = self._site() if _Here() in batch else None
        batch_of = _Batch(self._database, self._loaded, self._kept, written, here)
        columns = tables.studies.c

        def act(connection: sa.Connection) -> _Batch:
            alive = sa.update(tables.studies).where(
                columns.id == self._loaded.row.id, columns.writer == self._writer.token
            )
            bump = columns.revision + (1 if batch else 0)
            kept = connection.execute(alive.values(heartbeat=time.time(), revision=bump))
            if kept.rowcount != 1:
                raise StoreError(
                    f"another process has taken over the study {self._name!r}, because this one was silent "
                    f"for more than {SILENCE:.0f} s; nothing more is written from here"
                )
            return batch_of.run(connection, batch)

        done, again = self._database.patiently(act)
        if again:
            self.notes.append(f"{self._database.place} was locked or gone for a while; nothing was lost")
        self._kept.update(done.kept)
        if here is not None and here not in self._loaded.sites:
            self._loaded.sites.append(here)
        self._files.delete(done.gone)

    def _write_files(self, saves: Sequence[_Save]) -> dict[int, Artifact]:
        """Write files, several at once: a disk confirms many as fast as one."""

        def write(step: _Save) -> tuple[int, Artifact]:
            data = tree.to_bytes(step.tree)
            artifact = Artifact.of(step.number, step.epoch, data)
            self._files.write(artifact, data)
            return id(step), artifact

        with ThreadPoolExecutor(min(_AT_ONCE, len(saves))) as pool:
            written = dict(pool.map(write, saves))
        self._files.sync()
        return written


class _Batch:
    """The statements of one batch; what they change in memory is set aside until they are committed."""

    def __init__(
        self,
        database: Database,
        loaded: Loaded,
        kept: Mapping[int, list[Kept]],
        written: Mapping[int, Artifact],
        here: Site | None,
    ) -> None:
        self._database, self._loaded = database, loaded
        self._before, self._written, self._here = kept, written, here
        self.kept: dict[int, list[Kept]] = {}
        self.gone: list[Artifact] = []

    def run(self, connection: sa.Connection, batch: Sequence[_Step]) -> _Batch:
        """All steps, in order but for those that do not touch each other."""
        self.kept, self.gone = {}, []
        rows: list[coding.Row] = []
        states: dict[int, dict[str, Any]] = {}
        if self._here is not None:
            self._settle(connection, self._here)
        for step in batch:
            match step:
                case _Rows():
                    rows.extend(step.rows)
                case _Set():
                    states.setdefault(step.number, {}).update(step.values)
                case _Forget():
                    rows = self._insert_rows(connection, rows, step.number)
                    self._forget(connection, step)
                case _Test():
                    self._test(connection, step)
                case _Save():
                    self._save(connection, step)
                case _Describe():
                    self._describe(connection, step)
                case _Directions():
                    self._direct(connection, step)
                case _WeightsEpoch():
                    self._note_weights_epoch(connection, step)
        self._insert_rows(connection, rows, None)
        self._update(connection, states)
        return self

    def _of(self, number: int) -> list[Kept]:
        if number not in self.kept:
            self.kept[number] = list(self._before.get(number, []))
        return self.kept[number]

    def _insert_rows(
        self, connection: sa.Connection, rows: list[coding.Row], number: int | None
    ) -> list[coding.Row]:
        """Insert, where there is one of that trial or for all; what is left to insert."""
        if number is not None and all(row["trial_id"] != self._loaded.ids[number] for row in rows):
            return rows
        if rows:
            # A commit whose confirmation was lost is done again, and must not write twice.
            connection.execute(self._database.insert(tables.epochs).on_conflict_do_nothing(), rows)
        return []

    def _update(self, connection: sa.Connection, states: Mapping[int, Mapping[str, Any]]) -> None:
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for number, values in states.items():
            row = {"b_id": self._loaded.ids[number], **{f"b_{name}": v for name, v in values.items()}}
            alike.setdefault(tuple(values), []).append(row)
        for names, listed in alike.items():
            binds: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for name in names}
            trials = tables.trials
            connection.execute(
                sa.update(trials).where(trials.c.id == sa.bindparam("b_id")).values(**binds), listed
            )

    def _forget(self, connection: sa.Connection, step: _Forget) -> None:
        columns = tables.epochs.c
        row_id = self._loaded.ids[step.number]
        connection.execute(
            sa.delete(tables.epochs).where(columns.trial_id == row_id, columns.epoch >= step.epoch)
        )
        for table in (tables.tests, tables.weights_epochs):
            connection.execute(sa.delete(table).where(table.c.trial_id == row_id))
        for one in list(self._of(step.number)):
            if one.kind == "end" and one.artifact.epoch <= step.epoch:
                self._rename(connection, step.number, one, "checkpoint")
            elif one.kind != "checkpoint" or one.artifact.epoch > step.epoch:
                self._drop(connection, step.number, one)

    def _test(self, connection: sa.Connection, step: _Test) -> None:
        row_id = self._loaded.ids[step.number]
        connection.execute(sa.delete(tables.tests).where(tables.tests.c.trial_id == row_id))
        if step.rows:
            connection.execute(sa.insert(tables.tests), step.rows)

    def _save(self, connection: sa.Connection, step: _Save) -> None:
        artifact = self._written[id(step)]
        values = {
            "trial_id": self._loaded.ids[step.number],
            "kind": step.kind,
            "epoch": artifact.epoch,
            "token": artifact.token,
            "size": artifact.size,
            "sha256": artifact.sha256,
        }
        connection.execute(self._database.insert(tables.artifacts).on_conflict_do_nothing(), [values])
        kept = self._of(step.number)
        kept.append(Kept(step.kind, artifact))
        if step.kind == "cut off":  # training goes on from the checkpoints before it
            gone = [one for one in kept[:-1] if one.kind == step.kind]
        else:
            gone = kept[: -KEPT_CHECKPOINTS if step.kind == "checkpoint" else -1]
        for one in gone:
            self._drop(connection, step.number, one)

    def _rename(self, connection: sa.Connection, number: int, one: Kept, kind: str) -> None:
        table = tables.artifacts
        connection.execute(sa.update(table).where(table.c.token == one.artifact.token).values(kind=kind))
        kept = self._of(number)
        kept[kept.index(one)] = replace(one, kind=kind)

    def _drop(self, connection: sa.Connection, number: int, one: Kept) -> None:
        table = tables.artifacts
        connection.execute(sa.delete(table).where(table.c.token == one.artifact.token))
        self._of(number).remove(one)
        self.gone.append(one.artifact)

    def _describe(self, connection: sa.Connection, step: _Describe) -> None:
        table = tables.variants
        row_id = self._loaded.variant_ids[step.number]
        connection.execute(sa.update(table).where(table.c.id == row_id).values(model=step.text))

    def _direct(self, connection: sa.Connection, step: _Directions) -> None:
        row_id = self._loaded.variant_ids[step.number]
        rows = [
            {"variant_id": row_id, "metric": metric, "better": better}
            for metric, better in step.better.items()
        ]
        connection.execute(self._database.insert(tables.directions).on_conflict_do_nothing(), rows)

    def _note_weights_epoch(self, connection: sa.Connection, step: _WeightsEpoch) -> None:
        table, row_id = tables.weights_epochs, self._loaded.ids[step.number]
        connection.execute(sa.delete(table).where(table.c.trial_id == row_id))
        connection.execute(sa.insert(table), [{"trial_id": row_id, "epoch": step.epoch}])

    def _settle(self, connection: sa.Connection, here: Site) -> None:
        row = {"study_id": self._loaded.row.id, "machine": here.machine, "git": here.commit}
        connection.execute(self._database.insert(tables.sites).on_conflict_do_nothing(), [row])


# Plans


class _Plan:
    """Which of a plan's trials are stored, and which numbers the others get."""

    def __init__(self, loaded: Loaded, name: str, trusts: bool) -> None:
        self._name, self._trusts = name, trusts
        self._stored = frozenset(loaded.variant_keys)
        self._by_key: dict[str, Variant] = {}
        self._numbers = dict(loaded.keys)
        self._variants = dict(loaded.variant_keys)
        self._next = max(self._numbers.values(), default=-1) + 1  # a damaged store may lack some
        self._next_variant = max(self._variants.values(), default=-1) + 1
        self._made: dict[int, Variant] = {}
        self.new_variants: list[Variant] = []
        self.new_trials: list[Trial] = []

    def place(self, trial: Trial) -> Trial:
        """The trial with its number in the store."""
        variant = self._placed(trial.variant)
        key = coding.key(trial)
        new = key not in self._numbers
        number = self._numbers.setdefault(key, self._next)
        self._next += new
        placed = Trial(number, variant, trial.seed)
        if new:
            self.new_trials.append(placed)
        return placed

    def _placed(self, variant: Variant) -> Variant:
        if id(variant) not in self._made:
            key = coding.variant_key(variant)
            other = self._by_key.setdefault(key, variant)
            if other is not variant:
                raise StudyError(
                    f"variants {other.number} ({other.label}) and {variant.number} ({variant.label}) can't "
                    "be told apart: a store knows values by their state, and of these it can't be read. Give "
                    "their class a __repr__ that says all that matters"
                )
            if key in self._stored and not self._trusts:
                self._refuse_unreadable(variant)
            new = key not in self._variants
            number = self._variants.setdefault(key, self._next_variant)
            self._next_variant += new
            self._made[id(variant)] = Variant(number, variant.hyperparameters, variant.fit_arguments)
            if new:
                self.new_variants.append(self._made[id(variant)])
        return self._made[id(variant)]

    def _refuse_unreadable(self, variant: Variant) -> None:
        """Refuse to take a stored variant for one that has a value whose state can't be read."""
        for name, value in variant.hyperparameters.items():
            told = fingerprint.described(value)
            if objects.is_unknown(told):
                raise StudyError(
                    f"the study {self._name!r} has a variant with {name}={short(value)} already, and nobody "
                    f"can tell whether it is this one: {name} holds {objects.in_words(told)}, which can't "
                    "be read. Give its class a __repr__ that says all that matters, or give the study "
                    "another name; or, if it is the same, resume='force'"
                )


def _variant_row(study_id: int, variant: Variant) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "number": variant.number,
        "key": coding.variant_key(variant),
        "hyperparameters": coding.variant_to_text(variant),
    }


def _trial_row(study_id: int, variant_id: int, trial: Trial, asked: int) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "variant_id": variant_id,
        "number": trial.number,
        "key": coding.key(trial),
        "seed": trial.seed,
        "asked": asked,
        **_state_of(Record(trial)),
    }


def _state_of(record: Record) -> dict[str, Any]:
    """A record's own columns."""
    names = ("seconds", "engine", "reason", "fleet", "loop", "error", "traceback")
    return {"state": str(record.state), **{name: getattr(record, name) for name in names}}


def _is_begun(connection: sa.Connection, study_id: int) -> bool:
    """Whether any of a study's trials was begun."""
    columns = tables.trials.c
    begun = columns.state != str(TrialState.WAITING)
    return bool(
        connection.execute(sa.select(sa.func.count()).where(columns.study_id == study_id, begun)).scalar()
    )


def _size(weights: Weights) -> int:
    return sum(int(getattr(array, "nbytes", 0)) for array in weights.state.flat())


def check_name(name: Any) -> None:
    """Refuse what can't be a study's name.

    Raises:
        StudyError: it is none, or too long.
    """
    if not isinstance(name, str) or not name.strip():
        raise StudyError(f"a stored study has a name, to find it by: give name='...', not {name!r}")
    if len(name) > _LONGEST_NAME:
        raise StudyError(f"the study's name has {len(name)} characters, and a store takes {_LONGEST_NAME}")


_TRAINED = (TrialState.DONE, TrialState.DIVERGED)
