"""What searches decide.

In: the tables of version 3. Out: one more, empty: no study of before is a search.
"""

import sqlalchemy as sa
from alembic import op

revision = "v4"
down_revision = "v3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    there = sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE")
    op.create_table(
        "fairlane_decisions",
        sa.Column("study_id", sa.Integer, there, primary_key=True, nullable=False),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
