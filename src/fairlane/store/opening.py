"""A path or a URL → a store.

In: what the user gives as ``store``. Out: a study opened for writing or reading, or an overview of all. Only
here is it decided what needs the packages of the extra ``store``, so that a study in memory needs none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlane.errors import StoreError, StudyError
from fairlane.kit.extras import needed
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
) -> Store:
    """A study for writing; made where it is not there.

    Args:
        store: a path (SQLite, and files beside it), or the URL of a PostgreSQL database.
        name: the study's.
        spec: what is asked, as `fairlane.provenance.fingerprint.spec` gives it.
        versions: package → version.
        resume: ``"auto"``, ``"force"`` or ``"never"``.
        site: says where this process trains; it is asked, by a thread, when there is something to write.

    Raises:
        StudyError: the name is missing, or the study is another.
        StoreError: it can't be opened, or another process writes it.
    """
    place, files = located(store)
    if name is None:
        raise StudyError("a stored study has a name, to find it by: give name='...'")
    if files is None:
        raise StudyError(
            f"weights are kept as files, and {store!r} does not say where: add a folder or an fsspec URL to "
            "it, ?artifacts=/path/to/folder or ?artifacts=s3://bucket/folder"
        )
    from fairlane.store.artifacts import check_place
    from fairlane.store.writing import Asked, SqlStore, check_name

    check_name(name)
    if not (isinstance(place, Path) and place.exists()):  # else the database says what is wrong
        check_place(files)
    with _as_found(place):
        database = _database(place, writing=True)
        try:
            return SqlStore(database, name, files, Asked(spec, versions, resume, site))
        except BaseException:
            database.close()
            raise


@contextmanager
def _as_found(place: Any) -> Iterator[None]:
    """Where a new store is refused, leave no database behind, unless another process has a study in it."""
    if not isinstance(place, Path) or place.exists():
        yield
        return
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the error that is raised says more
            if not overview(place):
                _remove(place)
        raise


def _remove(place: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        place.with_name(f"{place.name}{end}").unlink(missing_ok=True)


def read(store: Any, name: str, patience: float | None = None) -> StoredRecords:
    """A study for reading, as it is at every moment.

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

    return StoredRecords(_database(place, writing=False, patience=patience), name, files)


def overview(store: Any, name: str | None = None, patience: float | None = None) -> list[dict[str, Any]]:
    """What studies there are, oldest first, without reading their epochs.

    Args:
        store: as for `written`.
        name: of the only study to look for; by default all.
        patience: as for `read`.

    Returns:
        Of each study ``name``, ``created`` (in seconds since 1970), ``trials``, ``states`` (state → how many
        trials), ``epochs`` (done), ``planned`` (epochs), ``versions``, ``writer`` (the process that trains it
        now, or empty) and ``revision``, a text that is another whenever what can be read of it is another.

    Raises:
        StoreError: there is no store, or it can't be read.
    """
    place, _ = located(store)
    from fairlane.store import reading

    with _for_reading(place, patience) as database:
        return database.patiently(lambda connection: reading.overview(connection, name))[0]


def in_words(store: Any) -> str:
    """Where a store is, for people to read: a path, or a URL without passwords.

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
    """The database's path or URL, and where its files go: beside a path, if the URL does not say.

    Raises:
        StudyError: it is neither a path nor a URL.
        StoreError: the packages for it are not installed.
    """
    if not isinstance(store, str | os.PathLike) or not str(store) or str(store) == ":memory:":
        raise StudyError(
            f"store is a path such as 'runs.db', or a URL such as postgresql+psycopg://user@host/database, "
            f"not {store!r}; without it, results are kept in memory"
        )
    for package in ("sqlalchemy", "alembic", "fsspec", "safetensors"):
        needed(package)
    text = os.fspath(store)
    if not isinstance(text, str):
        raise StudyError(f"store is a path of text, not {text!r}")
    if isinstance(store, os.PathLike) or "://" not in text:
        return _beside(_path(text))
    return _located_url(text)


def _beside(path: Path) -> tuple[Path, Path]:
    """A database's file, and the folder for files beside it."""
    if not path.name or path.is_dir():
        raise StoreError(f"{path} is a folder; a store is a file in one, such as {path / 'runs.db'}")
    files = path.with_suffix(".artifacts")
    if files == path:
        raise StoreError(
            f"{path} is where the files of a store {path.with_suffix('.db')} go: give another name"
        )
    return path, files


def _path(text: str) -> Path:
    """A path that a file can have."""
    path = Path(os.path.abspath(os.path.expanduser(text)))
    try:
        if "\0" in text:
            raise ValueError("it has a NUL character")
        text.encode("utf-8")
        path.exists()
    except (OSError, ValueError) as error:
        raise StoreError(f"{text!a:.80} can't be a file's path ({error})") from error
    return path


def _located_url(text: str) -> tuple[Any, Path | str | None]:
    sqlalchemy = needed("sqlalchemy")
    try:
        url = sqlalchemy.make_url(text)
    except Exception as error:  # SQLAlchemy's, or a port that is no number
        raise StoreError(f"the store's URL can't be read: {type(error).__name__}") from error
    given = url.query.get("artifacts")
    if not isinstance(given, str | None):
        raise StudyError("the store's URL gives 'artifacts' more than once")
    url = url.difference_update_query(["artifacts"])
    files = _path(given) if given and "://" not in given else given
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StudyError("a store is a file; without store, results are kept in memory")
        path, beside = _beside(_path(url.database))
        return path, files or beside
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url, files
