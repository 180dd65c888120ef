"""What ran on Spark: sizes, times, money.

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spark_log",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("entry_id", sa.String(64), nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("job_group", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("status", sa.String(63), nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("cluster_id", sa.Text, nullable=True),
        sa.Column("instance_type", sa.Text, nullable=True),
        sa.Column("core_count", sa.Integer, nullable=False),
        sa.Column("task_cores", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime, nullable=False),
        sa.Column("scan_bytes", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=True),
        sa.Column("predicted_minutes", sa.Float, nullable=True),
        sa.Column("predicted_usd", sa.Float, nullable=True),
        sa.Column("startup_seconds", sa.Float, nullable=False),
        sa.Column("step_seconds", sa.Float, nullable=False),
        sa.Column("cluster_seconds", sa.Float, nullable=False),
        sa.Column("usd", sa.Float, nullable=False),
        sa.Column("prices_as_of", sa.Date, nullable=True),
        sa.Column("advice", sa.Text, nullable=True),
        sa.Column("error_message", sa.Text, nullable=True),
        sa.CheckConstraint("status IN ('success', 'error', 'skipped')", name="status_word"),
        sa.PrimaryKeyConstraint("environment", "entry_id", name="pk_spark_log"),
    )
    op.create_index("ix_spark_log_target", "spark_log", ["environment", "target", "finished_at"])
