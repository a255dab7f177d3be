"""Which process trained a trial.

In: the tables of version 7. Out: a column more, empty: of studies of before, nobody has kept it.
"""

import sqlalchemy as sa
from alembic import op

revision = "v8"
down_revision = "v7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.add_column("fairlane_trials", sa.Column("worker", sa.Text, nullable=False, server_default=""))
