"""Targets that copy a table, without a SELECT of their own.

Revision: 0020
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("transformation_control", sa.Column("copy", sa.Text, nullable=True))
