"""What loads took of a Redshift warehouse, as its query history told within its seven days.

Revision: 0017
Follows: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "load_cost",
        sa.Column("environment", sa.String(63), primary_key=True),
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(127), primary_key=True),
        sa.Column("pipeline_id", sa.Text, nullable=True),
        sa.Column("began_at", sa.DateTime, nullable=False),
        sa.Column("statement_count", sa.BigInteger, nullable=False),
        sa.Column("execution_seconds", sa.Float, nullable=False),
        sa.Column("share_seconds", sa.Float, nullable=False),
        sa.Column("rpu_seconds", sa.Float, nullable=True),
    )
    op.create_index("ix_load_cost_began", "load_cost", ["environment", "began_at"])
