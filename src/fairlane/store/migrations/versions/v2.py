"""Where studies were trained.

In: the tables of version 1. Out: one more, with the machines and commits of each study.
"""

import sqlalchemy as sa
from alembic import op

revision = "v2"
down_revision = "v1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it, with a row without words for each study that was begun: where, nobody has kept."""
    study_id = sa.Column(
        "study_id", sa.Integer, sa.ForeignKey("fairlane_studies.id", ondelete="CASCADE"), nullable=False
    )
    sites = op.create_table(
        "fairlane_sites",
        sa.Column("id", sa.Integer, primary_key=True),
        study_id,
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("git", sa.Text, nullable=False),
        sa.UniqueConstraint("study_id", "machine", "git"),
        sqlite_autoincrement=True,
    )
    trials = sa.table("fairlane_trials", sa.column("study_id"), sa.column("state"))
    nothing = sa.literal("")
    begun = sa.select(trials.c.study_id, nothing, nothing).where(trials.c.state != "waiting").distinct()
    op.execute(sa.insert(sites).from_select(["study_id", "machine", "git"], begun))
