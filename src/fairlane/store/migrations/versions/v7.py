"""Processes that share a study.

In: the tables of version 6. Out: two more, empty: no study of before is shared.
"""

import sqlalchemy as sa
from alembic import op

revision = "v7"
down_revision = "v6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "fairlane_sharers",
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column(
            "study_id",
            sa.Integer,
            sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("heartbeat", sa.Double, nullable=False),
    )
    op.create_table(
        "fairlane_leases",
        sa.Column(
            "trial_id",
            sa.Integer,
            sa.ForeignKey("fairlane_trials.id", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
        ),
        sa.Column("sharer", sa.Text),
        sa.Column("lost", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
