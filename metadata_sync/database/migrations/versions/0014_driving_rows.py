"""The rows that a load read of its driving source, and those that a lookup dropped.

Revision: 0014
Follows: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run_log", sa.Column("driving_rows", sa.JSON(none_as_null=True), nullable=True))
