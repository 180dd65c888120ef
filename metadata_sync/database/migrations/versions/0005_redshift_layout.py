"""How Redshift keeps a target: its distribution and sort keys, and whether a materialized view refreshes itself.

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "transformation_control"


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    json = sa.JSON(none_as_null=True)
    is_list = "json_valid(sortkey) AND json_type(sortkey) = 'array'" if is_sqlite else "json_typeof(sortkey) = 'array'"
    list_rule = sa.CheckConstraint(is_list, name="sortkey_list")
    flag_rule = [sa.CheckConstraint("auto_refresh IN (0, 1)", name="auto_refresh_flag")] if is_sqlite else []
    op.add_column(TABLE, sa.Column("distkey", sa.Text, nullable=True))
    op.add_column(TABLE, sa.Column("sortkey", json, list_rule, nullable=False, server_default=sa.text("'[]'")))
    flag = sa.Column("auto_refresh", sa.Boolean, *flag_rule, nullable=False, server_default=sa.text("false"))
    op.add_column(TABLE, flag)
