"""How far the studies of a store are: how many trials are in each state, and how many epochs are done.

In: a connection. Out: a dict per study, as `fairlane.store.overview` returns it. The database counts, so that
millions of epochs need not be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError
from fairlane.store import rows, sharers, tables
from fairlane.store.lease import Writer, in_words
from fairlane.store.loading import rows_of_trials
from fairlane.store.schema import LARGEST
from fairlane.trials import TrialState

_STATES = frozenset(map(str, TrialState))


def counted_studies(connection: sa.Connection, name: str | None = None) -> list[dict[str, Any]]:
    """A dict per study, the oldest first, or that of one study alone; see `fairlane.store.overview`.

    Raises:
        StoreError: a row is not one that Fairlane writes.
    """
    table = tables.studies
    where = [] if name is None else [table.c.name == name]
    studies = list(rows.select(connection, table, *where, order=[table.c.created, table.c.id]))
    counts = _counts(connection, [row.id for row in studies] if name is not None else None)
    shared, now = sharers.all_living(connection), sharers.now(connection)
    return [_counted(row, counts.get(row.id, []), shared.get(row.id, []), now) for row in studies]


def _counts(connection: sa.Connection, studies: Sequence[int] | None) -> dict[int, list[Any]]:
    """Study's id → a row per state of its trials: how many, and the sums of epochs done and requested."""
    trials, epochs = tables.trials.c, tables.epochs.c
    newest = sa.select(sa.func.max(epochs.epoch)).where(epochs.trial_id == trials.id).scalar_subquery()
    last = newest + 1
    query = sa.select(
        trials.study_id,
        sa.type_coerce(trials.state, sa.types.NullType()).label("state"),
        _not_whole(connection, trials.asked, newest).label("wrong"),
        sa.func.count().label("trials"),
        sa.func.sum(sa.func.coalesce(last, 0)).label("done"),
        sa.func.sum(trials.asked).label("requested"),
    ).group_by(trials.study_id, trials.state)
    if studies is not None:
        query = query.where(trials.study_id.in_(studies))
    counts: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        if row.wrong or row.state not in _STATES:
            _refuse(connection, row.study_id)
        counts.setdefault(row.study_id, []).append(row)
    return counts


def _not_whole(connection: sa.Connection, *columns: Any) -> Any:
    """How many rows have something else than a whole number; only SQLite stores it there."""
    if connection.dialect.name != "sqlite":
        return sa.literal(0)
    largest = LARGEST
    alright = [
        sa.or_(column.is_(None), sa.and_(sa.func.typeof(column) == "integer", column.between(0, largest)))
        for column in columns
    ]
    return sa.func.sum(sa.case((sa.and_(*alright), 0), else_=1))


def _refuse(connection: sa.Connection, study_id: Any) -> None:
    """Raise the error for a study with a trial or epoch that Fairlane has not written.

    Counting knows only that something is wrong; reading the rows raises the error that says what, and where.
    """
    trials = tables.trials
    for _ in rows.select(connection, trials, trials.c.study_id == study_id):
        pass
    for _ in rows_of_trials(connection, tables.epochs, study_id):
        pass
    raise StoreError(
        f"table {trials.name}: the trials of the study with id {study_id!r:.40} can't be counted"
    )


def _counted(row: Any, counts: Sequence[Any], sharing: Sequence[Writer], now: float) -> dict[str, Any]:
    writer = Writer.of(row)
    writers = [*sharing, *([writer] if writer is not None and writer.alive(now) else [])]
    alive = bool(writers)
    states: dict[str, int] = {}
    epochs = planned = 0
    for one in counts:
        interrupted = one.state == TrialState.RUNNING and not alive
        state = TrialState.INTERRUPTED if interrupted else one.state
        states[state] = states.get(state, 0) + one.trials
        epochs += int(one.done)
        # A trial that has ended without all of its epochs was stopped early: no more are to come.
        planned += int(one.requested if TrialState(state).is_open else one.done)
    return {
        "name": row.name,
        "created": row.created,
        "trials": sum(states.values()),
        "states": states,
        "epochs": epochs,
        "planned": planned,
        "versions": row.versions,
        "writer": in_words(writers) if alive else "",
        # The folder, too: a study that was deleted and made again may have the same number.
        "revision": f"{row.folder} {row.revision} {alive}",
    }
