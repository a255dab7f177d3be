"""Rows of a store, read by a typed schema: the one place where a database's contents become values.

In: a query for the rows of one table. Out: the rows, with values that `fairlane.store.schema` allows in each
column. Any other value raises a `StoreError` that names table, row and column.
"""

from __future__ import annotations

import math
import re
from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError
from fairlane.store import tables
from fairlane.store.schema import SCHEMA, USUAL, Check, Wrong

_PART = 1_000
"""Rows that are fetched and checked together; more would cost time in Python's garbage collector."""


def select(
    connection: sa.Connection,
    table: sa.Table,
    *where: Any,
    order: Sequence[Any] = (),
    within: sa.Table | None = None,
    named: bool = True,
) -> Iterator[Any]:
    """The rows of a table that meet conditions.

    Args:
        connection: in a transaction.
        table: which.
        *where: conditions.
        order: columns to sort by.
        within: a table that the rows refer to by a foreign key; the conditions may name it.
        named: whether the tuples' fields have names.

    Yields:
        A tuple per row, of the columns in the order of the schema.

    Raises:
        StoreError: a value is not one that Fairlane writes there; in which table, row and column.
    """
    checks, lacking = SCHEMA[table.name], _lacking(connection, table)
    query = _query(table, tuple(lacking.items())).where(*where).order_by(*order)
    if within is not None:
        query = query.select_from(table.join(within))
    make = _kind(table.name)._make
    for part in connection.execute(query).partitions(_PART):
        columns = zip(checks.values(), zip(*part, strict=True), strict=True)
        try:
            checked = [_checked(check, values) for check, values in columns]
        except Wrong:
            raise _error(table, part) from None
        tuples = zip(*checked, strict=True)
        yield from map(make, tuples) if named else tuples


@cache
def _query(table: sa.Table, lacking: tuple[tuple[str, Any], ...]) -> sa.Select[Any]:
    """All rows of a table, as the database has them; made once, since SQLAlchemy takes longer than SQLite."""
    given = dict(lacking)
    raw = [
        sa.literal(given[name]).label(name)
        if name in given
        else sa.type_coerce(table.c[name], sa.types.NullType()).label(name)
        for name in SCHEMA[table.name]
    ]
    return sa.select(*raw)


_LATER: Mapping[str, Mapping[str, tuple[int, Any]]] = {
    "fairlane_trials": {"fold": (5, None), "worker": (8, "")},
}
"""Table → column → the version of the tables that added it, and what is read from older ones: a reader does
not upgrade them."""


def _lacking(connection: sa.Connection, table: sa.Table) -> dict[str, Any]:
    """Column → its value, for columns that the tables' version does not have."""
    later = _LATER.get(table.name, {})
    there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)} if later else set()
    if there >= later.keys():
        return {}
    query: sa.Select[Any] = sa.select(sa.column("version_num")).select_from(sa.table(tables.VERSION_TABLE))
    version = str(connection.execute(query).scalar())
    # Where a column was there, and is gone, the query says so.
    number = int(version[1:]) if re.fullmatch(r"v\d{1,9}", version) else math.inf
    return {name: value for name, (since, value) in later.items() if number < since}


def check_references(connection: sa.Connection, table: sa.Table, column: str) -> None:
    """Refuse a table with rows that refer to something else than a row's id: no query would find them.

    Rows of a study that was deleted are not an error. Only SQLite takes anything but ids there.

    Raises:
        StoreError: there is such a row.
    """
    if connection.dialect.name != "sqlite":
        return
    lost = sa.func.typeof(table.c[column]) != "integer"
    for _ in select(connection, table, lost):
        raise AssertionError("no value of the row is wrong")


def wrong(table: sa.Table, row: str, column: str, why: str) -> StoreError:
    """The error for a value that contradicts another row.

    Args:
        table: its table.
        row: which, in words such as ``"id 3"``.
        column: its column.
        why: what is wrong with it.
    """
    return StoreError(
        f"the store is damaged, or another program has changed it: table {table.name}, "
        f"row with {row}, column {column}: {why}"
    )


@cache
def _kind(table: str) -> Any:
    return namedtuple(table, tuple(SCHEMA[table]))


def _checked(check: Check, values: Sequence[Any]) -> Sequence[Any]:
    """A column's values, each checked; or all together, where that gives the same and is faster."""
    usual = USUAL.get(check)
    return values if usual is not None and usual(values) else list(map(check, values))


def _error(table: sa.Table, part: Sequence[Sequence[Any]]) -> StoreError:
    """The error for the first wrong value of some rows."""
    checks = SCHEMA[table.name]
    keys = [column.name for column in table.primary_key]
    for row in part:
        values = dict(zip(checks, row, strict=True))
        which = ", ".join(f"{key} {_shown(values[key])}" for key in keys)
        for name, check in checks.items():
            try:
                check(values[name])
            except Wrong as expected:
                return wrong(table, which, name, f"it is {_shown(values[name])}; expected: {expected}")
    raise AssertionError("no value of the rows is wrong")


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
