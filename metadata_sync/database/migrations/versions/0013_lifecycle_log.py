"""Renamings and retirements of targets: what is under way, and what was done.

Revision: 0013
Follows: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lifecycle_log",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("entry_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("new_target", sa.Text, nullable=True),
        sa.Column("involved", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("due_at", sa.DateTime, nullable=True),
        sa.Column("finished_at", sa.DateTime, nullable=True),
        sa.Column("outcome", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("environment", "entry_id", name="pk_lifecycle_log"),
        sa.CheckConstraint("kind IN ('rename', 'retire')", name="kind_word"),
    )
    op.create_index("ix_lifecycle_log_time", "lifecycle_log", ["environment", "finished_at"])
