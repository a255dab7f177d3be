"""What Keras knows of metrics, and which epoch trained weights are of.

In: the tables of version 2. Out: two more, empty: of what was trained before, neither is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "v3"
down_revision = "v2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "fairlane_directions",
        _within("variant_id", "fairlane_variants"),
        sa.Column("metric", sa.Text, primary_key=True),
        sa.Column("better", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fairlane_weights_epochs",
        _within("trial_id", "fairlane_trials"),
        sa.Column("epoch", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )


def _within(name: str, table: str) -> "sa.Column[int]":
    """A column of the key that refers to another table's rows, and goes with them."""
    there = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, sa.Integer, there, primary_key=True, nullable=False)
