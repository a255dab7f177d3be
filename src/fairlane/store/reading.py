"""Rows and files → records, weights and checkpoints.

In: a database and a study's name. Out: its records as they are now, be it while another process trains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError, StudyError
from fairlane.provenance.origin import Origin
from fairlane.store import coding, rows, tables, tree
from fairlane.store.artifacts import Artifact, Artifacts, Damaged
from fairlane.store.database import Database
from fairlane.store.lease import Writer
from fairlane.store.records import Record, Records
from fairlane.trials import Checkpoint, CutOff, Site, Trial, TrialState, Variant, Weights


@dataclass
class Kept:
    """A file that a row tells of.

    Attributes:
        kind: ``"weights"``, ``"checkpoint"``, or ``"end"``, which is both.
        artifact: the file.
    """

    kind: str
    artifact: Artifact


@dataclass
class Loaded:
    """All rows of one study.

    Attributes:
        row: its own.
        variants: by number.
        records: in the order of the trials' numbers.
        ids: number of a trial → its row.
        variant_ids: number of a variant → its row.
        variant_keys: what tells a variant from others → its number.
        keys: what tells a trial from others → its number.
        asked: number of a trial → how many epochs it was to be trained for.
        kept: number of a trial → its files, oldest first.
        models: number of a variant → how its model is built.
        directions: number of a variant → what Keras knows of its metrics.
        sites: where it was trained.
    """

    row: Any
    variants: dict[int, Variant] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    ids: dict[int, int] = field(default_factory=dict)
    variant_ids: dict[int, int] = field(default_factory=dict)
    variant_keys: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    asked: dict[int, int] = field(default_factory=dict)
    kept: dict[int, list[Kept]] = field(default_factory=dict)
    models: dict[int, str] = field(default_factory=dict)
    directions: dict[int, dict[str, str]] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)


def study_row(connection: sa.Connection, name: str) -> Any:
    """The row of a study, or None."""
    return next(rows.select(connection, tables.studies, tables.studies.c.name == name), None)


def load(connection: sa.Connection, row: Any) -> Loaded:
    """Everything that the database holds of a study.

    Raises:
        StoreError: something in it was not written here.
    """
    loaded = Loaded(row)
    for table in (tables.variants, tables.trials):
        rows.check_references(connection, table, "study_id")
    for table in (tables.epochs, tables.tests, tables.artifacts):
        rows.check_references(connection, table, "trial_id")
    number_of = _load_variants(connection, row.id, loaded)
    by_id = _load_trials(connection, row.id, loaded, number_of)
    _load_epochs(connection, row.id, by_id)
    _load_tests(connection, row.id, by_id)
    _load_artifacts(connection, row.id, by_id, loaded)
    if sa.inspect(connection).has_table(tables.directions.name):  # before version 3, nobody kept them
        _load_directions(connection, row.id, by_id, loaded, number_of)
        _load_weights_epochs(connection, row.id, by_id)
    loaded.sites = _load_sites(connection, row.id)
    return loaded


def _load_variants(connection: sa.Connection, study_id: int, loaded: Loaded) -> dict[int, int]:
    """Row of a variant → its number."""
    table, number_of = tables.variants, {}
    for one in rows.select(connection, table, table.c.study_id == study_id, order=[table.c.number]):
        if one.number in loaded.variants:
            raise rows.wrong(table, f"id {one.id}", "number", f"another variant has the number {one.number}")
        loaded.variants[one.number] = Variant(one.number, *one.hyperparameters)
        loaded.variant_ids[one.number], number_of[one.id] = one.id, one.number
        loaded.variant_keys[one.key] = one.number
        if one.model is not None:
            loaded.models[one.number] = one.model
    return number_of


def _load_trials(
    connection: sa.Connection, study_id: int, loaded: Loaded, number_of: dict[int, int]
) -> dict[int, Record]:
    """Row of a trial → its record."""
    table, by_id = tables.trials, {}
    for one in rows.select(connection, table, table.c.study_id == study_id, order=[table.c.number]):
        if one.variant_id not in number_of:
            why = f"it is {one.variant_id}, and no variant of the study has this id"
            raise rows.wrong(table, f"id {one.id}", "variant_id", why)
        if one.number in loaded.ids:
            raise rows.wrong(table, f"id {one.id}", "number", f"another trial has the number {one.number}")
        by_id[one.id] = _record(one, loaded.variants[number_of[one.variant_id]])
        loaded.records.append(by_id[one.id])
        loaded.ids[one.number], loaded.keys[one.key] = one.id, one.number
        loaded.asked[one.number] = one.asked
    return by_id


def _record(row: Any, variant: Variant) -> Record:
    return Record(
        Trial(row.number, variant, row.seed),
        row.state,
        seconds=row.seconds,
        engine=row.engine,
        reason=row.reason,
        fleet=row.fleet,
        loop=row.loop,
        error=row.error,
        traceback=row.traceback,
    )


def _load_epochs(connection: sa.Connection, study_id: int, by_id: dict[int, Record]) -> None:
    found = _of_trials(connection, tables.epochs, study_id, "trial_id", "epoch", "place", named=False)
    for trial_id, epoch, place, metric, value, exact in found:  # there may be millions
        epochs = by_id[trial_id].epochs
        if not epochs or epochs[-1][0] != epoch:
            epochs.append((epoch, {}))
        if place >= 0:
            epochs[-1][1][metric] = coding.log_of_row(value, exact)


def _load_tests(connection: sa.Connection, study_id: int, by_id: dict[int, Record]) -> None:
    for row in _of_trials(connection, tables.tests, study_id, "trial_id", "place"):
        by_id[row.trial_id].test_logs[row.metric] = coding.log_of_row(row.value, row.exact)


def _load_directions(
    connection: sa.Connection,
    study_id: int,
    by_id: dict[int, Record],
    loaded: Loaded,
    number_of: dict[int, int],
) -> None:
    table, variants = tables.directions, tables.variants
    rows.check_references(connection, table, "variant_id")
    for row in rows.select(connection, table, variants.c.study_id == study_id, within=variants):
        loaded.directions.setdefault(number_of[row.variant_id], {})[row.metric] = row.better
    for record in by_id.values():
        record.directions = dict(loaded.directions.get(record.trial.variant.number, {}))


def _load_weights_epochs(connection: sa.Connection, study_id: int, by_id: dict[int, Record]) -> None:
    rows.check_references(connection, tables.weights_epochs, "trial_id")
    for row in _of_trials(connection, tables.weights_epochs, study_id, "trial_id"):
        by_id[row.trial_id].weights_epoch = row.epoch


def _load_artifacts(
    connection: sa.Connection, study_id: int, by_id: dict[int, Record], loaded: Loaded
) -> None:
    for row in _of_trials(connection, tables.artifacts, study_id, "id"):
        number = by_id[row.trial_id].trial.number
        artifact = Artifact(number, row.epoch, row.token, row.size, row.sha256)
        loaded.kept.setdefault(number, []).append(Kept(row.kind, artifact))


def _of_trials(
    connection: sa.Connection, table: sa.Table, study_id: int, *order: str, named: bool = True
) -> Iterator[Any]:
    """The rows of a study's trials."""
    by = [table.c[name] for name in order]
    within = tables.trials
    return rows.select(connection, table, within.c.study_id == study_id, order=by, within=within, named=named)


def _load_sites(connection: sa.Connection, study_id: int) -> list[Site]:
    table = tables.sites
    if not sa.inspect(connection).has_table(table.name):
        return [Site()]  # tables of version 1, which a reader leaves as they are
    rows.check_references(connection, table, "study_id")
    found = rows.select(connection, table, table.c.study_id == study_id, order=[table.c.id])
    return [Site(row.machine, row.git) for row in found]


# Files


def read_weights(files: Artifacts, kept: Sequence[Kept], trial: Trial) -> Weights | None:
    """The trained state; None where no file has it.

    Raises:
        StoreError: the file is not as it was written.
    """
    for one in kept:
        if one.kind in ("weights", "end"):
            try:
                return coding.weights_of_tree(_tree_of(files, one)["weights"])
            except StoreError as error:
                raise StoreError(
                    f"the weights of {trial} can't be read: {error}. Its history is not affected; delete the "
                    "file, and the study's own call trains it again"
                ) from error
    return None


def read_checkpoint(
    files: Artifacts, kept: Sequence[Kept], trial: Trial, notes: list[str]
) -> Checkpoint | None:
    """The newest checkpoint that is as it was written; ``notes`` gets a sentence for each that is not."""
    candidates = [one for one in kept if one.kind in ("checkpoint", "end")]
    for i, one in reversed(list(enumerate(candidates))):
        try:
            told = _tree_of(files, one)
            weights = coding.weights_of_tree(told["weights"])
            if isinstance(told.get("memory"), dict):
                return Checkpoint(trial, one.artifact.epoch, weights, told["memory"])
            raise Damaged("the file holds no checkpoint")
        except StoreError as error:
            instead = "the one before is used" if i else "there is none before, so it begins anew"
            notes.append(
                f"the checkpoint of {trial} after {one.artifact.epoch} epochs can't be used: {error}; "
                f"{instead}"
            )
    return None


def read_cut_off(files: Artifacts, kept: Sequence[Kept], trial: Trial) -> CutOff | None:
    """The newest state of a trial that was not trained to its end; None where no file has one.

    Raises:
        StoreError: the file is not as it was written.
    """
    stopped = [one for one in kept if one.kind in ("checkpoint", "cut off")]
    if not stopped:
        return None
    newest = max(stopped, key=lambda one: one.artifact.epoch)
    try:
        weights = coding.weights_of_tree(_tree_of(files, newest)["weights"])
    except StoreError as error:
        raise StoreError(
            f"the state of {trial} can't be read: {error}. Its history is not affected"
        ) from error
    return CutOff(trial, newest.artifact.epoch, weights)


def _tree_of(files: Artifacts, kept: Kept) -> dict[str, Any]:
    told = tree.from_bytes(files.read(kept.artifact))
    if not isinstance(told, dict) or "weights" not in told:
        raise Damaged("the file holds no weights")
    return told


# Whole studies


class StoredRecords(Records):
    """The records of a study in a database, read again whenever they have changed.

    Args:
        database: open for reading.
        name: the study's.
        place: where its files are; None where nobody said.

    Raises:
        StudyError: there is no such study; which there are.
        StoreError: the database can't be read.
    """

    def __init__(self, database: Database, name: str, place: Path | str | None) -> None:
        self.notes: list[str] = []
        self._database, self._name, self._place = database, name, place
        self._revision: Any = None
        self._loaded: Loaded | None = None
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
        kept = self._now().kept.get(self[trial].trial.number, [])
        return read_weights(self._files(), kept, trial) if kept else None

    def checkpoint(self, trial: Trial) -> Checkpoint | None:
        """The newest state that training can go on from."""
        kept = self._now().kept.get(self[trial].trial.number, [])
        return read_checkpoint(self._files(), kept, trial, self.notes) if kept else None

    def cut_off(self, trial: Trial) -> CutOff | None:
        """The newest state of a trial that was not trained to its end."""
        kept = self._now().kept.get(self[trial].trial.number, [])
        return read_cut_off(self._files(), kept, trial) if kept else None

    def description(self, trial: Trial) -> str | None:
        """How the model of the trial's variant is built."""
        return self._now().models.get(trial.variant.number)

    def sites(self) -> list[Site]:
        """Where trials were trained."""
        return list(self._now().sites)

    def origin(self) -> Origin:
        """What was asked, and where it was trained."""
        loaded = self._now()
        row, epochs = loaded.row, max(loaded.asked.values(), default=None)
        return Origin(row.spec, row.versions, epochs, loaded.sites, created=row.created)

    def _files(self) -> Artifacts:
        if self._place is None:
            raise StoreError(
                f"{self._database.place} does not say where the files are that hold weights: add "
                "?artifacts=... to its URL"
            )
        return Artifacts(self._place, self._now().row.folder)

    def _now(self) -> Loaded:
        """The rows; read again where a writer has committed since, or has died."""
        loaded, _ = self._database.patiently(self._read)
        return loaded

    def _read(self, connection: sa.Connection) -> Loaded:
        row = study_row(connection, self._name)
        if row is None:
            raise no_such_study(connection, self._name, self._database.place)
        writer = Writer.of(row)
        revision = (row.id, row.revision, writer is not None and writer.alive)
        if self._loaded is None or revision != self._revision:
            before, self._loaded = self._loaded, load(connection, row)
            self._revision = revision
            if not revision[-1]:
                _cut_off(self._loaded.records)
            if before is not None and before.row.id == row.id:
                for old, new in zip(before.records, self._loaded.records, strict=False):
                    new.trial = old.trial  # so that a trial in the reader's hands stays the study's own
        return self._loaded


def _cut_off(records: Sequence[Record]) -> None:
    """Mark trials that were running when their process died, without a word to the store."""
    for record in records:
        if record.state is TrialState.RUNNING:
            record.state = TrialState.INTERRUPTED


def no_such_study(connection: sa.Connection, name: str, place: str) -> StudyError:
    """The error for a name that no study has; which there are."""
    names = connection.execute(sa.select(tables.studies.c.name).order_by(tables.studies.c.name)).scalars()
    there = [repr(one) for one in names]
    listed = ", ".join(there[:10]) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
    return StudyError(f"there is no study {name!r:.200} in {place}; there are: {listed or 'none'}")


_UNFINISHED = (TrialState.WAITING, TrialState.RUNNING, TrialState.INTERRUPTED)


def overview(connection: sa.Connection, name: str | None = None) -> list[dict[str, Any]]:
    """A row per study, the oldest first, or that of one study alone; see `fairlane.store.overview`."""
    table = tables.studies
    where = [] if name is None else [table.c.name == name]
    studies = list(rows.select(connection, table, *where, order=[table.c.created, table.c.id]))
    counts = _counts(connection, [row.id for row in studies] if name is not None else None)
    return [_outline(row, counts.get(row.id, [])) for row in studies]


def _counts(connection: sa.Connection, studies: Sequence[int] | None) -> dict[int, list[Any]]:
    """Number of a study → of its trials in each state, how many there are, with epochs done and asked for."""
    trials, epochs = tables.trials.c, tables.epochs.c
    newest = sa.select(sa.func.max(epochs.epoch)).where(epochs.trial_id == trials.id).scalar_subquery()
    last = newest + 1
    query = sa.select(
        trials.study_id,
        sa.type_coerce(trials.state, sa.types.NullType()).label("state"),
        _not_whole(connection, trials.asked, newest).label("wrong"),
        sa.func.count().label("trials"),
        sa.func.sum(sa.func.coalesce(last, 0)).label("done"),
        sa.func.sum(trials.asked).label("asked"),
    ).group_by(trials.study_id, trials.state)
    if studies is not None:
        query = query.where(trials.study_id.in_(studies))
    counts: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        if row.wrong or row.state not in _STATES:
            _refuse(connection, row.study_id)
        counts.setdefault(row.study_id, []).append(row)
    return counts


_STATES = frozenset(map(str, TrialState))


def _not_whole(connection: sa.Connection, *columns: Any) -> Any:
    """How many rows have something else than a whole number; only SQLite keeps it there."""
    if connection.dialect.name != "sqlite":
        return sa.literal(0)
    largest = rows.LARGEST
    alright = [
        sa.or_(column.is_(None), sa.and_(sa.func.typeof(column) == "integer", column.between(0, largest)))
        for column in columns
    ]
    return sa.func.sum(sa.case((sa.and_(*alright), 0), else_=1))


def _refuse(connection: sa.Connection, study_id: Any) -> None:
    """Raise the error for a study with a trial or epoch that was not written here."""
    trials = tables.trials
    for _ in rows.select(connection, trials, trials.c.study_id == study_id):
        pass
    for _ in _of_trials(connection, tables.epochs, study_id):
        pass
    raise StoreError(
        f"table {trials.name}: the trials of the study with id {study_id!r:.40} can't be counted"
    )


def _outline(row: Any, counts: Sequence[Any]) -> dict[str, Any]:
    writer = Writer.of(row)
    alive = writer is not None and writer.alive
    states: dict[str, int] = {}
    epochs = planned = 0
    for one in counts:
        cut_off = one.state == TrialState.RUNNING and not alive
        state = TrialState.INTERRUPTED if cut_off else one.state
        states[state] = states.get(state, 0) + one.trials
        epochs += int(one.done)
        # What has ended without all of its epochs was stopped early.
        planned += int(one.asked if state in _UNFINISHED else one.done)
    return {
        "name": row.name,
        "created": row.created,
        "trials": sum(states.values()),
        "states": states,
        "epochs": epochs,
        "planned": planned,
        "versions": row.versions,
        "writer": str(writer) if alive else "",
        "revision": f"{row.folder} {row.revision} {alive}",
    }
