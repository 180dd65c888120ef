"""The declared columns and the options of text sources: CSV and JSON.

Revision: 0016
Follows: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    is_list = "json_valid(columns) AND json_type(columns) = 'array'" if is_sqlite else "json_typeof(columns) = 'array'"
    json = sa.JSON(none_as_null=True)
    rule = sa.CheckConstraint(is_list, name="columns_list")
    op.add_column("source_control", sa.Column("columns", json, rule, nullable=False, server_default=sa.text("'[]'")))
    op.add_column("source_control", sa.Column("format_options", json, nullable=True))
