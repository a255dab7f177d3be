"""A store → the facts that its pages show, as JSON.

In: a store, and a study's name; or a note to keep there. Out: answers, each with a version that changes
when the answer does. Every request opens the store again, so that one that was locked, moved or made again
is read as soon as it is available.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fairlane.errors import StudyError
from fairlane.results.report import best_of, facts_of
from fairlane.store import Note, in_words, note, overview, read

_PATIENCE = 2.0
"""Seconds to wait for a lock or a lost server; a page repeats its request anyway."""
_KEPT = 8
"""Studies whose newest facts stay in memory for the next request."""
_KEPT_BEST = 1000
"""Studies whose best variant stays in memory."""
_LEVEL = 6
"""The level of compression: a large study has some megabytes of JSON."""


@dataclass(frozen=True)
class Answer:
    """JSON, and its version.

    Attributes:
        version: a text that changes whenever the answer changes.
        zipped: the JSON, compressed by gzip.
    """

    version: str
    zipped: bytes


class Board:
    """Answers requests about a store.

    Args:
        store: as for `fairlane.open`.

    Raises:
        StudyError: ``store`` is neither a path nor a URL.
        StoreError: the packages for it are not installed.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._best: OrderedDict[str, Answer] = OrderedDict()
        self._changing = threading.Lock()
        self.place = in_words(store)

    def studies(self) -> Answer:
        """How far all studies are.

        Raises:
            StoreError: the store can't be read.
        """
        rows = overview(self._store, patience=_PATIENCE)
        facts = {"store": self.place, "studies": [_study(row) for row in rows]}
        return Answer(_version(facts), _zipped(facts))

    def version(self, name: str) -> str:
        """The version of a study's facts, without reading them.

        Raises:
            StudyError: there is no such study.
            StoreError: the store can't be read.
        """
        return _version(self._row(name))

    def study(self, name: str) -> Answer:
        """The facts of a study, as in its report, and how far it is; read only if they have changed.

        Raises:
            StudyError: there is no such study.
            StoreError: the store can't be read.
        """
        row = self._row(name)
        version, answer = _version(row), self._answers.get(name)
        if answer is None or answer.version != version:
            records = read(self._store, name, _PATIENCE)
            # Facts that were written meanwhile are newer than their version, and are read once more.
            facts = facts_of(records, records.origin(), name)
            answer = Answer(version, _zipped({**facts, "live": {"store": self.place, **_study(row)}}))
        self._keep(self._answers, _KEPT, name, answer)
        return answer

    def best(self, name: str) -> Answer:
        """The best variant of a study, as `fairlane.results.report.best_of` gives it.

        Raises:
            StudyError: there is no such study.
            StoreError: the store can't be read.
        """
        version, answer = _version(self._row(name)), self._best.get(name)
        if answer is None or answer.version != version:
            answer = Answer(version, _zipped(best_of(read(self._store, name, _PATIENCE))))
        self._keep(self._best, _KEPT_BEST, name, answer)
        return answer

    def note(self, name: str, variant: int | None, content: Note) -> None:
        """Replace the note about a variant of a study, or about the whole study.

        Raises:
            StudyError: there is no such study or variant.
            StoreError: the store can't be written.
        """
        note(self._store, name, variant, content, _PATIENCE)

    def _keep(self, answers: OrderedDict[str, Answer], most: int, name: str, answer: Answer) -> None:
        with self._changing:
            answers[name] = answer
            answers.move_to_end(name)
            if len(answers) > most:
                answers.popitem(last=False)

    def _row(self, name: str) -> Mapping[str, Any]:
        rows: Sequence[Mapping[str, Any]] = overview(self._store, name, _PATIENCE)
        if not rows:
            raise StudyError(f"there is no study {name!r:.200} in {self.place}")
        return rows[0]


def address(name: str) -> str:
    """The address of a study's page, relative to the page of all studies.

    Args:
        name: any text, also with half a surrogate pair.

    Example:
        >>> address("lr / 1e-3?"), address("..")
        ('study?name=lr%20%2F%201e-3%3F', 'study?name=..')
    """
    return f"study?{query(name)}"


def query(name: str) -> str:
    """The query of an address about a study.

    Args:
        name: as for `address`.
    """
    return f"name={quote(name, safe='', errors='surrogatepass')}"


def _study(row: Mapping[str, Any]) -> dict[str, Any]:
    begun = datetime.fromtimestamp(row["created"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    shown = {key: row[key] for key in ("name", "trials", "states", "epochs", "planned", "writer")}
    return {
        **shown,
        "begun": begun,
        "created": row["created"],
        "address": address(row["name"]),
        "query": query(row["name"]),
    }


def _version(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _zipped(facts: Mapping[str, Any]) -> bytes:
    text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode(), _LEVEL)
