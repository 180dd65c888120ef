"""What happens when a file of a lake source cannot be read; incidents about files.

Revision: 0015
Follows: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

KINDS = "kind IN ('load', 'hold', 'shared', 'freshness', 'sla', 'crash', 'rejects', 'definition', 'file')"


def upgrade() -> None:
    rule = sa.CheckConstraint("on_bad_file IN ('leave_out', 'hold')", name="on_bad_file_word")
    word = sa.Column("on_bad_file", sa.String(63), rule, nullable=False, server_default="leave_out")
    op.add_column("source_control", word)
    with op.batch_alter_table("incident") as incident:
        incident.drop_constraint("kind_word", type_="check")
        incident.create_check_constraint("kind_word", KINDS)
