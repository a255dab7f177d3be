"""The processes that share a study, and the trials that they have leased.

In: a connection, in a transaction. Out: who is there, which trials are free; and, of processes that are lost,
their trials given back. Signs of life are given and judged by one clock, the database server's: the clocks of
machines differ. What changes rows here first locks the study's row (`lock`), so that no two processes wait
for each other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from fairlane.store import rows, tables
from fairlane.store.lease import Writer
from fairlane.trials import TrialState

_RUNNING, _INTERRUPTED = str(TrialState.RUNNING), str(TrialState.INTERRUPTED)


class Lease(NamedTuple):
    """What is known of a trial's leases.

    Attributes:
        sharer: the token of the process that has it; None where nobody has.
        lost: how many processes were lost while they had it, since its last checkpoint.
    """

    sharer: str | None
    lost: int


NEVER = Lease(None, 0)
"""Of a trial that nobody has leased yet."""


def now(connection: sa.Connection) -> float:
    """The time by the database's clock, in seconds since 1970; a file has its machine's."""
    if connection.dialect.name == "sqlite":
        return time.time()
    clock = sa.select(sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double))
    return float(connection.execute(clock).scalar_one())


def lock(connection: sa.Connection, study_id: int) -> None:
    """Let no other process change the study before this transaction ends; readers see that it has changed."""
    columns = tables.studies.c
    row = sa.update(tables.studies).where(columns.id == study_id)
    connection.execute(row.values(revision=columns.revision + 1))


def all_of(connection: sa.Connection, study_id: int | None = None) -> dict[int, list[Writer]]:
    """Study's id → the processes that share it, also lost ones; of all studies, or of one."""
    if not sa.inspect(connection).has_table(tables.sharers.name):
        return {}  # tables of older versions; a reader does not upgrade them
    table, found = tables.sharers, dict[int, list[Writer]]()
    rows.check_references(connection, table, "study_id")
    where = [] if study_id is None else [table.c.study_id == study_id]
    for row in rows.select(connection, table, *where, order=[table.c.token]):
        found.setdefault(row.study_id, []).append(Writer.of_sharer(row))
    return found


def living(connection: sa.Connection, study_id: int) -> list[Writer]:
    """The processes that share a study, without lost ones."""
    return all_living(connection, study_id).get(study_id, [])


def all_living(connection: sa.Connection, study_id: int | None = None) -> dict[int, list[Writer]]:
    """As `all_of`, without lost processes."""
    there = all_of(connection, study_id)
    moment = now(connection) if there else 0.0
    alive = {one: [w for w in writers if not w.lost(moment)] for one, writers in there.items()}
    return {one: writers for one, writers in alive.items() if writers}


def bury(connection: sa.Connection, study_id: int) -> list[Writer]:
    """Give back what lost processes had leased.

    Args:
        connection: in a transaction that has locked the study.
        study_id: the study's.

    Returns:
        The lost processes.
    """
    alive = {writer.token for writer in living(connection, study_id)}
    lost = [w for w in all_of(connection, study_id).get(study_id, []) if w.token not in alive]
    if lost:
        leases(connection, study_id)  # a damaged row is refused: the sum below would hide it
        columns = tables.leases.c
        theirs = columns.sharer.in_([writer.token for writer in lost])
        connection.execute(sa.update(tables.leases).where(theirs).values(lost=columns.lost + 1))
        for writer in lost:
            dismiss(connection, writer.token)
    return lost


def dismiss(connection: sa.Connection, token: str) -> None:
    """Give back what a process has leased, and forget the process."""
    leased, trials = tables.leases.c, tables.trials.c
    held = sa.select(leased.trial_id).where(leased.sharer == token)
    running = sa.update(tables.trials).where(trials.state == _RUNNING, trials.id.in_(held))
    connection.execute(running.values(state=_INTERRUPTED))
    connection.execute(sa.update(tables.leases).where(leased.sharer == token).values(sharer=None))
    connection.execute(sa.delete(tables.sharers).where(tables.sharers.c.token == token))


def leases(connection: sa.Connection, study_id: int) -> dict[int, Lease]:
    """Trial's id → what is known of its leases; of a study whose lost processes are buried."""
    table, within = tables.leases, tables.trials
    rows.check_references(connection, table, "trial_id")
    found = rows.select(connection, table, within.c.study_id == study_id, within=within)
    return {row.trial_id: Lease(row.sharer, row.lost) for row in found}


def lease(connection: sa.Connection, token: str, known: Mapping[int, Lease], ids: Sequence[int]) -> None:
    """Lease trials that are free to a process.

    Args:
        connection: in a transaction that has locked the study.
        token: the process's.
        known: as `leases` returns it.
        ids: of the trials' rows.
    """
    table = tables.leases
    again = [one for one in ids if one in known]
    if again:
        connection.execute(sa.update(table).where(table.c.trial_id.in_(again)).values(sharer=token))
    new: list[dict[str, Any]] = [
        {"trial_id": one, "sharer": token, "lost": 0} for one in ids if one not in known
    ]
    if new:
        connection.execute(sa.insert(table), new)


def retry(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Let failed trials be leased again, as if no process had been lost with them."""
    if ids:
        trials, table = tables.trials, tables.leases
        again = sa.update(trials).where(trials.c.id.in_(ids))
        connection.execute(again.values(state=_INTERRUPTED))
        connection.execute(sa.update(table).where(table.c.trial_id.in_(ids)).values(lost=0))


def progressed(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Forget how many processes were lost with trials, which have a new checkpoint."""
    table = tables.leases
    lost = sa.update(table).where(table.c.trial_id.in_(ids), table.c.lost > 0)
    connection.execute(lost.values(lost=0))
