"""Rows of some trials, read again because another process has changed them.

In: a connection, in a transaction, and a study's rows as they were. Out: fresh records; and the study's rows,
brought up to date.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from fairlane.store import coding, rows, tables
from fairlane.store.artifacts import Artifact
from fairlane.store.loading import StudyRows, record_of
from fairlane.store.records import Record
from fairlane.store.saved import SavedFile

_PART = 500
"""Ids in one query; SQLite takes about a thousand."""


def changed_trials(connection: sa.Connection, study_id: int, records: Mapping[int, Record]) -> list[int]:
    """The numbers of those trials whose state is another than their records say.

    Args:
        connection: in a transaction.
        study_id: of the trials' study.
        records: by the trials' numbers.
    """
    table = tables.trials
    query = sa.select(table.c.number, table.c.state).where(table.c.study_id == study_id)
    states = {number: str(state) for number, state in connection.execute(query)}
    return [n for n, record in records.items() if states.get(n, str(record.state)) != str(record.state)]


def grown_trials(connection: sa.Connection, study_id: int, records: Mapping[int, Record]) -> list[int]:
    """The numbers of those trials that have another state, or another last epoch, than their records say.

    Args:
        connection: in a transaction.
        study_id: of the trials' study.
        records: by the trials' numbers; of trials that have not ended.
    """
    trials, epochs = tables.trials, tables.epochs
    last = sa.select(sa.func.max(epochs.c.epoch)).where(epochs.c.trial_id == trials.c.id).scalar_subquery()
    columns = sa.select(trials.c.number, trials.c.state, last).where(trials.c.study_id == study_id)
    found: dict[int, tuple[str, int | None]] = {}
    for part in _parts(sorted(records)):
        rows_of_part = connection.execute(columns.where(trials.c.number.in_(part)))
        found |= {number: (str(state), epoch) for number, state, epoch in rows_of_part}
    known = {n: (str(r.state), r.epochs[-1][0] if r.epochs else None) for n, r in records.items()}
    return [number for number, one in known.items() if found.get(number, one) != one]


def load_again(
    connection: sa.Connection, study: StudyRows, records: Mapping[int, Record]
) -> dict[int, Record]:
    """Read all rows of some trials again.

    Args:
        connection: in a transaction.
        study: the rows as they were; its files, descriptions and directions are brought up to date.
        records: of these trials, as they were, by the trials' numbers.

    Returns:
        Their numbers → what is known of them now.

    Raises:
        StoreError: a row is not one that Fairlane writes.
    """
    found: dict[int, Record] = {}
    for part in _parts([study.ids[number] for number in sorted(records)]):
        found |= _load(connection, study, records, part)
    _load_variants(connection, study, {record.trial.variant.number for record in found.values()})
    for record in found.values():
        record.directions = dict(study.directions.get(record.trial.variant.number, {}))
    return found


def _load(
    connection: sa.Connection, study: StudyRows, records: Mapping[int, Record], ids: Sequence[int]
) -> dict[int, Record]:
    """What `load_again` returns, for as many trials as one query takes."""
    trials, epochs, tests = tables.trials, tables.epochs, tables.tests
    by_id: dict[int, Record] = {}
    for one in rows.select(connection, trials, trials.c.id.in_(ids)):
        trial = records[one.number].trial
        by_id[one.id] = replace(record_of(one, trial.variant), trial=trial)
        study.files.pop(one.number, None)
    order = [epochs.c.trial_id, epochs.c.epoch, epochs.c.place]
    for row in rows.select(connection, epochs, epochs.c.trial_id.in_(ids), order=order):
        done = by_id[row.trial_id].epochs
        if not done or done[-1][0] != row.epoch:
            done.append((row.epoch, {}))
        if row.place >= 0:  # an epoch without logs has one row, with place -1
            done[-1][1][row.metric] = coding.log_of_row(row.value, row.exact)
    for row in rows.select(connection, tests, tests.c.trial_id.in_(ids), order=[tests.c.place]):
        by_id[row.trial_id].test_logs[row.metric] = coding.log_of_row(row.value, row.exact)
    table = tables.artifacts
    for row in rows.select(connection, table, table.c.trial_id.in_(ids), order=[table.c.id]):
        number = by_id[row.trial_id].trial.number
        artifact = Artifact(number, row.epoch, row.token, row.size, row.sha256)
        study.files.setdefault(number, []).append(SavedFile(row.kind, artifact))
    table = tables.weights_epochs
    for row in rows.select(connection, table, table.c.trial_id.in_(ids)):
        by_id[row.trial_id].weights_epoch = row.epoch
    return {record.trial.number: record for record in by_id.values()}


def _load_variants(connection: sa.Connection, study: StudyRows, numbers: Collection[int]) -> None:
    """What others have written of variants: how models are built, and which values of metrics are better."""
    number_of = {study.variant_ids[number]: number for number in numbers}
    variants, table = tables.variants, tables.directions
    for part in _parts(list(number_of)):
        for row in rows.select(connection, variants, variants.c.id.in_(part)):
            if row.model is not None:
                study.models[row.number] = row.model
        for row in rows.select(connection, table, table.c.variant_id.in_(part)):
            study.directions.setdefault(number_of[row.variant_id], {})[row.metric] = row.better


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _PART] for start in range(0, len(ids), _PART))
