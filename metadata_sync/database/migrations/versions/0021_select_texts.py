"""The texts of SELECTs by content, and which of them each path had when; promotions and rollbacks in the audit.

Revision: 0021
Follows: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WAYS = "via IN ('apply', 'set', 'activate', 'deactivate', 'form', 'framework', 'promote', 'rollback')"


def upgrade() -> None:
    op.create_table(
        "select_text",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "select_log",
        sa.Column("environment", sa.String(63), primary_key=True),
        sa.Column("sql_path", sa.String(1024), primary_key=True),
        sa.Column("recorded_at", sa.DateTime, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    with op.batch_alter_table("control_audit") as audit:
        audit.drop_constraint("via_word", type_="check")
        audit.create_check_constraint("via_word", WAYS)
