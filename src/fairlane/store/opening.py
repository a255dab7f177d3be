"""A path or a URL → a store.

In: what the user gives as ``store``. Out: a study opened for writing or reading, or an overview of all.
Modules that need the packages of the extra ``store`` are imported only here, so that a study in memory needs
none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlane.errors import StoreError, StudyError
from fairlane.kit.extras import needed
from fairlane.store.notes import Note
from fairlane.store.records import Store
from fairlane.trials import Site

if TYPE_CHECKING:
    from fairlane.store.database import Database
    from fairlane.store.reading import StoredRecords


def written(
    store: Any,
    name: str | None,
    spec: Mapping[str, Any],
    versions: Mapping[str, str],
    resume: str,
    site: Callable[[], Site] = Site,
    shared: bool = False,
) -> Store:
    """A study for writing; it is made if it does not exist.

    Args:
        store: a path (SQLite, and files beside it), or the URL of a PostgreSQL database.
        name: the study's.
        spec: what is requested, as `fairlane.provenance.fingerprint.spec` gives it.
        versions: package → version.
        resume: ``"auto"``, ``"force"`` or ``"never"``.
        site: returns where this process trains; a thread calls it when there is something to write.
        shared: whether other processes write it, too; it is a `fairlane.store.shared.SharedStore` then.

    Raises:
        StudyError: the name is missing, or the study is another one.
        StoreError: it can't be opened, or another process writes it.
    """
    place, files = located_files(store)
    from fairlane.store.artifacts import check_place
    from fairlane.store.request import StudyRequest, check_name
    from fairlane.store.shared import SharedStore
    from fairlane.store.writing import SqlStore

    name = check_name(name)
    if not (isinstance(place, Path) and place.exists()):  # a store that exists has errors of its own
        check_place(files)
    with as_found(place):
        database = _database(place, writing=True)
        try:
            request = StudyRequest(spec, versions, resume, site)
            return (SharedStore if shared else SqlStore)(database, name, files, request)
        except BaseException:
            database.close()
            raise


@contextmanager
def as_found(place: Any) -> Iterator[None]:
    """Remove the database again where a new store is refused, unless another process has a study in it.

    Args:
        place: as `located` returns it.
    """
    if not isinstance(place, Path) or place.exists():
        yield
        return
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the error that is being raised says more
            if not overview(place):
                _remove(place)
        raise


def _remove(place: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        place.with_name(f"{place.name}{end}").unlink(missing_ok=True)


def read(store: Any, name: str, patience: float | None = None) -> StoredRecords:
    """A study for reading, always as it is now.

    Args:
        store: as for `written`.
        name: the study's.
        patience: seconds to wait for a lock or a lost server; by default a minute.

    Raises:
        StudyError: there is no such study; which there are.
        StoreError: there is no store, or it can't be read.
    """
    place, files = located(store)
    from fairlane.store.reading import StoredRecords

    database = _database(place, writing=False, patience=patience)
    return StoredRecords(database, name, files, partial(note, store, name))


def note(store: Any, name: str, variant: int | None, content: Note, patience: float | None = None) -> None:
    """Replace the note about a variant of a study, or about the whole study; also while it is trained.

    Args:
        store: as for `written`.
        name: the study's.
        variant: the variant's number; None for the whole study.
        content: the next note; an empty one deletes what is there.
        patience: as for `read`.

    Raises:
        StudyError: there is no such study or variant.
        StoreError: there is no store, or it can't be written.
    """
    place, _ = located(store)
    from fairlane.store.noting import write_note

    _database(place, writing=False, patience=patience).close()  # a store that is not there is not made
    database = _database(place, writing=True, patience=patience)
    try:
        database.patiently(lambda connection: write_note(connection, name, variant, content, database.place))
    finally:
        database.close()


def overview(store: Any, name: str | None = None, patience: float | None = None) -> list[dict[str, Any]]:
    """What studies there are, oldest first, without reading their epochs.

    Args:
        store: as for `written`.
        name: of the only study to look for; by default all.
        patience: as for `read`.

    Returns:
        For each study ``name``, ``created`` (in seconds since 1970), ``trials``, ``states`` (state → how many
        trials), ``epochs`` (done), ``planned`` (epochs), ``versions``, ``writer`` (the process that trains it
        now, or empty) and ``revision``, a text that changes whenever what can be read of the study changes.

    Raises:
        StoreError: there is no store, or it can't be read.
    """
    place, _ = located(store)
    from fairlane.store.counts import counted_studies

    with _for_reading(place, patience) as database:
        return database.patiently(lambda connection: counted_studies(connection, name))[0]


def in_words(store: Any) -> str:
    """Where a store is, in words: a path, or a URL without passwords.

    Args:
        store: as for `written`.
    """
    from fairlane.store import database

    return database.in_words(located(store)[0])


@contextmanager
def _for_reading(place: Any, patience: float | None) -> Iterator[Database]:
    database = _database(place, writing=False, patience=patience)
    try:
        yield database
    finally:
        database.close()


def _database(place: Any, writing: bool, patience: float | None = None) -> Database:
    from fairlane.store.database import Database

    return Database(place, writing, patience)


def located(store: Any) -> tuple[Any, Path | str | None]:
    """The database's path or URL, and where its files go: by default beside the path.

    Raises:
        StudyError: it is neither a path nor a URL.
        StoreError: the packages for it are not installed.
    """
    if not isinstance(store, str | os.PathLike) or not str(store) or str(store) == ":memory:":
        raise StudyError(
            f"store must be a path such as 'runs.db', or a URL such as postgresql+psycopg://user@host/"
            f"database, not {store!r}; without store=, a study stays in memory"
        )
    for package in ("sqlalchemy", "alembic", "fsspec", "safetensors"):
        needed(package)
    text = os.fspath(store)
    if not isinstance(text, str):
        raise StudyError(f"store must be a path as a string, not {text!r}")
    if isinstance(store, os.PathLike) or "://" not in text:
        return _beside(_path(text))
    return _located_url(text)


def located_files(store: Any) -> tuple[Any, Path | str]:
    """As `located`, for a store that is written: it must say where its files go.

    Raises:
        StudyError: it does not, or it is neither a path nor a URL.
        StoreError: the packages for it are not installed.
    """
    place, files = located(store)
    if files is None:
        raise StudyError(
            f"weights are stored as files, and {in_words(store)!r} does not say where: add a folder or an "
            "fsspec URL to it, ?artifacts=/path/to/folder or ?artifacts=s3://bucket/folder"
        )
    return place, files


def _beside(path: Path) -> tuple[Path, Path]:
    """A database's file, and the folder for files beside it."""
    if not path.name or path.is_dir():
        raise StoreError(f"{path} is a folder, and a store is a file: give a path such as {path / 'runs.db'}")
    files = path.with_suffix(".artifacts")
    if files == path:
        raise StoreError(
            f"{path} is the folder for the files of a store {path.with_suffix('.db')}: give the store "
            "another name"
        )
    return path, files


def _path(text: str) -> Path:
    """The absolute path; refuse text that can't be a file's path."""
    path = Path(os.path.abspath(os.path.expanduser(text)))
    try:
        if "\0" in text:
            raise ValueError("it has a NUL character")
        text.encode("utf-8")
        path.exists()
    except (OSError, ValueError) as error:
        raise StoreError(f"{text!a:.80} can't be the path of a file ({error}): give another path") from error
    return path


def _located_url(text: str) -> tuple[Any, Path | str | None]:
    sqlalchemy = needed("sqlalchemy")
    try:
        url = sqlalchemy.make_url(text)
    except Exception as error:  # several types, such as for a port that is not a number
        raise StoreError(
            f"the store's URL can't be read ({type(error).__name__}): give one such as "
            "postgresql+psycopg://user@host/database"
        ) from error
    given = url.query.get("artifacts")
    if not isinstance(given, str | None):
        raise StudyError("the store's URL has 'artifacts' more than once: give one place for files")
    url = url.difference_update_query(["artifacts"])
    files = _path(given) if given and "://" not in given else given
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StudyError(
                "the store's URL names no file: give one; or leave out store=, and the study stays in memory"
            )
        path, beside = _beside(_path(url.database))
        return path, files or beside
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url, files
