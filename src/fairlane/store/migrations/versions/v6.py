"""Notes and tags.

In: the tables of version 5. Out: one more, empty: no study of before has notes.
"""

import sqlalchemy as sa
from alembic import op

revision = "v6"
down_revision = "v5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    there = sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE")
    op.create_table(
        "fairlane_notes",
        sa.Column("study_id", sa.Integer, there, primary_key=True, nullable=False),
        sa.Column("variant", sa.Integer, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
