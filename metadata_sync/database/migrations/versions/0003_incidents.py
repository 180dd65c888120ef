"""Incidents, and the outbox of alerts.

Revision: 0003
Follows: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.String(63)
JSON = sa.JSON(none_as_null=True)


def required(name: str, kind: Any = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def optional(name: str, kind: Any = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def word(name: str, words: str) -> list[Any]:
    listed = ", ".join(f"'{item}'" for item in words.split())
    return [required(name, NAME), sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_word")]


def upgrade() -> None:
    op.create_table(
        "incident",
        required("environment", NAME),
        required("incident_id", sa.String(64)),
        *word("kind", "load hold shared freshness sla crash"),
        required("subject"),
        *word("severity", "warning error"),
        optional("failure_class"),
        required("message"),
        required("targets", JSON),
        required("held_up", JSON),
        required("pipeline_ids", JSON),
        optional("run_id"),
        required("attempts", sa.Integer()),
        required("ticks", sa.Integer()),
        required("opened_at", sa.DateTime()),
        required("last_seen_at", sa.DateTime()),
        optional("told_at", sa.DateTime()),
        optional("resolved_at", sa.DateTime()),
        optional("url"),
        sa.PrimaryKeyConstraint("environment", "incident_id", name="pk_incident"),
    )
    op.create_index("ix_incident_time", "incident", ["environment", "last_seen_at"])
    open_only = sa.text("resolved_at IS NULL")
    op.create_index(
        "ix_incident_open",
        "incident",
        ["environment", "kind", "subject"],
        unique=True,
        sqlite_where=open_only,
        postgresql_where=open_only,
    )
    op.create_table(
        "alert_outbox",
        required("environment", NAME),
        required("alert_id", sa.String(64)),
        optional("incident_id", sa.String(64)),
        required("channel"),
        *word("event", "opened escalated resolved test"),
        required("title"),
        required("body"),
        required("created_at", sa.DateTime()),
        required("due_at", sa.DateTime()),
        required("attempts", sa.Integer()),
        optional("sent_at", sa.DateTime()),
        optional("given_up_at", sa.DateTime()),
        optional("last_error"),
        sa.PrimaryKeyConstraint("environment", "alert_id", name="pk_alert_outbox"),
    )
    op.create_index("ix_alert_outbox_due", "alert_outbox", ["environment", "due_at"])
