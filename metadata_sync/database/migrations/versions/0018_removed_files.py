"""Rows of files that are no longer in their lake source, the column that names a row's file, and Iceberg tables.

Revision: 0018
Follows: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rule = sa.CheckConstraint("on_removed_files IN ('keep', 'remove')", name="on_removed_files_word")
    word = sa.Column("on_removed_files", sa.String(63), rule, nullable=False, server_default="keep")
    op.add_column("source_control", word)
    op.add_column("source_control", sa.Column("file_column", sa.Text, nullable=True))
    op.add_column("source_control", sa.Column("catalog_table", sa.Text, nullable=True))
