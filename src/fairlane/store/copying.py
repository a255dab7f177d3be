"""A study's rows and files, copied to another store, or to the same one under another name.

In: a study's row, and the database and place for the copy. Out: the same rows there under new ids, and the
same files under new names. Files are written first, and the rows that name them in one transaction, so a copy
is there as a whole or not at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError
from fairlane.store import tables
from fairlane.store.artifacts import Artifact, Artifacts, new_folder
from fairlane.store.database import Database
from fairlane.store.lease import NOBODY
from fairlane.store.loading import load, study_row
from fairlane.trials import TrialState

_PARALLEL_FILES = 8
_PART = 1_000
"""Rows that are read and written together."""
_Ids = dict[str, dict[int, int]]
"""Column that refers to another row → id of that row in the original → its id in the copy."""


def copy_study(
    reads: sa.Connection, target: Database, row: Any, places: tuple[Path | str | None, Path | str], new: str
) -> int:
    """Copy a study: its request, trials, epochs, decisions, and the files with weights and checkpoints.

    Args:
        reads: a transaction on the database that has the study.
        target: the database for the copy, open for writing; no study of it has the name ``new``.
        row: the study's.
        places: where the study's files are, and where the copy's go.
        new: the copy's name.

    Returns:
        How many trials it has.

    Raises:
        StoreError: something can't be read or written, or is damaged; nothing was copied.
    """
    study = load(reads, study_row(reads, row.name))  # a damaged row is an error here
    artifacts = [saved.artifact for of_trial in study.files.values() for saved in of_trial]
    folder = Artifacts(places[1], new_folder())
    try:
        tokens = _copy_files(places[0], row.folder, folder, artifacts)
        with target.transaction() as writes:
            _copy_rows(reads, writes, row, {"name": new, "folder": folder.name}, tokens)
    except BaseException:
        folder.discard()
        raise
    return len(study.records)


# Files


def _copy_files(
    place: Path | str | None, folder: str, to: Artifacts, artifacts: list[Artifact]
) -> dict[str, str]:
    """Copy files; the token of each → the token of its copy."""
    copies = {one: replace(one, token=secrets.token_hex(8)) for one in artifacts}
    if not copies:
        return {}
    if place is None:
        raise StoreError(
            "the store's URL does not say where the files with the study's weights are: add ?artifacts=... "
            "to it. Nothing was copied"
        )
    source = Artifacts(place, folder)
    to.prepare()

    def copy_file(original: Artifact, copied: Artifact) -> None:
        to.write(copied, source.read(original))  # which checks its SHA-256

    with ThreadPoolExecutor(_PARALLEL_FILES) as pool:
        written = [pool.submit(copy_file, *pair) for pair in copies.items()]
        try:
            for one in written:
                one.result()
        except BaseException as error:
            pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(error, StoreError):
                raise StoreError(f"{error}. Nothing was copied") from error
            raise
    to.sync()
    return {original.token: copied.token for original, copied in copies.items()}


# Rows


def _copy_rows(
    reads: sa.Connection, writes: sa.Connection, row: Any, changed: dict[str, str], tokens: dict[str, str]
) -> None:
    """Copy the study's row, and all rows that belong to it: first those that others refer to."""
    studies = tables.studies
    values = {**row._mapping, **NOBODY, "revision": 0, **changed}
    values.pop("id")
    writes.execute(studies.insert().values(values))
    new_id: int = study_row(writes, values["name"]).id
    ids: _Ids = {"study_id": {row.id: new_id}}
    for table in tables.metadata.sorted_tables:
        if table in (studies, tables.sharers, tables.leases):  # no process trains the copy
            continue
        found = _rows_of(reads, table, row.id)
        for part in found:
            copied = [_copied(one, ids, tokens) for one in part]
            writes.execute(table.insert(), copied)
        if table is tables.variants:
            ids["variant_id"] = _new_ids(reads, writes, table, row.id, new_id)
        if table is tables.trials:
            ids["trial_id"] = _new_ids(reads, writes, table, row.id, new_id)
    _set_states(writes, new_id)
    _add_site(reads, writes, new_id)


def _rows_of(connection: sa.Connection, table: sa.Table, study_id: int) -> Iterator[Iterable[Any]]:
    """The rows of a table that belong to a study, in parts; of older tables, the columns that they have."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name):
        return
    there = {column["name"] for column in inspector.get_columns(table.name)}
    query = sa.select(*(column for column in table.c if column.name in there))
    if "study_id" in table.c:
        query = query.where(table.c.study_id == study_id)
    else:
        owner, key = (tables.trials, "trial_id") if "trial_id" in table.c else (tables.variants, "variant_id")
        query = query.join(owner, table.c[key] == owner.c.id).where(owner.c.study_id == study_id)
    yield from connection.execute(query.order_by(*table.primary_key)).mappings().partitions(_PART)


def _copied(row: Any, ids: _Ids, tokens: dict[str, str]) -> dict[str, Any]:
    """A row's values for the copy: its own id is given by the database."""
    values = {name: value for name, value in row.items() if name != "id"}
    for name in values.keys() & ids.keys():
        values[name] = ids[name][values[name]]
    if "token" in values:
        values["token"] = tokens[values["token"]]
    return values


def _new_ids(
    reads: sa.Connection, writes: sa.Connection, table: sa.Table, study_id: int, new_id: int
) -> dict[int, int]:
    """Id of each row in the original → its id in the copy, by their numbers."""

    def by_number(connection: sa.Connection, study: int) -> dict[int, int]:
        query = sa.select(table.c.number, table.c.id).where(table.c.study_id == study)
        return {one.number: one.id for one in connection.execute(query)}

    there = by_number(writes, new_id)
    return {old: there[number] for number, old in by_number(reads, study_id).items()}


def _set_states(connection: sa.Connection, study_id: int) -> None:
    """Trials whose process was killed still say that they run; nobody trains the copy."""
    trials = tables.trials
    running = sa.update(trials).where(
        trials.c.study_id == study_id, trials.c.state == str(TrialState.RUNNING)
    )
    connection.execute(running.values(state=str(TrialState.INTERRUPTED)))


def _add_site(reads: sa.Connection, writes: sa.Connection, study_id: int) -> None:
    """Add what the migration adds where the original's tables are of version 1, without sites."""
    if sa.inspect(reads).has_table(tables.sites.name):
        return
    trials = tables.trials
    begun = sa.select(trials.c.id).where(
        trials.c.study_id == study_id, trials.c.state != str(TrialState.WAITING)
    )
    if writes.execute(begun.limit(1)).first():
        writes.execute(tables.sites.insert().values(study_id=study_id, machine="", git=""))
