"""This process's share in a study, which several processes train together.

In: a database, a study's name and a request. Out: the study's rows, and leases of some of its trials. As
`fairlane.store.claim.Claim`, which is for one process alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError, StudyError
from fairlane.store import sharers, tables
from fairlane.store.claim import Claim, is_begun
from fairlane.store.database import Database
from fairlane.store.lease import BEAT, NOBODY, SILENCE, Writer
from fairlane.store.loading import StudyRows, load, study_row
from fairlane.store.request import StudyRequest, changed_versions, check_same


class Share(Claim):
    """This process's share in a study, from `take` to `release`.

    Args:
        database: open for writing.
        name: the study's.

    Attributes:
        alive: says whether this process is to give signs of life; it is called from other threads.
    """

    def __init__(self, database: Database, name: str) -> None:
        super().__init__(database, name)
        self.alive: Callable[[], bool] = lambda: True
        self._pulse: _Pulse | None = None

    @property
    def token(self) -> str:
        """Names this process in the study's leases."""
        return self._writer.token

    def take(self, request: StudyRequest, notes: list[str]) -> StudyRows:
        """Make the study, or take part in it."""
        study = super().take(request, notes)
        self._pulse = _Pulse(self._database, self._beat)
        return study

    def _take(self, connection: sa.Connection, request: StudyRequest, notes: list[str]) -> StudyRows:
        notes.clear()  # of an attempt that met a locked database
        if study_row(connection, self._name) is None:
            new = self._database.insert(tables.studies).values(
                {**self._new_row(connection, request), **NOBODY}
            )
            self.is_new = connection.execute(new.on_conflict_do_nothing()).rowcount == 1
        found = study_row(connection, self._name)
        sharers.lock(connection, found.id)
        row = study_row(connection, self._name)  # as it is now that nobody changes it
        self._check_unclaimed(connection, row, notes)
        lost = sharers.bury(connection, row.id)
        notes += [lost_in_words(writer, self._name) for writer in lost]
        others = sharers.living(connection, row.id)
        self._check_machines(connection, others)
        self._check_same(connection, row, request, bool(others))
        notes += changed_versions(self._name, row.versions, request.versions)
        self._close_running(connection, row)
        changed = {"spec": json.dumps(request.spec), **NOBODY}
        connection.execute(sa.update(tables.studies).where(tables.studies.c.id == row.id).values(**changed))
        connection.execute(sa.insert(tables.sharers).values(self._sharer_row(connection, row.id)))
        return load(connection, study_row(connection, self._name))

    def _sharer_row(self, connection: sa.Connection, study_id: int) -> dict[str, Any]:
        one = self._writer
        place = {"token": one.token, "host": one.host, "pid": one.pid, "place": one.place}
        return {**place, "study_id": study_id, "heartbeat": sharers.now(connection)}

    def _check_machines(self, connection: sa.Connection, others: Sequence[Writer]) -> None:
        """Refuse processes of several machines that write one SQLite file, which network disks may damage."""
        elsewhere = [writer for writer in others if writer.is_elsewhere(self._writer)]
        if elsewhere and connection.dialect.name == "sqlite":
            raise StoreError(
                f"the study {self._name!r} is being trained by {elsewhere[0]}, another machine, and "
                f"{self._database.place} is a SQLite file, which only processes of one machine can write "
                "together. For several machines, use a PostgreSQL database as the store"
            )

    def _check_same(self, connection: sa.Connection, row: Any, request: StudyRequest, others: bool) -> None:
        if self.is_new:
            return
        if others and request.resume == "force":
            raise StudyError(
                f"other processes are training the study {self._name!r} now, so it can't be continued with "
                "resume='force', which may change what it is: wait for them, or end them"
            )
        which = f"the study {self._name!r} in {self._database.place}"
        check_same(which, row.spec, request, others or is_begun(connection, row.id))

    def renew(self, connection: sa.Connection, study_id: int, changed: bool) -> None:
        """Give a sign of life, in the transaction of a commit; see `Claim.renew`."""
        if changed:
            sharers.lock(connection, study_id)
        if not self._beat(connection):
            raise StoreError(
                f"this process gave no sign of life for more than {SILENCE:.0f} s, so others have taken over "
                f"its trials of the study {self._name!r}; nothing more is written from here. The same call "
                "takes part again"
            )

    def _beat(self, connection: sa.Connection) -> bool:
        """Give a sign of life, unless training hangs; says whether the process still takes part."""
        row = sa.update(tables.sharers).where(tables.sharers.c.token == self.token)
        beat = {"heartbeat": sharers.now(connection)} if self.alive() else {"token": self.token}
        return connection.execute(row.values(**beat)).rowcount == 1

    def withdraw(self, study_id: int) -> None:
        """Others may take part already: the study stays, without this process."""

    def release(self, study_id: int) -> None:
        """Give back what is leased."""
        if self._pulse is not None:
            self._pulse.stop()

        def give_back(connection: sa.Connection) -> None:
            sharers.lock(connection, study_id)
            sharers.dismiss(connection, self.token)

        with suppress(StoreError):  # others notice when this process has ended
            self._database.patiently(give_back)
        self._writer.let_go()


class _Pulse:
    """Gives signs of life in a thread of its own: writing a batch of files may take long.

    Args:
        database: where.
        beat: gives one.
    """

    def __init__(self, database: Database, beat: Callable[[sa.Connection], bool]) -> None:
        self._database, self._beat = database, beat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="fairlane-share", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.wait(BEAT):
            # What is written next raises the error again.
            with suppress(StoreError), self._database.transaction() as connection:
                self._beat(connection)


def lost_in_words(writer: Writer, name: str) -> str:
    """What to note of a lost process."""
    return f"{writer}, which took part in training the study {name!r}, was lost: its trials go on elsewhere"
