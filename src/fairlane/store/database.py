"""A database, opened: SQLite for a path, PostgreSQL for a URL.

In: a place. Out: transactions on tables of the right version, and errors that say what to do. SQLite is used
in WAL mode, so that a study can be read while another process trains it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from fairlane.errors import StoreError
from fairlane.kit.extras import needed
from fairlane.store.tables import VERSION_TABLE, metadata

Result = TypeVar("Result")

PATIENCE = 60.0
"""Seconds to wait for a lock to be released, or for a server to come back."""
_ONE_WAIT = 5.0
"""Seconds of these that a single statement waits for SQLite's lock."""
_FULL = ("disk is full", "53100", "disk i/o error", "no space left")
_BUSY = ("database is locked", "database is busy", "database table is locked")
_LOCK = 0x_FA1E_1A4E
"""The number of PostgreSQL's advisory lock under which tables are made."""


class Database:
    """One database, for writing or for reading alone.

    Args:
        place: a `Path` of SQLite's file, or the URL of a PostgreSQL database.
        writing: whether it is written; then it is made if it does not exist.
        patience: seconds to wait for a lock or a lost server; by default `PATIENCE`.

    Raises:
        StoreError: it can't be opened.
    """

    def __init__(self, place: Path | sa.URL, writing: bool, patience: float | None = None) -> None:
        self.place = in_words(place)
        self.patience = PATIENCE if patience is None else patience
        self._writing = writing
        if isinstance(place, Path):
            _check_path(place, writing)
            self._engine = _sqlite(place, writing, min(self.patience, _ONE_WAIT))
        else:
            self._engine = _postgres(place, writing)
        self.insert: Callable[[sa.Table], Any] = (
            sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        )
        self._prepare()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction that is committed at the end, or undone as a whole.

        Raises:
            StoreError: the database refused; why.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._explained(error) from error

    def patiently(self, act: Callable[[sa.Connection], Result]) -> tuple[Result, bool]:
        """Do something in a transaction; repeat it where a lock or a lost connection prevented it.

        Args:
            act: what to do; it may run more than once, and must then change no more than once.

        Returns:
            What ``act`` returned, and whether it took more than one attempt.

        Raises:
            StoreError: it can't be done, or not within `patience`.
        """
        began, pause, attempts = time.monotonic(), 0.1, 0
        while True:
            attempts += 1
            try:
                with self._engine.begin() as connection:
                    return act(connection), attempts > 1
            except SQLAlchemyError as error:
                if not _may_pass(error) or time.monotonic() - began >= self.patience:
                    raise self._explained(error) from error
                time.sleep(pause)
                pause = min(2 * pause, 2.0)

    def close(self) -> None:
        """Close all connections; the next transaction opens a new one."""
        self._engine.dispose()

    # --- the tables ---

    def _prepare(self) -> None:
        """Make or upgrade the tables; for reading, check that this version knows them."""
        scripts = ScriptDirectory.from_config(_alembic())
        try:
            if self._writing:
                self.patiently(lambda connection: self._upgrade(connection, scripts))
            else:
                self.patiently(lambda connection: self._check_version(connection, scripts))
        except BaseException:
            self.close()
            raise

    def _check_version(self, connection: sa.Connection, scripts: ScriptDirectory) -> None:
        there = _version(connection)
        if there is None:
            raise StoreError(
                f"{self.place} is a database that holds no studies of Fairlane: check the path or URL of the "
                "store"
            )
        self._check_known(there, scripts)  # older tables are read as they are

    def _check_known(self, there: str, scripts: ScriptDirectory) -> None:
        if there not in {script.revision for script in scripts.walk_revisions()}:
            raise StoreError(
                f"{self.place} was written by a newer version of Fairlane (its tables are {there!r:.40}, and "
                f"this version knows those up to {scripts.get_current_head()!r}). To open it: pip install -U "
                "fairlane"
            )

    def _upgrade(self, connection: sa.Connection, scripts: ScriptDirectory) -> None:
        if connection.dialect.name == "postgresql":
            # SQLite's transactions lock the whole file. Here, two processes could make the tables together.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        there, head = _version(connection), scripts.get_current_head()
        if there == head:
            return
        if there is not None:
            self._check_known(there, scripts)
        steps = EnvironmentContext(_alembic(), scripts, fn=lambda rev, _: scripts._upgrade_revs("head", rev))
        with steps:
            steps.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
            steps.run_migrations()

    # --- errors ---

    def _explained(self, error: SQLAlchemyError) -> StoreError:
        """The error in words that say what happened and what to do."""
        message = str(getattr(error, "orig", None) or error).strip()
        low, place = f"{message} {_sqlstate(error)}".lower(), self.place
        safe = "What was stored before is complete; the same call continues from there."
        if any(word in low for word in _FULL):
            return StoreError(
                f"the disk of {place} is full, or a file there has reached its largest size ({message}). "
                f"{safe}"
            )
        if any(word in low for word in _BUSY):
            return StoreError(
                f"another process has locked {place} for more than {self.patience:g} s: end it, or its "
                f"transaction. {safe}"
            )
        if "not a database" in low or "malformed" in low or "file is encrypted" in low:
            return StoreError(
                f"{place} is not a SQLite database, or it is damaged ({message}). It was not changed: give "
                "another path"
            )
        if "readonly" in low or "unable to open" in low or "permission" in low:
            return StoreError(
                f"{place} can't be {'written' if self._writing else 'read'} ({message}): check the "
                "permissions of the file and its folder"
            )
        if isinstance(error, OperationalError) and self._engine.dialect.name == "postgresql":
            return StoreError(f"no connection to {place} for {self.patience:g} s ({message}). {safe}")
        return StoreError(f"{place}: {message}")


# SQLite


def _check_path(path: Path, writing: bool) -> None:
    if writing and not path.parent.is_dir():
        raise StoreError(
            f"the folder {path.parent} does not exist, so no store can be made in it: make the folder first"
        )
    if not writing and not path.exists():
        raise StoreError(
            f"there is no store at {path}: check the path, or make one with compare(..., store=..., name=...)"
        )


def _sqlite(path: Path, writing: bool, wait: float) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        if writing:
            return _connected(path, "mode=rwc", wait, ("journal_mode = WAL", "synchronous = NORMAL"))
        try:
            return _connected(path, "mode=ro", wait, ("schema_version",))
        except sqlite3.OperationalError:
            # In a folder that can't be written SQLite can't make WAL's index, which it needs only if there is
            # a WAL.
            if os.access(path.parent, os.W_OK) or Path(f"{path}-wal").exists():
                raise
            return _connected(path, "immutable=1", wait, ("schema_version",))

    engine = sa.create_engine("sqlite://", creator=connect, **_pool(writing))

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")  # lock before it reads

    return engine


def _connected(path: Path, mode: str, wait: float, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    """A connection that leaves transactions to SQLAlchemy."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        timeout=wait,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in (*pragmas, "foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


# PostgreSQL


def _postgres(url: sa.URL, writing: bool) -> sa.Engine:
    if url.get_backend_name() != "postgresql":
        raise StoreError(
            "a store is a path (SQLite) or a URL of PostgreSQL, postgresql+psycopg://user@host/database, "
            f"not {in_words(url)!r}"
        )
    if url.get_driver_name() == "psycopg":
        needed("psycopg", "a store in PostgreSQL")
    return sa.create_engine(url, **_pool(writing))


# Small parts


def in_words(place: Path | sa.URL) -> str:
    """Where a database is, for people to read: a path, or a URL without passwords."""
    if isinstance(place, Path):
        return str(place)
    secret = {key: "hidden" for key in place.query if "password" in key.lower()}
    return place.update_query_dict(secret).render_as_string(hide_password=True)


def _pool(writing: bool) -> dict[str, Any]:
    """A writer holds its connections until it is closed; a reader is never closed, so it holds none."""
    if writing:
        return {"poolclass": QueuePool, "pool_size": 2, "pool_pre_ping": True}
    return {"poolclass": NullPool}


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("fairlane.store.migrations")).replace("%", "%%"))
    return config


def _version(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    try:
        version = context.get_current_revision()
    except SQLAlchemyError:
        raise
    except Exception as error:  # Alembic raises several types for what it did not write
        raise StoreError(
            f"table {VERSION_TABLE}, column version_num: this is not a version ({error})"
        ) from error
    if not isinstance(version, str | None):
        raise StoreError(f"table {VERSION_TABLE}, column version_num: {version!r:.40} is not a version")
    return version


def _sqlstate(error: SQLAlchemyError) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")


def _may_pass(error: SQLAlchemyError) -> bool:
    """Whether trying again may help."""
    if not isinstance(error, DBAPIError):
        return False
    message = f"{error.orig} {_sqlstate(error)}".lower()
    if isinstance(error.orig, sqlite3.Error):
        return any(word in message for word in _BUSY)
    lasting = (*_FULL, "password authentication", "does not exist", "no pg_hba.conf")
    return isinstance(error, OperationalError) and not any(word in message for word in lasting)
