"""Backfills: what was asked, how it was cut into chunks, whether it is done.

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backfill_log",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("backfill_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("range_start", sa.Text, nullable=False),
        sa.Column("range_end", sa.Text, nullable=True),
        sa.Column("chunk_size", sa.Text, nullable=True),
        sa.Column("chunks", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime, nullable=True),
        sa.Column("error_message", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("environment", "backfill_id", name="pk_backfill_log"),
    )
    op.create_index("ix_backfill_log_subject", "backfill_log", ["environment", "subject", "started_at"])
