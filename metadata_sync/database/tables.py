"""The control tables. Columns have the names of the YAML keys; every primary key begins with `environment`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from metadata_sync.database.approval.model import ProposalStatus, Role
from metadata_sync.database.journals.entries import Lifecycle, LoadStatus, Via
from metadata_sync.incident import AlertEvent, IncidentKind, Severity
from metadata_sync.rows.names import MAX_IDENTIFIER_LENGTH, MAX_TABLE_NAME_LENGTH
from metadata_sync.rows.vocabulary import (
    BackfillOrder,
    ChildPolicy,
    DeactivatedBy,
    Engine,
    Increment,
    LoadType,
    OnBadFile,
    OnDefinitionChange,
    OnRemovedFiles,
    OnSourceChange,
    OnTie,
    SourceKind,
    Template,
    Trigger,
)


class ExactNumber(TypeDecorator[Any]):
    """A decimal number: NUMERIC, or text on SQLite, whose NUMERIC is a binary float."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return the column type of the dialect."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Convert the number to text for SQLite."""
        return str(value) if value is not None and dialect.name == "sqlite" else value


_NAME: Final = String(MAX_IDENTIFIER_LENGTH)
_JSON: Final = JSON(none_as_null=True)  # not JSONB, which reorders keys
_INSTANT: Final = DateTime(timezone=False)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _environment() -> Column[str]:
    return Column("environment", _NAME, primary_key=True, nullable=False)


def _key(name: str) -> Column[str]:
    return Column(name, _NAME, primary_key=True, nullable=False)


def _text(name: str, default: str | None = None) -> Column[str]:
    """Return a text column; with a default it is not nullable."""
    return Column(name, Text, nullable=default is None, server_default=default)


def _required(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _word(name: str, words: type[StrEnum], default: str | None = None, *, is_optional: bool = False) -> list[Any]:
    listed = ", ".join(f"'{word}'" for word in words)
    return [
        Column(name, String(MAX_IDENTIFIER_LENGTH), nullable=is_optional, server_default=default),
        CheckConstraint(f"{name} IN ({listed})", name=f"{name}_word"),
    ]


def _whole(name: str, low: int, default: int | None = None, high: int | None = None) -> list[Any]:
    """Return an integer column with checks of range and, on SQLite, of type: SQLite stores text in integer columns."""
    rule = f"{name} >= {low}" if high is None else f"{name} BETWEEN {low} AND {high}"
    return [
        Column(name, Integer, nullable=default is None, server_default=None if default is None else text(str(default))),
        CheckConstraint(rule, name=f"{name}_range"),
        CheckConstraint(f"typeof({name}) IN ('integer', 'null')", name=f"{name}_type").ddl_if(dialect="sqlite"),
    ]


def _limit(name: str, rule: str) -> list[Any]:
    """Return an optional exact number with a check of its range."""
    check = CheckConstraint(f"CAST({name} AS NUMERIC) {rule}", name=f"{name}_range")
    return [Column(name, ExactNumber, nullable=True), check]


def _flag(name: str, *, default: bool) -> list[Any]:
    return [
        Column(name, Boolean, nullable=False, server_default=text("true" if default else "false")),
        CheckConstraint(f"{name} IN (0, 1)", name=f"{name}_flag").ddl_if(dialect="sqlite"),
    ]


def _list(name: str) -> list[Any]:
    """Return a JSON column with a check that it is a list."""
    sqlite = CheckConstraint(f"json_valid({name}) AND json_type({name}) = 'array'", name=f"{name}_list")
    postgres = CheckConstraint(f"json_typeof({name}) = 'array'", name=f"{name}_list")
    return [
        Column(name, _JSON, nullable=False, server_default=text("'[]'")),
        sqlite.ddl_if(dialect="sqlite"),
        postgres.ddl_if(dialect="postgresql"),
    ]


def _position() -> Column[int]:
    """Return the column that orders a log's entries as they were written, independent of the machines' clocks."""
    return Column("position", BigInteger, nullable=False, server_default=text("0"))


def _declared() -> Column[Any]:
    """Return the column with the row as the files last declared it, named columns only; NULL: never from a file."""
    return Column("declared", _JSON, nullable=True)


source_control: Final = Table(
    "source_control",
    metadata,
    _environment(),
    _key("schema"),
    _key("table"),
    *_word("kind", SourceKind),
    _text("location"),
    _text("format"),
    *_list("columns"),
    Column("format_options", _JSON, nullable=True),
    _text("external_schema"),
    _text("incremental_key"),
    _text("probe"),
    *_whole("lookback_minutes", 0, 0),
    *_whole("max_skew_minutes", 0, 60),
    *_word("on_bad_file", OnBadFile, OnBadFile.LEAVE_OUT),
    *_word("on_source_change", OnSourceChange, OnSourceChange.ADD),
    *_word("on_removed_files", OnRemovedFiles, OnRemovedFiles.KEEP),
    _text("file_column"),
    _text("catalog_table"),
    *_whole("freshness_minutes", 1),
    _text("calendar"),
    _text("owner"),
    _declared(),
)

pipeline_control: Final = Table(
    "pipeline_control",
    metadata,
    _environment(),
    _key("pipeline_id"),
    _required("pipeline_name"),
    *_word("template", Template),
    _text("schedule"),
    _text("timezone", "UTC"),
    *_whole("sla_minutes", 1),
    _text("job_group", "default"),
    *_word("engine", Engine, Engine.AUTO),
    Column("spark_threshold_gb", ExactNumber, nullable=True),
    CheckConstraint("CAST(spark_threshold_gb AS NUMERIC) > 0", name="spark_threshold_gb_range"),
    *_list("emr_instance_types"),
    *_whole("emr_master_count", 1, 1),
    *_whole("emr_core_min", 1),
    *_whole("emr_core_max", 1),
    CheckConstraint("emr_core_min <= emr_core_max", name="emr_core_order"),
    *_limit("emr_step_limit", ">= 1"),
    *_limit("emr_usd_per_run", "> 0"),
    *_limit("emr_usd_per_month", "> 0"),
    _text("alert_channel"),
    _text("owner"),
    *_word("child_policy", ChildPolicy, ChildPolicy.SKIP),
    *_flag("is_active", default=True),
    _declared(),
)

transformation_control: Final = Table(
    "transformation_control",
    metadata,
    _environment(),
    _key("target_schema"),
    _key("target_table"),
    Column("pipeline_id", _NAME, nullable=False),
    _required("sql_path"),
    _text("copy"),
    _text("description", ""),
    _text("output_path"),
    *_word("load_type", LoadType),
    *_word("increment", Increment, Increment.ROWS),
    *_flag("increment_checked", default=False),
    *_list("business_key"),
    _text("incremental_key"),
    *_list("sequence_by"),
    *_list("recompute_key"),
    *_list("scd_columns"),
    _text("delete_when"),
    *_word("on_tie", OnTie, OnTie.WARN),
    *_word("on_definition_change", OnDefinitionChange, OnDefinitionChange.LOAD),
    *_list("dependencies"),
    *_word("trigger", Trigger, Trigger.ANY),
    *_whole("max_wait_minutes", 0),
    _text("backfill_start"),
    *_word("backfill_order", BackfillOrder, BackfillOrder.OLDEST),
    *_list("column_list"),
    *_whole("freshness_minutes", 1),
    *_whole("max_rejects", 0),
    *_whole("max_vanish_percent", 0, 20, high=100),
    _text("distkey"),
    *_list("sortkey"),
    *_flag("auto_refresh", default=False),
    *_flag("is_active", default=True),
    *_word("deactivated_by", DeactivatedBy, is_optional=True),
    _text("comments"),
    _text("fingerprint"),
    _declared(),
    ForeignKeyConstraint(
        ["environment", "pipeline_id"], ["pipeline_control.environment", "pipeline_control.pipeline_id"]
    ),
    Index("ix_transformation_control_pipeline", "environment", "pipeline_id"),
)

control_audit: Final = Table(
    "control_audit",
    metadata,
    _environment(),
    Column("change_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("changed_at", _INSTANT, nullable=False),
    _required("who"),
    *_word("via", Via),
    _required("table"),
    _required("key"),
    _required("column"),
    Column("old", _JSON, nullable=True),
    Column("new", _JSON, nullable=True),
    _text("reason"),
    _text("approved_by"),
    Column("proposal", Integer, nullable=True),
    Index("ix_control_audit_row", "environment", "table", "key", "column", "change_id"),
)

decision_log: Final = Table(
    "decision_log",
    metadata,
    _environment(),
    Column("decision_id", String(64), primary_key=True),
    _required("run_id"),
    Column("decided_at", _INSTANT, nullable=False),
    _required("pipeline_id"),
    _required("target"),
    _required("action"),
    _required("reason"),
    _required("message"),
    Column("evidence", _JSON, nullable=False),
    _position(),
    Index("ix_decision_log_position", "environment", "position", unique=True),
    Index("ix_decision_log_target", "environment", "target", "position"),
    Index("ix_decision_log_time", "environment", "decided_at"),
)

run_log: Final = Table(
    "run_log",
    metadata,
    _environment(),
    Column("entry_id", String(64), primary_key=True),
    _required("run_id"),
    _required("pipeline_id"),
    _required("target"),
    _text("load_id"),
    *_word("status", LoadStatus),
    Column("started_at", _INSTANT, nullable=False),
    Column("finished_at", _INSTANT, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("rows_read", BigInteger, nullable=True),
    Column("rows_inserted", BigInteger, nullable=True),
    Column("rows_updated", BigInteger, nullable=True),
    Column("rows_closed", BigInteger, nullable=True),
    Column("rows_deleted", BigInteger, nullable=True),
    Column("rows_rejected", BigInteger, nullable=True),
    Column("rows_tied", BigInteger, nullable=True),
    Column("windows", _JSON, nullable=False),
    Column("loaded_at", _INSTANT, nullable=True),
    _text("error_message"),
    Column("cluster_seconds", Float, nullable=True),
    Column("cluster_usd", Float, nullable=True),
    Column("prices_as_of", Date, nullable=True),
    Column("rejects", _JSON, nullable=True),
    _text("definition"),
    Column("driving_rows", _JSON, nullable=True),
    _position(),
    Index("ix_run_log_position", "environment", "position", unique=True),
    Index("ix_run_log_target", "environment", "target", "status", "position"),
)

definition_log: Final = Table(
    "definition_log",
    metadata,
    _environment(),
    Column("target", String(MAX_TABLE_NAME_LENGTH), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("definition", String(64), primary_key=True),
    Column("noted_at", _INSTANT, nullable=False),
    Column("event_count", BigInteger, nullable=True),
    Column("older_count", BigInteger, nullable=True),
    Column("counted_at", _INSTANT, nullable=True),
    _text("accepted_by"),
    _text("reason"),
    Column("accepted_at", _INSTANT, nullable=True),
)

source_shape: Final = Table(
    "source_shape",
    metadata,
    _environment(),
    Column("source", String(MAX_TABLE_NAME_LENGTH), primary_key=True),
    Column("columns", JSON, nullable=False),
    Column("noted_at", _INSTANT, nullable=False),
    _text("change"),
    Column("damaged", JSON, nullable=False),
)

select_text: Final = Table(
    "select_text",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)

select_log: Final = Table(
    "select_log",
    metadata,
    _environment(),
    Column("sql_path", String(1024), primary_key=True),
    Column("recorded_at", _INSTANT, primary_key=True),
    Column("sha256", String(64), nullable=False),
)

load_cost: Final = Table(
    "load_cost",
    metadata,
    _environment(),
    Column("run_id", String(64), primary_key=True),
    Column("target", String(MAX_TABLE_NAME_LENGTH), primary_key=True),
    _text("pipeline_id"),
    Column("began_at", _INSTANT, nullable=False),
    Column("statement_count", BigInteger, nullable=False),
    Column("execution_seconds", Float, nullable=False),
    Column("share_seconds", Float, nullable=False),
    Column("rpu_seconds", Float, nullable=True),
    Index("ix_load_cost_began", "environment", "began_at"),
)

target_lease: Final = Table(
    "target_lease",
    metadata,
    _environment(),
    Column("target", String(MAX_TABLE_NAME_LENGTH), primary_key=True),
    Column("token", String(64), nullable=False),
    _required("run_id"),
    _required("held_by"),
    _required("machine"),
    Column("pid", Integer, nullable=False),
    _required("process"),
    Column("taken_at", _INSTANT, nullable=False),
    Column("renewed_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Index("ix_target_lease_token", "environment", "token"),
)

incident: Final = Table(
    "incident",
    metadata,
    _environment(),
    Column("incident_id", String(64), primary_key=True),
    *_word("kind", IncidentKind),
    _required("subject"),
    *_word("severity", Severity),
    _text("failure_class"),
    _required("message"),
    Column("targets", _JSON, nullable=False),
    Column("held_up", _JSON, nullable=False),
    Column("pipeline_ids", _JSON, nullable=False),
    _text("run_id"),
    Column("attempts", Integer, nullable=False),
    Column("ticks", Integer, nullable=False),
    Column("opened_at", _INSTANT, nullable=False),
    Column("last_seen_at", _INSTANT, nullable=False),
    Column("told_at", _INSTANT, key="alerted_at", nullable=True),
    Column("resolved_at", _INSTANT, nullable=True),
    _text("url"),
    Index("ix_incident_time", "environment", "last_seen_at"),
    Index(  # PostgreSQL's condition stands in the migration only: to name it here imports that dialect
        "ix_incident_open",
        *("environment", "kind", "subject"),
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
    ),
)

alert_outbox: Final = Table(
    "alert_outbox",
    metadata,
    _environment(),
    Column("alert_id", String(64), primary_key=True),
    Column("incident_id", String(64), nullable=True),
    _required("channel"),
    *_word("event", AlertEvent),
    _required("title"),
    _required("body"),
    Column("created_at", _INSTANT, nullable=False),
    Column("due_at", _INSTANT, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", _INSTANT, nullable=True),
    Column("given_up_at", _INSTANT, nullable=True),
    _text("last_error"),
    Index("ix_alert_outbox_due", "environment", "due_at"),
)

spark_log: Final = Table(
    "spark_log",
    metadata,
    _environment(),
    Column("entry_id", String(64), primary_key=True),
    _required("run_id"),
    _required("job_group"),
    _required("target"),
    *_word("status", LoadStatus),
    _required("backend"),
    _text("cluster_id"),
    _text("instance_type"),
    Column("core_count", Integer, nullable=False),
    Column("task_cores", Integer, nullable=False),
    Column("started_at", _INSTANT, nullable=False),
    Column("finished_at", _INSTANT, nullable=False),
    Column("scan_bytes", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=True),
    Column("predicted_minutes", Float, nullable=True),
    Column("predicted_usd", Float, nullable=True),
    Column("startup_seconds", Float, nullable=False),
    Column("step_seconds", Float, nullable=False),
    Column("cluster_seconds", Float, nullable=False),
    Column("usd", Float, nullable=False),
    Column("prices_as_of", Date, nullable=True),
    _text("advice"),
    _text("error_message"),
    Index("ix_spark_log_target", "environment", "target", "finished_at"),
)

database_identity: Final = Table("database_identity", metadata, Column("identity", String(64), primary_key=True))
"""One row, written when the database is made: what the clusters of this database bear as their owner."""

backfill_log: Final = Table(
    "backfill_log",
    metadata,
    _environment(),
    Column("backfill_id", String(64), primary_key=True),
    _required("subject"),
    _required("range_start"),
    _text("range_end"),
    _text("chunk_size"),
    Column("chunks", _JSON, nullable=False),
    _required("requested_by"),
    Column("started_at", _INSTANT, nullable=False),
    Column("finished_at", _INSTANT, nullable=True),
    _text("error_message"),
    _text("engine"),
    _text("cluster"),
    _text("definition"),
    _text("backfill_order"),
    Column("row_count", BigInteger, nullable=True),
    Column("done_count", Integer, nullable=True),
    Index("ix_backfill_log_subject", "environment", "subject", "started_at"),
)

lifecycle_log: Final = Table(
    "lifecycle_log",
    metadata,
    _environment(),
    Column("entry_id", String(64), primary_key=True),
    *_word("kind", Lifecycle),
    _required("target"),
    _text("new_target"),
    Column("involved", _JSON, nullable=False),
    _required("requested_by"),
    Column("started_at", _INSTANT, nullable=False),
    Column("due_at", _INSTANT, nullable=True),
    Column("finished_at", _INSTANT, nullable=True),
    _text("outcome"),
    Index("ix_lifecycle_log_time", "environment", "finished_at"),
)

protected_environment: Final = Table(
    "protected_environment",
    metadata,
    _environment(),
    _required("protected_by"),
    Column("protected_at", _INSTANT, nullable=False),
    _text("reason"),
)
"""The environments whose rows change by approved proposals only."""

environment_role: Final = Table(
    "environment_role",
    metadata,
    _environment(),
    Column("role", String(MAX_IDENTIFIER_LENGTH), primary_key=True),
    Column("identity", String(200), primary_key=True),
    CheckConstraint(f"role IN ({', '.join(repr(role.value) for role in Role)})", name="role_word"),
)
"""Who may do what; a role without rows is everyone's."""

proposal: Final = Table(
    "proposal",
    metadata,
    _environment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *_word("status", ProposalStatus),
    _required("via"),
    _required("proposed_by"),
    _required("proposed_account"),
    *_flag("proposed_in_ci", default=False),
    Column("proposed_at", _INSTANT, nullable=False),
    _text("on_behalf_of"),
    _text("reason"),
    Column("digest", String(64), nullable=False),
    Column("base_digest", String(64), nullable=False),
    _text("decided_by"),
    _text("decided_account"),
    *_flag("decided_in_ci", default=False),
    Column("decided_at", _INSTANT, nullable=True),
    _text("decision_reason"),
    *_flag("is_override", default=False),
    _text("made_in"),
    _text("applied_in"),
    Index("ix_proposal_status", "environment", "status"),
)
"""Changes that wait for another identity, and what became of them. `made_in` and `applied_in`: the transactions."""

proposal_row: Final = Table(
    "proposal_row",
    metadata,
    _environment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("table", _NAME, primary_key=True),
    Column("key", String(300), primary_key=True),
    Column("before", _JSON, nullable=True),
    Column("after", _JSON, nullable=True),
    Column("declared", _JSON, nullable=True),
)
"""The rows of a proposal before and after the change."""

ROW_TABLES: Final[dict[str, Table]] = {
    table.name: table for table in (source_control, pipeline_control, transformation_control)
}
"""The tables of control rows, in the order of their references."""
