"""The first tables.

In: an empty database, or one without Fairlane's tables. Out: those of `fairlane.store.tables`.
"""

import sqlalchemy as sa
from alembic import op

revision = "v1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "fairlane_studies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("writer", sa.Text),
        sa.Column("writer_host", sa.Text),
        sa.Column("writer_pid", sa.Integer),
        sa.Column("writer_place", sa.Text),
        sa.Column("heartbeat", sa.Double),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "fairlane_variants",
        sa.Column("id", sa.Integer, primary_key=True),
        _within("study_id", "fairlane_studies"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("hyperparameters", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.UniqueConstraint("study_id", "number"),
        sa.UniqueConstraint("study_id", "key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "fairlane_trials",
        sa.Column("id", sa.Integer, primary_key=True),
        _within("study_id", "fairlane_studies"),
        _within("variant_id", "fairlane_variants"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fleet", sa.Integer),
        sa.Column("loop", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("traceback", sa.Text, nullable=False),
        sa.UniqueConstraint("study_id", "number"),
        sa.UniqueConstraint("study_id", "key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "fairlane_epochs",
        _within("trial_id", "fairlane_trials", primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("exact", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fairlane_tests",
        _within("trial_id", "fairlane_trials", primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("exact", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fairlane_artifacts",
        sa.Column("id", sa.Integer, primary_key=True),
        _within("trial_id", "fairlane_trials", index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.UniqueConstraint("token"),
        sqlite_autoincrement=True,
    )


def _within(name: str, table: str, primary_key: bool = False, index: bool = False) -> "sa.Column[int]":
    """A column that refers to another table's rows, and goes with them."""
    there = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, sa.Integer, there, primary_key=primary_key, nullable=False, index=index)
