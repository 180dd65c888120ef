"""What lies in the rejects tables, and incidents of rejected rows.

Revision: 0010
Follows: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KINDS = "kind IN ('load', 'hold', 'shared', 'freshness', 'sla', 'crash', 'rejects')"


def upgrade() -> None:
    op.add_column("run_log", sa.Column("rejects", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("incident") as incident:
        incident.drop_constraint("kind_word", type_="check")
        incident.create_check_constraint("kind_word", KINDS)
