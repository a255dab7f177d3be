"""What each column of a store may hold: the values that Fairlane itself writes there.

In: a raw value of a database. Out: the value, or `Wrong`, which says what was expected. SQLite takes any
value in any column, and a store may come from elsewhere. The database's own conversions are not used,
because they accept any value: an integer in a column of bytes would become that many bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairlane.errors import StoreError
from fairlane.store import coding, tables
from fairlane.trials import TrialState

Check = Callable[[Any], Any]
"""A raw value → the value; raises `Wrong` with what was expected."""

LARGEST = 2**62
"""The largest whole number, so that one may be added to each."""
_LAST_SECOND = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970."""
_LONGEST = 1e12
"""The most seconds that training may take."""
_DEEPEST = 100
"""Levels of lists and dicts in a spec."""


class Wrong(Exception):
    """A value that Fairlane does not write; the message says what was expected."""


# Values


USUAL: dict[Check, Callable[[Sequence[Any]], bool]] = {}
"""Check → whether it would return all of these values unchanged: faster, for millions of epochs."""


def _whole(low: int = 0, high: int = LARGEST) -> Check:
    expected = f"a whole number from {low}" + ("" if high == LARGEST else f" to {high}")

    def check(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise Wrong(expected)

    def all_usual(values: Sequence[Any]) -> bool:
        return set(map(type, values)) == {int} and low <= min(values) and max(values) <= high

    USUAL[check] = all_usual
    return check


def _number(high: float) -> Check:
    def check(value: Any) -> float:
        if type(value) in (float, int) and 0 <= value <= high:
            return float(value)
        raise Wrong(f"a number from 0 to {high:g}")

    return check


def _text(value: Any) -> str:
    if type(value) is str:
        return tables.unescaped(value)
    raise Wrong("text")


def _like(pattern: str, what: str) -> Check:
    matches = re.compile(pattern).fullmatch

    def check(value: Any) -> str:
        if type(value) is str and matches(value):
            return value
        raise Wrong(what)

    return check


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if type(value) is str and value in words:
            return value
        raise Wrong(f"one of {', '.join(words)}")

    return check


def _or_null(check: Check) -> Check:
    def either(value: Any) -> Any:
        if value is None:
            return None
        try:
            return check(value)
        except Wrong as expected:
            raise Wrong(f"NULL or {expected}") from None

    return either


def _state(value: Any) -> TrialState:
    return TrialState(_one_of(*map(str, TrialState))(value))


def _value(value: Any) -> float | None:
    """A log's value; SQLite stores a whole one as an integer, and NaN as NULL."""
    if value is None or type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise Wrong("a number or NULL")


def _exact(value: Any) -> Any:
    """A log that is not a float, as `Exact`; None where it is one."""
    if value is None:
        return None
    if not isinstance(value, bytes | memoryview):
        raise Wrong("bytes or NULL")
    try:
        return coding.Exact(coding.log_of_bytes(bytes(value)))
    except StoreError as error:
        raise Wrong(f"bytes that Fairlane writes ({error})") from error


def _object(value: Any) -> dict[str, Any]:
    """JSON of a dict, not too deep to be read."""
    text = _text(value)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong("JSON") from None
    if not isinstance(found, dict):
        raise Wrong("JSON of an object")
    level: list[Any] = [found]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return found
    raise Wrong(f"JSON of at most {_DEEPEST} levels")


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
        raise Wrong("JSON") from None
    if not (isinstance(found, list) and found and all(type(one) in (str, int) for one in found)):
        raise Wrong("JSON of a list of a word and numbers")
    return tuple(found)


def _tags(value: Any) -> tuple[str, ...]:
    """JSON of a list of texts."""
    text = _text(value)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong("JSON") from None
    if not (isinstance(found, list) and all(type(one) is str for one in found)):
        raise Wrong("JSON of a list of texts")
    return tuple(found)


def _spec(value: Any) -> dict[str, Any]:
    found = _object(value)
    for section in ("data", "arguments"):
        if not isinstance(found.get(section, {}), dict):
            raise Wrong(f"JSON whose {section!r} is an object")
    return found


def _versions(value: Any) -> dict[str, str]:
    found = _object(value)
    if not all(isinstance(version, str) for version in found.values()):
        raise Wrong("JSON of an object of texts")
    return found


def _hyperparameters(value: Any) -> Any:
    text = _text(value)
    try:
        return coding.values_of_text(text)
    except StoreError as error:
        raise Wrong(f"hyperparameters that Fairlane writes ({error})") from error


USUAL[_text] = lambda values: set(map(type, values)) == {str} and not tables.escaped("".join(values))
USUAL[_value] = lambda values: set(map(type, values)) <= {float, type(None)}
USUAL[_exact] = lambda values: set(map(type, values)) == {type(None)}

SCHEMA: Mapping[str, Mapping[str, Check]] = {
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
        "worker": _text,
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
    "fairlane_sharers": {
        "token": _text,
        "study_id": _whole(),
        "host": _text,
        "pid": _whole(high=2**31 - 1),
        "place": _text,
        "heartbeat": _number(_LAST_SECOND),
    },
    "fairlane_leases": {"trial_id": _whole(), "sharer": _or_null(_text), "lost": _whole(high=2**31 - 1)},
    "fairlane_notes": {"study_id": _whole(), "variant": _whole(-1), "text": _text, "tags": _tags},
    "fairlane_weights_epochs": {"trial_id": _whole(), "epoch": _whole(-1)},
}
"""Table → column → what it may hold."""
