"""Studies that are copied, renamed, and deleted with their files.

In: a store and a study's name. Out: a changed store. A study that a living process trains is left alone: its
rows and files change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from fairlane.errors import StoreError, StudyError
from fairlane.store.opening import as_found, located, located_files
from fairlane.store.opening import in_words as place_of


def copied(store: Any, name: str, to: Any, new: str | None = None) -> int:
    """Copy a study with all that belongs to it: the copy can be continued like the study itself.

    Args:
        store: as for `fairlane.store.written`.
        name: the study's.
        to: the store for the copy; it is made if it does not exist. It may be the same store.
        new: the copy's name; by default the study's own.

    Returns:
        How many trials it has.

    Raises:
        StudyError: there is no such study, or ``to`` has one of the copy's name.
        StoreError: a store can't be read or written, a process trains the study, or a file is damaged.
    """
    source, source_files = located(store)
    place, files = located_files(to)
    from fairlane.store.artifacts import check_place
    from fairlane.store.copying import copy_study
    from fairlane.store.database import Database
    from fairlane.store.request import check_name

    new = check_name(name if new is None else new)
    with closing(Database(source, False)) as origin, as_found(place):
        check_place(files)
        with closing(Database(place, True)) as target, origin.transaction() as reads:
            row = _free(reads, store, name)
            _refuse_taken(target, to, new)
            return copy_study(reads, target, row, (source_files, files), new)


def _refuse_taken(target: Any, to: Any, new: str) -> None:
    from fairlane.store.loading import study_row

    with target.transaction() as connection:
        if study_row(connection, new) is not None:
            raise StudyError(
                f"there is already a study {new!r} in {place_of(to)}, and a copy does not replace it: give "
                "the copy another name (--name), or rename or delete that study first"
            )


def rename(store: Any, name: str, new: str) -> None:
    """Give a study another name.

    Args:
        store: as for `fairlane.store.written`.
        name: the study's.
        new: its next name.

    Raises:
        StudyError: there is no such study, the new name is not a name, or another study has it.
        StoreError: the store can't be written, or a process trains the study.
    """
    from fairlane.store.request import check_name
    from fairlane.store.tables import studies

    new = check_name(new)
    with _writing(store) as connection:
        row = _free(connection, store, name)
        if connection.execute(studies.select().where(studies.c.name == new)).first():
            raise StudyError(f"there is already a study {new!r} in {place_of(store)}; give another name")
        connection.execute(studies.update().where(studies.c.id == row.id).values(name=new))


def delete(store: Any, name: str) -> int:
    """Delete a study, and the files with its weights.

    Args:
        store: as for `fairlane.store.written`.
        name: the study's.

    Returns:
        How many trials it had.

    Raises:
        StudyError: there is no such study.
        StoreError: the store can't be written, or a process trains the study.
    """
    import sqlalchemy as sa

    from fairlane.store.tables import studies, trials

    with _writing(store) as connection:
        row = _free(connection, store, name)
        count = sa.select(sa.func.count()).select_from(trials).where(trials.c.study_id == row.id)
        number = int(connection.execute(count).scalar_one())
        connection.execute(studies.delete().where(studies.c.id == row.id))
    _delete_files(store, row.folder)
    return number


def _delete_files(store: Any, folder: str) -> None:
    from fairlane.store.artifacts import Artifacts

    place = located(store)[1]
    if place is None:
        return
    with suppress(StoreError):
        Artifacts(place, folder).discard()


@contextmanager
def _writing(store: Any) -> Iterator[Any]:
    from fairlane.store.database import Database

    place, _ = located(store)
    Database(place, False).close()  # a store that is not there is an error, and not made
    database = Database(place, True)
    try:
        with database.transaction() as connection:
            yield connection
    finally:
        database.close()


def _free(connection: Any, store: Any, name: str) -> Any:
    """The study's row, if no living process trains it."""
    from fairlane.store import sharers
    from fairlane.store.lease import Writer, in_words
    from fairlane.store.tables import studies

    row = connection.execute(studies.select().where(studies.c.name == name)).first()
    if row is None:
        names = connection.execute(studies.select().order_by(studies.c.id)).mappings()
        listed = ", ".join(repr(one["name"]) for one in names)
        raise StudyError(f"there is no study {name!r} in {place_of(store)}; there is {listed or 'none'}")
    writer = Writer.of(row)
    writers = sharers.living(connection, row.id)
    writers += [writer] if writer is not None and writer.alive(sharers.now(connection)) else []
    if writers:
        raise StoreError(
            f"the study {name!r} in {place_of(store)} is being trained by {in_words(writers)}: wait, or end "
            "what trains it"
        )
    return row
