"""Logs keep the order in which entries were written: the clocks of machines may differ.

Revision: 0008
Follows: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _number("decision_log", "decision_id", "decided_at", ["environment", "target", "position"])
    _number("run_log", "entry_id", "finished_at", ["environment", "target", "status", "position"])


def _number(table: str, key: str, instant: str, reached_by: list[str]) -> None:
    """Number what is there by the time that it tells; nothing better is known of it."""
    op.add_column(table, sa.Column("position", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    log = sa.table(table, *(sa.column(name) for name in ("environment", key, instant, "position")))
    order = sa.func.row_number().over(partition_by=log.c.environment, order_by=(log.c[instant], log.c[key]))
    ranked = sa.select(log.c.environment, log.c[key], order.label("place")).subquery()
    place = (
        sa.select(ranked.c.place)
        .where(ranked.c.environment == log.c.environment, ranked.c[key] == log.c[key])
        .scalar_subquery()
    )
    op.execute(sa.update(log).values(position=place))
    op.create_index(f"ix_{table}_position", table, ["environment", "position"], unique=True)
    op.drop_index(f"ix_{table}_target", table)
    op.create_index(f"ix_{table}_target", table, reached_by)
