"""What a restatement derives rows by.

Revision: 0011
Follows: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backfill_log", sa.Column("definition", sa.Text, nullable=True))
