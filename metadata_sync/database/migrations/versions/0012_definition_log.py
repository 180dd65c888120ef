"""By which SELECT rows were derived, ties of a load, and what was accepted; first loads in chunks.

Revision: 0012
Follows: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KINDS = "kind IN ('load', 'hold', 'shared', 'freshness', 'sla', 'crash', 'rejects', 'definition')"


def upgrade() -> None:
    op.add_column("run_log", sa.Column("rows_tied", sa.BigInteger, nullable=True))
    op.add_column("run_log", sa.Column("definition", sa.Text, nullable=True))
    word_rule = sa.CheckConstraint(
        "on_definition_change IN ('load', 'hold', 'restate', 'accept')", name="on_definition_change_word"
    )
    word = sa.Column("on_definition_change", sa.String(63), word_rule, nullable=False, server_default="load")
    op.add_column("transformation_control", word)
    order_rule = sa.CheckConstraint("backfill_order IN ('oldest', 'newest')", name="backfill_order_word")
    order = sa.Column("backfill_order", sa.String(63), order_rule, nullable=False, server_default="oldest")
    op.add_column("transformation_control", order)
    op.add_column("backfill_log", sa.Column("backfill_order", sa.Text, nullable=True))
    op.add_column("backfill_log", sa.Column("row_count", sa.BigInteger, nullable=True))
    op.add_column("backfill_log", sa.Column("done_count", sa.Integer, nullable=True))
    with op.batch_alter_table("incident") as incident:
        incident.drop_constraint("kind_word", type_="check")
        incident.create_check_constraint("kind_word", KINDS)
        incident.drop_constraint("severity_word", type_="check")
        incident.create_check_constraint("severity_word", "severity IN ('info', 'warning', 'error')")
    op.create_table(
        "definition_log",
        sa.Column("environment", sa.String(63), primary_key=True),
        sa.Column("target", sa.String(127), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("definition", sa.String(64), primary_key=True),
        sa.Column("noted_at", sa.DateTime, nullable=False),
        sa.Column("event_count", sa.BigInteger, nullable=True),
        sa.Column("older_count", sa.BigInteger, nullable=True),
        sa.Column("counted_at", sa.DateTime, nullable=True),
        sa.Column("accepted_by", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("accepted_at", sa.DateTime, nullable=True),
    )
