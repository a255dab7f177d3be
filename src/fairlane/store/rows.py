"""Rows of a store, read by a typed schema: the one place where a database's contents become values.

In: a query for the rows of one table. Out: the rows, with values that Fairlane itself writes in each column.
SQLite takes any value in any column, and a store may come from elsewhere: any other value raises a
`StoreError` that names table, row and column. The database's own conversions are not used, because they
accept any value: an integer in a column of bytes would become that many bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError
from fairlane.store import coding, tables
from fairlane.trials import TrialState

Check = Callable[[Any], Any]
"""A raw value → the value; raises `_Wrong` with what was expected."""

LARGEST = 2**62
"""The largest whole number, so that one may be added to each."""
_LAST_SECOND = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970."""
_LONGEST = 1e12
"""The most seconds that training may take."""
_DEEPEST = 100
"""Levels of lists and dicts in a spec."""
_PART = 1_000
"""Rows that are fetched and checked together; more would cost time in Python's garbage collector."""


class _Wrong(Exception):
    """A value that Fairlane does not write; the message says what was expected."""


# Values


_USUAL: dict[Check, Callable[[Sequence[Any]], bool]] = {}
"""Check → whether it would return all of these values unchanged: faster, for millions of epochs."""


def _whole(low: int = 0, high: int = LARGEST) -> Check:
    expected = f"a whole number from {low}" + ("" if high == LARGEST else f" to {high}")

    def check(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise _Wrong(expected)

    def all_usual(values: Sequence[Any]) -> bool:
        return set(map(type, values)) == {int} and low <= min(values) and max(values) <= high

    _USUAL[check] = all_usual
    return check


def _number(high: float) -> Check:
    def check(value: Any) -> float:
        if type(value) in (float, int) and 0 <= value <= high:
            return float(value)
        raise _Wrong(f"a number from 0 to {high:g}")

    return check


def _text(value: Any) -> str:
    if type(value) is str:
        return tables.unescaped(value)
    raise _Wrong("text")


def _like(pattern: str, what: str) -> Check:
    matches = re.compile(pattern).fullmatch

    def check(value: Any) -> str:
        if type(value) is str and matches(value):
            return value
        raise _Wrong(what)

    return check


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if type(value) is str and value in words:
            return value
        raise _Wrong(f"one of {', '.join(words)}")

    return check


def _or_null(check: Check) -> Check:
    def either(value: Any) -> Any:
        if value is None:
            return None
        try:
            return check(value)
        except _Wrong as expected:
            raise _Wrong(f"NULL or {expected}") from None

    return either


def _state(value: Any) -> TrialState:
    return TrialState(_one_of(*map(str, TrialState))(value))


def _value(value: Any) -> float | None:
    """A log's value; SQLite stores a whole one as an integer, and NaN as NULL."""
    if value is None or type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise _Wrong("a number or NULL")


def _exact(value: Any) -> Any:
    """A log that is not a float, as `Exact`; None where it is one."""
    if value is None:
        return None
    if not isinstance(value, bytes | memoryview):
        raise _Wrong("bytes or NULL")
    try:
        return coding.Exact(coding.log_of_bytes(bytes(value)))
    except StoreError as error:
        raise _Wrong(f"bytes that Fairlane writes ({error})") from error


def _object(value: Any) -> dict[str, Any]:
    """JSON of a dict, not too deep to be read."""
    text = _text(value)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _Wrong("JSON") from None
    if not isinstance(found, dict):
        raise _Wrong("JSON of an object")
    level: list[Any] = [found]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return found
    raise _Wrong(f"JSON of at most {_DEEPEST} levels")


def _inside(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def _about(value: Any) -> tuple[Any, ...]:
    """JSON of a list of a word and numbers."""
    text = _text(value)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _Wrong("JSON") from None
    if not (isinstance(found, list) and found and all(type(one) in (str, int) for one in found)):
        raise _Wrong("JSON of a list of a word and numbers")
    return tuple(found)


def _spec(value: Any) -> dict[str, Any]:
    found = _object(value)
    for section in ("data", "arguments"):
        if not isinstance(found.get(section, {}), dict):
            raise _Wrong(f"JSON whose {section!r} is an object")
    return found


def _versions(value: Any) -> dict[str, str]:
    found = _object(value)
    if not all(isinstance(version, str) for version in found.values()):
        raise _Wrong("JSON of an object of texts")
    return found


def _hyperparameters(value: Any) -> Any:
    text = _text(value)
    try:
        return coding.values_of_text(text)
    except StoreError as error:
        raise _Wrong(f"hyperparameters that Fairlane writes ({error})") from error


_USUAL[_text] = lambda values: set(map(type, values)) == {str} and not tables.escaped("".join(values))
_USUAL[_value] = lambda values: set(map(type, values)) <= {float, type(None)}
_USUAL[_exact] = lambda values: set(map(type, values)) == {type(None)}

_SCHEMA: Mapping[str, Mapping[str, Check]] = {
    "fairlane_studies": {
        "id": _whole(),
        "name": _text,
        "folder": _like("[0-9a-f]{32}", "the name of a folder that Fairlane makes, of 32 digits"),
        "created": _number(_LAST_SECOND),
        "spec": _spec,
        "versions": _versions,
        "revision": _whole(),
        "writer": _or_null(_text),
        "writer_host": _or_null(_text),
        "writer_pid": _or_null(_whole(high=2**31 - 1)),
        "writer_place": _or_null(_text),
        "heartbeat": _or_null(_number(_LAST_SECOND)),
    },
    "fairlane_sites": {"id": _whole(), "study_id": _whole(), "machine": _text, "git": _text},
    "fairlane_variants": {
        "id": _whole(),
        "study_id": _whole(),
        "number": _whole(high=2**31 - 1),
        "key": _text,
        "hyperparameters": _hyperparameters,
        "model": _or_null(_text),
    },
    "fairlane_trials": {
        "id": _whole(),
        "study_id": _whole(),
        "variant_id": _whole(),
        "number": _whole(high=2**31 - 1),
        "key": _text,
        "seed": _whole(high=2**32 - 1),
        "fold": _or_null(_whole(high=2**31 - 1)),
        "asked": _whole(),
        "state": _state,
        "seconds": _number(_LONGEST),
        "engine": _text,
        "reason": _text,
        "fleet": _or_null(_whole()),
        "loop": _text,
        "error": _text,
        "traceback": _text,
    },
    "fairlane_epochs": {
        "trial_id": _whole(),
        "epoch": _whole(),
        "place": _whole(-1),
        "metric": _text,
        "value": _value,
        "exact": _exact,
    },
    "fairlane_tests": {
        "trial_id": _whole(),
        "place": _whole(),
        "metric": _text,
        "value": _value,
        "exact": _exact,
    },
    "fairlane_artifacts": {
        "id": _whole(),
        "trial_id": _whole(),
        "kind": _one_of("weights", "checkpoint", "end", "cut off"),
        "epoch": _whole(),
        "token": _like("[0-9a-f]{16}", "the name of a file that Fairlane writes, of 16 digits"),
        "size": _whole(),
        "sha256": _like("[0-9a-f]{64}", "a SHA-256, of 64 digits"),
    },
    "fairlane_directions": {"variant_id": _whole(), "metric": _text, "better": _one_of("min", "max")},
    "fairlane_decisions": {"study_id": _whole(), "place": _whole(), "about": _about, "content": _object},
    "fairlane_weights_epochs": {"trial_id": _whole(), "epoch": _whole(-1)},
    "fairlane_sharers": {
        "token": _text,
        "study_id": _whole(),
        "host": _text,
        "pid": _whole(high=2**31 - 1),
        "place": _text,
        "heartbeat": _number(_LAST_SECOND),
    },
    "fairlane_leases": {"trial_id": _whole(), "sharer": _or_null(_text), "lost": _whole(high=2**31 - 1)},
}
"""Table → column → what it may hold."""


# Rows


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
    checks, lacking = _SCHEMA[table.name], _lacking(connection, table)
    raw = [
        (sa.null() if name in lacking else sa.type_coerce(table.c[name], sa.types.NullType())).label(name)
        for name in checks
    ]
    query = sa.select(*raw).where(*where).order_by(*order)
    if within is not None:
        query = query.select_from(table.join(within))
    make = _kind(table.name)._make
    for part in connection.execute(query).partitions(_PART):
        columns = zip(checks.values(), zip(*part, strict=True), strict=True)
        try:
            checked = [_checked(check, values) for check, values in columns]
        except _Wrong:
            raise _error(table, part) from None
        tuples = zip(*checked, strict=True)
        yield from map(make, tuples) if named else tuples


_LATER = {"fairlane_trials": {"fold"}}
"""Columns that tables of older versions lack; a reader does not upgrade them, and reads NULL."""
_WITHOUT = ("v1", "v2", "v3", "v4")
"""These versions."""


def _lacking(connection: sa.Connection, table: sa.Table) -> set[str]:
    later = _LATER.get(table.name)
    if not later:
        return set()
    lacking = later - {c["name"] for c in sa.inspect(connection).get_columns(table.name)}
    if lacking:
        version: sa.Select[Any] = sa.select(sa.column("version_num")).select_from(
            sa.table(tables.VERSION_TABLE)
        )
        if connection.execute(version).scalar() not in _WITHOUT:
            return set()  # the column was there, and the query says that it is gone
    return lacking


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
    return namedtuple(table, tuple(_SCHEMA[table]))


def _checked(check: Check, values: Sequence[Any]) -> Sequence[Any]:
    """A column's values, each checked; or all together, where that gives the same and is faster."""
    usual = _USUAL.get(check)
    return values if usual is not None and usual(values) else list(map(check, values))


def _error(table: sa.Table, part: Sequence[Sequence[Any]]) -> StoreError:
    """The error for the first wrong value of some rows."""
    checks = _SCHEMA[table.name]
    keys = [column.name for column in table.primary_key]
    for row in part:
        values = dict(zip(checks, row, strict=True))
        which = ", ".join(f"{key} {_shown(values[key])}" for key in keys)
        for name, check in checks.items():
            try:
                check(values[name])
            except _Wrong as expected:
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
