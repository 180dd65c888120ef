"""Protected environments: changes of their rows wait as proposals, which another identity approves.

Revision: 0022
Follows: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("control_audit", sa.Column("approved_by", sa.Text, nullable=True))
    op.add_column("control_audit", sa.Column("proposal", sa.Integer, nullable=True))
    op.create_table(
        "protected_environment",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("protected_by", sa.Text, nullable=False),
        sa.Column("protected_at", sa.DateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("environment", name="pk_protected_environment"),
    )
    op.create_table(
        "environment_role",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("role", sa.String(63), nullable=False),
        sa.Column("identity", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("environment", "role", "identity", name="pk_environment_role"),
        sa.CheckConstraint(
            "role IN ('propose', 'approve', 'switch', 'restate', 'run', 'engine', 'ci')", name="role_word"
        ),
    )
    _create_proposals()


def _create_proposals() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    flags = ("proposed_in_ci", "decided_in_ci", "is_override")
    checks = [sa.CheckConstraint(f"{name} IN (0, 1)", name=f"{name}_flag") for name in flags if sqlite]
    false = sa.text("false")
    op.create_table(
        "proposal",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("status", sa.String(63), nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("proposed_account", sa.Text, nullable=False),
        sa.Column("proposed_in_ci", sa.Boolean, nullable=False, server_default=false),
        sa.Column("proposed_at", sa.DateTime, nullable=False),
        sa.Column("on_behalf_of", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("base_digest", sa.String(64), nullable=False),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("decided_account", sa.Text, nullable=True),
        sa.Column("decided_in_ci", sa.Boolean, nullable=False, server_default=false),
        sa.Column("decided_at", sa.DateTime, nullable=True),
        sa.Column("decision_reason", sa.Text, nullable=True),
        sa.Column("is_override", sa.Boolean, nullable=False, server_default=false),
        sa.Column("made_in", sa.Text, nullable=True),
        sa.Column("applied_in", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("environment", "number", name="pk_proposal"),
        sa.CheckConstraint("status IN ('open', 'approved', 'rejected', 'stale')", name="status_word"),
        *checks,
    )
    op.create_index("ix_proposal_status", "proposal", ["environment", "status"])
    op.create_table(
        "proposal_row",
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("table", sa.String(63), nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("declared", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("environment", "number", "table", "key", name="pk_proposal_row"),
    )
