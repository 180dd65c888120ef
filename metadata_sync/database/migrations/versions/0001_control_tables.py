"""Control rows, their audit, decisions and loads.

Revision: 0001
Follows: nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(63)
JSON = sa.JSON(none_as_null=True)
NUMBER = sa.Text().with_variant(sa.Numeric(), "postgresql")


def key(name: str) -> sa.Column[Any]:
    return sa.Column(name, NAME, nullable=False)


def text(name: str, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=default is None, server_default=default)


def required(name: str, kind: Any = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def word(name: str, words: str, default: str | None = None, *, is_optional: bool = False) -> list[Any]:
    listed = ", ".join(f"'{item}'" for item in words.split())
    return [
        sa.Column(name, NAME, nullable=is_optional, server_default=default),
        sa.CheckConstraint(f"{name} IN ({listed})", name=f"{name}_word"),
    ]


def whole(name: str, low: int, default: int | None = None, high: int | None = None) -> list[Any]:
    rule = f"{name} >= {low}" if high is None else f"{name} BETWEEN {low} AND {high}"
    fallback = None if default is None else sa.text(str(default))
    return [
        sa.Column(name, sa.Integer, nullable=default is None, server_default=fallback),
        sa.CheckConstraint(rule, name=f"{name}_range"),
        *on("sqlite", f"{name}_type", f"typeof({name}) IN ('integer', 'null')"),
    ]


def flag(name: str, default: str) -> list[Any]:
    return [
        sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text(default)),
        *on("sqlite", f"{name}_flag", f"{name} IN (0, 1)"),
    ]


def json_list(name: str) -> list[Any]:
    return [
        sa.Column(name, JSON, nullable=False, server_default=sa.text("'[]'")),
        *on("sqlite", f"{name}_list", f"json_valid({name}) AND json_type({name}) = 'array'"),
        *on("postgresql", f"{name}_list", f"json_typeof({name}) = 'array'"),
    ]


def on(dialect: str, name: str, rule: str) -> list[Any]:
    return [sa.CheckConstraint(rule, name=name)] if op.get_context().dialect.name == dialect else []


def create(table: str, key_columns: tuple[str, ...], *items: Any) -> None:
    primary_key = sa.PrimaryKeyConstraint("environment", *key_columns, name=f"pk_{table}")
    op.create_table(table, key("environment"), *items, primary_key)


def upgrade() -> None:
    create_rows()
    create_journals()


def create_rows() -> None:
    create(
        "source_control",
        ("schema", "table"),
        key("schema"),
        key("table"),
        *word("kind", "lake warehouse"),
        text("location"),
        text("format"),
        text("external_schema"),
        text("incremental_key"),
        text("probe"),
        *whole("lookback_minutes", 0, 0),
        *whole("max_skew_minutes", 0, 60),
        *whole("freshness_minutes", 1),
        text("calendar"),
        text("owner"),
        sa.Column("declared", JSON, nullable=True),
    )
    create(
        "pipeline_control",
        ("pipeline_id",),
        key("pipeline_id"),
        required("pipeline_name"),
        *word("template", "lake_to_warehouse presentation materialized_view"),
        text("schedule"),
        text("timezone", "UTC"),
        *whole("sla_minutes", 1),
        text("job_group", "default"),
        *word("engine", "auto warehouse spark", "auto"),
        sa.Column("spark_threshold_gb", NUMBER, nullable=True),
        sa.CheckConstraint("CAST(spark_threshold_gb AS NUMERIC) > 0", name="spark_threshold_gb_range"),
        *json_list("emr_instance_types"),
        *whole("emr_master_count", 1, 1),
        *whole("emr_core_min", 1),
        *whole("emr_core_max", 1),
        sa.CheckConstraint("emr_core_min <= emr_core_max", name="emr_core_order"),
        text("alert_channel"),
        text("owner"),
        *word("child_policy", "skip stale block", "skip"),
        *flag("is_active", "true"),
        sa.Column("declared", JSON, nullable=True),
    )
    create(
        "transformation_control",
        ("target_schema", "target_table"),
        key("target_schema"),
        key("target_table"),
        required("pipeline_id", NAME),
        required("sql_path"),
        text("description", ""),
        text("output_path"),
        *word("load_type", "scd1 scd2 append"),
        *word("increment", "rows groups full", "rows"),
        *flag("increment_checked", "false"),
        *json_list("business_key"),
        text("incremental_key"),
        *json_list("sequence_by"),
        *json_list("recompute_key"),
        *json_list("scd_columns"),
        text("delete_when"),
        *word("on_tie", "warn error", "warn"),
        *json_list("dependencies"),
        *word("trigger", "any all", "any"),
        *whole("max_wait_minutes", 0),
        text("backfill_start"),
        *json_list("column_list"),
        *whole("freshness_minutes", 1),
        *whole("max_rejects", 0),
        *whole("max_vanish_percent", 0, 20, high=100),
        *flag("is_active", "true"),
        *word("deactivated_by", "framework operator", is_optional=True),
        text("comments"),
        text("fingerprint"),
        sa.Column("declared", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["environment", "pipeline_id"],
            ["pipeline_control.environment", "pipeline_control.pipeline_id"],
            name="fk_transformation_control_pipeline_control",
        ),
    )
    op.create_index("ix_transformation_control_pipeline", "transformation_control", ["environment", "pipeline_id"])


def create_journals() -> None:
    counted = ("read", "inserted", "updated", "closed", "deleted", "rejected")
    create(
        "control_audit",
        ("change_id", "position"),
        required("change_id", sa.String(64)),
        required("position", sa.Integer),
        required("changed_at", sa.DateTime),
        required("who"),
        *word("via", "apply set activate deactivate form framework"),
        required("table"),
        required("key"),
        required("column"),
        sa.Column("old", JSON, nullable=True),
        sa.Column("new", JSON, nullable=True),
        text("reason"),
    )
    op.create_index("ix_control_audit_row", "control_audit", ["environment", "table", "key", "column", "change_id"])
    create(
        "decision_log",
        ("decision_id",),
        required("decision_id", sa.String(64)),
        required("run_id"),
        required("decided_at", sa.DateTime),
        required("pipeline_id"),
        required("target"),
        required("action"),
        required("reason"),
        required("message"),
        required("evidence", JSON),
    )
    op.create_index("ix_decision_log_target", "decision_log", ["environment", "target", "decided_at"])
    op.create_index("ix_decision_log_time", "decision_log", ["environment", "decided_at"])
    create(
        "run_log",
        ("entry_id",),
        required("entry_id", sa.String(64)),
        required("run_id"),
        required("pipeline_id"),
        required("target"),
        text("load_id"),
        *word("status", "success error skipped"),
        required("started_at", sa.DateTime),
        required("finished_at", sa.DateTime),
        required("seconds", sa.Float),
        *(sa.Column(f"rows_{what}", sa.BigInteger) for what in counted),
        required("windows", JSON),
        sa.Column("loaded_at", sa.DateTime, nullable=True),
        text("error_message"),
    )
    op.create_index("ix_run_log_target", "run_log", ["environment", "target", "finished_at"])
