"""The tables of a durable store, as the newest migration leaves them.

In: nothing. Out: SQLAlchemy Core tables. Their names begin with ``fairlane_``, so that a database can hold
other things beside them. Texts that a database does not take (with a NUL, or half a surrogate pair) are
escaped on the way in and come out as they were.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

VERSION_TABLE = "fairlane_version"

_ESCAPE = "\x1a"
_TO_ESCAPE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile(_ESCAPE + "([0-9a-f]{4})")


class Text(TypeDecorator[str]):
    """Any Python string."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Escape what a database would refuse."""
        if value is None:
            return None
        return _TO_ESCAPE.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", value)

    def process_result_value(self, value: Any, dialect: Any) -> str | None:
        """The string as it was; a value of another type, from another program, as its text."""
        return None if value is None else unescaped(str(value))


def escaped(text: str) -> bool:
    """Whether something in a text was escaped."""
    return _ESCAPE in text


def unescaped(text: str) -> str:
    """A text as it was before it was escaped."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


metadata = sa.MetaData()

studies = sa.Table(
    "fairlane_studies",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", Text, nullable=False, unique=True),
    sa.Column("folder", Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("spec", Text, nullable=False),
    sa.Column("versions", Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("writer", Text),
    sa.Column("writer_host", Text),
    sa.Column("writer_pid", sa.Integer),
    sa.Column("writer_place", Text),
    sa.Column("heartbeat", sa.Double),
    sqlite_autoincrement=True,
)
"""A row per study. ``writer`` and the columns after it say which process trains it now."""

sites = sa.Table(
    "fairlane_sites",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"), nullable=False),
    sa.Column("machine", Text, nullable=False),
    sa.Column("git", Text, nullable=False),
    sa.UniqueConstraint("study_id", "machine", "git"),
    sqlite_autoincrement=True,
)
"""A row per machine and commit that a study was trained on, in the order of their ids. Both are empty if a
version of Fairlane has trained that did not record them. Version 1 of the tables does not have this one."""

variants = sa.Table(
    "fairlane_variants",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("key", Text, nullable=False),
    sa.Column("hyperparameters", Text, nullable=False),
    sa.Column("model", Text),
    sa.UniqueConstraint("study_id", "number"),
    sa.UniqueConstraint("study_id", "key"),
    sqlite_autoincrement=True,
)
"""A row per variant: ``key`` identifies it; ``model`` says how its model is built."""

trials = sa.Table(
    "fairlane_trials",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"), nullable=False),
    sa.Column("variant_id", sa.ForeignKey("fairlane_variants.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("key", Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("fold", sa.Integer),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("state", Text, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("engine", Text, nullable=False),
    sa.Column("worker", Text, nullable=False, server_default=""),
    sa.Column("reason", Text, nullable=False),
    sa.Column("fleet", sa.Integer),
    sa.Column("loop", Text, nullable=False),
    sa.Column("error", Text, nullable=False),
    sa.Column("traceback", Text, nullable=False),
    sa.UniqueConstraint("study_id", "number"),
    sa.UniqueConstraint("study_id", "key"),
    sqlite_autoincrement=True,
)
"""A row per trial. ``key`` identifies it; ``asked`` is how many epochs were requested."""

epochs = sa.Table(
    "fairlane_epochs",
    metadata,
    sa.Column("trial_id", sa.ForeignKey("fairlane_trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("metric", Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("exact", sa.LargeBinary),
    sqlite_with_rowid=False,
)
"""A row per trial, epoch and log. NaN is NULL; ``exact`` holds what is not a float; an epoch without logs has
one row, whose place is -1."""

tests = sa.Table(
    "fairlane_tests",
    metadata,
    sa.Column("trial_id", sa.ForeignKey("fairlane_trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("metric", Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("exact", sa.LargeBinary),
    sqlite_with_rowid=False,
)
"""A row per trial and value on the test data, as of an epoch."""

artifacts = sa.Table(
    "fairlane_artifacts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "trial_id",
        sa.ForeignKey("fairlane_trials.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("kind", Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("token", Text, nullable=False, unique=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""A row per file: ``kind`` is ``weights``, ``checkpoint``, ``end`` for both in one file, or ``cut off`` for
the state of a trial that was stopped, from which training can't continue."""

directions = sa.Table(
    "fairlane_directions",
    metadata,
    sa.Column("variant_id", sa.ForeignKey("fairlane_variants.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("metric", Text, primary_key=True),
    sa.Column("better", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""A row per compiled metric of a variant, if Keras knows whether small (``min``) or large (``max``) values
are better. Since version 3 of the tables."""

decisions = sa.Table(
    "fairlane_decisions",
    metadata,
    sa.Column("study_id", sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("about", Text, nullable=False),
    sa.Column("content", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""A row per decision of a search, in order: ``about`` is a JSON list, ``content`` a JSON object.
Since version 4 of the tables."""

notes = sa.Table(
    "fairlane_notes",
    metadata,
    sa.Column("study_id", sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("variant", sa.Integer, primary_key=True),
    sa.Column("text", Text, nullable=False),
    sa.Column("tags", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""A row per note about a variant, by its number, or about the whole study, by -1; ``tags`` is a JSON list.
Since version 6 of the tables."""

weights_epochs = sa.Table(
    "fairlane_weights_epochs",
    metadata,
    sa.Column("trial_id", sa.ForeignKey("fairlane_trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""A row per trained trial: the epoch that its weights are of, -1 if they are of none, such as an average.
Since version 3 of the tables."""

sharers = sa.Table(
    "fairlane_sharers",
    metadata,
    sa.Column("token", Text, primary_key=True),
    sa.Column("study_id", sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"), nullable=False),
    sa.Column("host", Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("place", Text, nullable=False),
    sa.Column("heartbeat", sa.Double, nullable=False),
)
"""A row per process that shares a study with others, with its last sign of life by the database's clock. A
study that has some has no ``writer``. Since version 7 of the tables."""

leases = sa.Table(
    "fairlane_leases",
    metadata,
    sa.Column("trial_id", sa.ForeignKey("fairlane_trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sharer", Text),
    sa.Column("lost", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""A row per trial that was leased: ``sharer`` is the token of the process that has it now, or NULL; ``lost``
how many processes were lost while they had it, since its last checkpoint. Since version 7 of the tables."""
