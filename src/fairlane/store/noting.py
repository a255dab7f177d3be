"""The notes of a study in a database.

In: a connection, in a transaction. Out: notes, or changed rows. Any process may write a note, also while
another one trains the study: nothing that training writes is changed.
"""

from __future__ import annotations

import json

import sqlalchemy as sa

from fairlane.store import rows, tables
from fairlane.store.loading import OF_THE_STUDY, study_row
from fairlane.store.notes import Note, no_such_variant
from fairlane.store.reading import no_such_study


def write_note(connection: sa.Connection, name: str, variant: int | None, note: Note, place: str) -> None:
    """Replace a note; an empty one deletes what is there.

    Args:
        connection: in a transaction that writes.
        name: the study's.
        variant: the variant's number; None for a note about the whole study.
        note: the next one.
        place: the database, in words.

    Raises:
        StudyError: there is no such study, or no such variant in it.
    """
    row = study_row(connection, name)
    if row is None:
        raise no_such_study(connection, name, place)
    if variant is not None:
        _check_variant(connection, row.id, name, variant)
    table, number = tables.notes, OF_THE_STUDY if variant is None else variant
    connection.execute(table.delete().where(table.c.study_id == row.id, table.c.variant == number))
    if note:
        values = {"text": note.text, "tags": json.dumps(note.tags)}
        connection.execute(table.insert().values(study_id=row.id, variant=number, **values))
    changed = tables.studies.update().where(tables.studies.c.id == row.id)
    connection.execute(changed.values(revision=tables.studies.c.revision + 1))


def _check_variant(connection: sa.Connection, study_id: int, name: str, variant: int) -> None:
    table = tables.variants
    there = [row.number for row in rows.select(connection, table, table.c.study_id == study_id)]
    if variant not in there:
        raise no_such_variant(name, variant, len(there))
