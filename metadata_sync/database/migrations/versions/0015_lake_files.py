"""What happens when files of a lake source cannot be read or have other columns; incidents about files.

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
    change_rule = sa.CheckConstraint("on_source_change IN ('add', 'hold', 'ignore')", name="on_source_change_word")
    change = sa.Column("on_source_change", sa.String(63), change_rule, nullable=False, server_default="add")
    op.add_column("source_control", change)
    op.create_table(
        "source_shape",
        sa.Column("environment", sa.String(63), primary_key=True),
        sa.Column("source", sa.String(127), primary_key=True),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.Column("noted_at", sa.DateTime, nullable=False),
        sa.Column("change", sa.Text, nullable=True),
        sa.Column("damaged", sa.JSON, nullable=False),
    )
    with op.batch_alter_table("incident") as incident:
        incident.drop_constraint("kind_word", type_="check")
        incident.create_check_constraint("kind_word", KINDS)
