"""The folds of trials.

In: the tables of version 4. Out: trials have a column more, empty: the samples of none were cut into folds.
"""

import sqlalchemy as sa
from alembic import op

revision = "v5"
down_revision = "v4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.add_column("fairlane_trials", sa.Column("fold", sa.Integer))
