"""Leases: who is at work on a target.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "target_lease",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("target", sa.String(127), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run_id", "held_by", "machine")),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        *(sa.Column(name, sa.DateTime, nullable=False) for name in ("taken_at", "renewed_at", "expires_at")),
        sa.PrimaryKeyConstraint("environment", "target", name="pk_target_lease"),
    )
    op.create_index("ix_target_lease_token", "target_lease", ["environment", "token"])
