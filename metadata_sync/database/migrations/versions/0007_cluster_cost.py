"""What a load's Spark cluster took: seconds and money.

Revision: 0007
Follows: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run_log", sa.Column("cluster_seconds", sa.Float, nullable=True))
    op.add_column("run_log", sa.Column("cluster_usd", sa.Float, nullable=True))
    op.add_column("run_log", sa.Column("prices_as_of", sa.Date, nullable=True))
