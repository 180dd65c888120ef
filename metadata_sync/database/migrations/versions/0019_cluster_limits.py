"""Limits of clusters in time and dollars, and the id by which a control database knows its clusters.

Revision: 0019
Follows: 0018
"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_NUMBER = sa.Text().with_variant(sa.Numeric(), "postgresql")


def upgrade() -> None:
    for name, rule in (("emr_step_limit", ">= 1"), ("emr_usd_per_run", "> 0"), ("emr_usd_per_month", "> 0")):
        check = sa.CheckConstraint(f"CAST({name} AS NUMERIC) {rule}", name=f"{name}_range")
        op.add_column("pipeline_control", sa.Column(name, _NUMBER, check, nullable=True))
    identity = op.create_table("database_identity", sa.Column("identity", sa.String(64), primary_key=True))
    op.bulk_insert(identity, [{"identity": uuid4().hex[:16]}])
