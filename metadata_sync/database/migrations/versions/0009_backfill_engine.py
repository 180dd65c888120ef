"""Where a backfill ran, as it was asked.

Revision: 0009
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backfill_log", sa.Column("engine", sa.Text, nullable=True))
    op.add_column("backfill_log", sa.Column("cluster", sa.Text, nullable=True))
