"""The journal of Spark: append-only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select

from metadata_sync.database.engine import new_id, to_utc
from metadata_sync.database.journals.entries import LoadStatus, SparkEntry
from metadata_sync.database.tables import database_identity, spark_log
from metadata_sync.redact import redact_text

_FIELDS: Final = tuple(field.name for field in fields(SparkEntry))


def append_spark(connection: Connection, environment: str, entries: Sequence[SparkEntry]) -> None:
    """Store entries of Spark, with secrets masked."""
    rows = [
        {
            **{name: getattr(entry, name) for name in _FIELDS},
            "environment": environment,
            "entry_id": new_id(entry.finished_at),
            "status": entry.status.value,
            "started_at": to_utc(entry.started_at),
            "finished_at": to_utc(entry.finished_at),
            "error_message": None if entry.error_message is None else redact_text(entry.error_message),
        }
        for entry in entries
    ]
    connection.execute(insert(spark_log), rows)


def read_spark(
    connection: Connection, environment: str, target: str | None, since: datetime | None, limit: int
) -> tuple[SparkEntry, ...]:
    """Return entries of Spark, newest first."""
    columns = spark_log.c
    query = select(spark_log).where(columns.environment == environment)
    if target is not None:
        query = query.where(columns.target == target)
    if since is not None:
        query = query.where(columns.finished_at >= to_utc(since))
    query = query.order_by(columns.finished_at.desc(), columns.entry_id.desc()).limit(limit)
    return tuple(_entry(row) for row in connection.execute(query).mappings())


def sum_usd(
    connection: Connection, environment: str, targets: Collection[str], since: datetime | None, run_id: str | None
) -> float:
    """Return what the clusters of targets cost, in US dollars."""
    columns = spark_log.c
    query = select(func.coalesce(func.sum(columns.usd), 0.0)).where(
        columns.environment == environment, columns.target.in_(sorted(targets))
    )
    if since is not None:
        query = query.where(columns.finished_at >= to_utc(since))
    if run_id is not None:
        query = query.where(columns.run_id == run_id)
    return float(connection.execute(query).scalar_one())


def read_identity(connection: Connection) -> str:
    """Return the id of the control database, which its clusters bear as their owner."""
    return str(connection.execute(select(database_identity.c.identity)).scalars().one())


def _entry(row: Mapping[Any, Any]) -> SparkEntry:
    values = {name: row[name] for name in _FIELDS}
    values |= {name: values[name].replace(tzinfo=UTC) for name in ("started_at", "finished_at")}
    return SparkEntry(**values | {"status": LoadStatus(values["status"])})
