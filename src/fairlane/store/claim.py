"""The row of a study, claimed by the one process that may write the study.

`fairlane.store.share` is for several processes that write it together.

In: a database, a study's name and a request. Out: the study's rows, and a claim on them that is renewed with
each commit and released at the end. Every step is one transaction, so two processes never hold one study.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError
from fairlane.store import sharers, tables
from fairlane.store.artifacts import new_folder
from fairlane.store.database import Database
from fairlane.store.lease import NOBODY, SILENCE, Writer, in_words
from fairlane.store.loading import StudyRows, load, study_row
from fairlane.store.request import StudyRequest, changed_versions, check_same
from fairlane.trials import TrialState


class Claim:
    """This process's claim on a study, from `take` to `release`.

    Args:
        database: open for writing.
        name: the study's.

    Attributes:
        is_new: whether `take` has made the study.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name
        self._writer = Writer.this()
        self.is_new = False

    def take(self, request: StudyRequest, notes: list[str]) -> StudyRows:
        """Make the study, or take it over.

        Args:
            request: what is requested of it.
            notes: gets a sentence for each unusual thing.

        Raises:
            StudyError: the study is another one, or exists and must not.
            StoreError: a living process holds it.
        """
        try:
            study, _ = self._database.patiently(lambda connection: self._take(connection, request, notes))
        except BaseException:
            self._writer.let_go()
            raise
        return study

    def _take(self, connection: sa.Connection, request: StudyRequest, notes: list[str]) -> StudyRows:
        notes.clear()  # of an attempt that met a locked database
        row = study_row(connection, self._name)
        if row is None:
            new = self._new_row(connection, request)
            connection.execute(self._database.insert(tables.studies).values(new))
            self.is_new = True
        else:
            self._check_unclaimed(connection, row, notes)
            self._check_unshared(connection, row, notes)
            which = f"the study {self._name!r} in {self._database.place}"
            check_same(which, row.spec, request, is_begun(connection, row.id))
            notes += changed_versions(self._name, row.versions, request.versions)
            self._take_over(connection, row, request)
        return load(connection, study_row(connection, self._name))

    def _new_row(self, connection: sa.Connection, request: StudyRequest) -> dict[str, Any]:
        return {
            "name": self._name,
            "folder": new_folder(),
            "created": time.time(),
            "spec": json.dumps(request.spec),
            "versions": json.dumps(dict(request.versions)),
            "revision": 0,
            **self._columns(connection),
        }

    def _columns(self, connection: sa.Connection) -> dict[str, Any]:
        """The columns of a study that this process writes; by the database's clock, as machines' differ."""
        return {**self._writer.columns, "heartbeat": sharers.now(connection)}

    def _check_unshared(self, connection: sa.Connection, row: Any, notes: list[str]) -> None:
        """Refuse a study that living processes share; give back what lost ones have left."""
        others = sharers.living(connection, row.id)
        if others:
            raise StoreError(
                f"the study {self._name!r} in {self._database.place} is being trained by "
                f"{in_words(others)}: wait, or take part with workers=fairlane.Shared(). To read meanwhile: "
                "fairlane.open(store, name)"
            )
        lost = sharers.bury(connection, row.id)
        notes += [
            f"{writer}, which took part in training the study {self._name!r}, ended without closing it; "
            "training continues from what was stored"
            for writer in lost
        ]

    def _check_unclaimed(self, connection: sa.Connection, row: Any, notes: list[str]) -> None:
        """Refuse a study that a living process writes; note that a dead one has left it open."""
        other = Writer.of(row)
        if other is None:
            return
        now = sharers.now(connection)
        if other.alive(now):
            # On this machine a dead process is noticed immediately, so there is nothing to wait for.
            wait = (
                ""
                if self._writer.is_beside(other)
                else (
                    f" Its last sign of life was {other.silent(now):.0f} s ago; if that process ended, the "
                    f"study can be trained after {SILENCE:.0f} s without one."
                )
            )
            raise StoreError(
                f"the study {self._name!r} in {self._database.place} is being trained by {other}: wait for "
                f"it, end it, or give another name. To read meanwhile: fairlane.open(store, name).{wait}"
            )
        who = "an earlier call in this process" if other.is_here else str(other)
        notes.append(
            f"{who}, which trained the study {self._name!r}, ended without closing it; training continues "
            "from what was stored"
        )

    def _take_over(self, connection: sa.Connection, row: Any, request: StudyRequest) -> None:
        columns = tables.studies.c
        # Of two processes that come at the same moment, only one still finds the row as it was read.
        as_read = columns.writer.is_(None) if row.writer is None else columns.writer == row.writer
        take = sa.update(tables.studies).where(
            columns.id == row.id, as_read, columns.revision == row.revision
        )
        mine = self._columns(connection)
        values = {**mine, "revision": row.revision + 1, "spec": json.dumps(request.spec)}
        if connection.execute(take.values(**values)).rowcount != 1:
            raise StoreError(
                f"another process has just begun to train the study {self._name!r}: wait for it, or give "
                "another name"
            )
        self._close_running(connection, row)

    def _close_running(self, connection: sa.Connection, row: Any) -> None:
        """Mark as interrupted what a writer that is dead has left open; trials that are leased are not."""
        trials, leases = tables.trials.c, tables.leases.c
        leased = sa.select(leases.trial_id).where(leases.sharer.is_not(None))
        running = (trials.study_id == row.id, trials.state == str(TrialState.RUNNING))
        left = sa.update(tables.trials).where(*running, trials.id.not_in(leased))
        connection.execute(left.values(state=str(TrialState.INTERRUPTED)))

    def renew(self, connection: sa.Connection, study_id: int, changed: bool) -> None:
        """Give a sign of life, in the transaction of a commit.

        Args:
            connection: in that transaction.
            study_id: of the study's row.
            changed: whether the commit changes what readers see.

        Raises:
            StoreError: another process has taken the study over.
        """
        columns = tables.studies.c
        mine = sa.update(tables.studies).where(columns.id == study_id, columns.writer == self._writer.token)
        renewed = connection.execute(
            mine.values(heartbeat=sharers.now(connection), revision=columns.revision + int(changed))
        )
        if renewed.rowcount != 1:
            raise StoreError(
                f"another process has taken over the study {self._name!r}, because this one gave no sign of "
                f"life for more than {SILENCE:.0f} s; nothing more is written from here"
            )

    def withdraw(self, study_id: int) -> None:
        """Delete the row of a new study whose files can't be stored, so that the store is as it was."""
        if not self.is_new:
            return
        row = tables.studies.c.id == study_id
        with suppress(StoreError):  # the error that is being raised says more
            self._database.patiently(
                lambda connection: connection.execute(sa.delete(tables.studies).where(row))
            )

    def release(self, study_id: int) -> None:
        """Let another process write the study."""
        columns = tables.studies.c
        mine = sa.update(tables.studies).where(columns.id == study_id, columns.writer == self._writer.token)
        free = mine.values(**NOBODY, revision=columns.revision + 1)
        with suppress(StoreError):  # others notice when this process has ended
            self._database.patiently(lambda connection: connection.execute(free))
        self._writer.let_go()


def is_begun(connection: sa.Connection, study_id: int) -> bool:
    """Whether any of a study's trials was begun."""
    columns = tables.trials.c
    begun = columns.state != str(TrialState.WAITING)
    return bool(
        connection.execute(sa.select(sa.func.count()).where(columns.study_id == study_id, begun)).scalar()
    )
