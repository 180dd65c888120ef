"""The journal of backfills: their requests and ends. The warehouse's load log shows which chunks are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import BackfillEntry
from metadata_sync.database.tables import backfill_log
from metadata_sync.loads import Window
from metadata_sync.redact import redact_text


def begin(connection: Connection, environment: str, entry: BackfillEntry) -> None:
    """Store a backfill before it starts."""
    chunks = {target: [asdict(window) for window in windows] for target, windows in entry.chunks.items()}
    values = {
        "environment": environment,
        "backfill_id": entry.backfill_id,
        "subject": entry.subject,
        "range_start": entry.range_start,
        "range_end": entry.range_end,
        "chunk_size": entry.chunk_size,
        "chunks": chunks,
        "requested_by": entry.requested_by,
        "started_at": to_utc(entry.started_at),
        "engine": entry.engine,
        "cluster": entry.cluster,
        "definition": entry.definition,
        "backfill_order": entry.backfill_order,
        "row_count": entry.row_count,
        "done_count": entry.done_count,
    }
    connection.execute(insert(backfill_log).values(values))


def end(
    connection: Connection, environment: str, backfill_id: str, finished_at: datetime | None, error: str | None
) -> None:
    """Store the end of a backfill."""
    columns = backfill_log.c
    here = (columns.environment == environment) & (columns.backfill_id == backfill_id)
    values = {
        "finished_at": None if finished_at is None else to_utc(finished_at),
        "error_message": None if error is None else redact_text(error),
    }
    connection.execute(update(backfill_log).where(here).values(values))


def note_done(connection: Connection, environment: str, backfill_id: str, done_count: int) -> None:
    """Store how many chunks of a first load are loaded."""
    columns = backfill_log.c
    here = (columns.environment == environment) & (columns.backfill_id == backfill_id)
    connection.execute(update(backfill_log).where(here).values(done_count=done_count))


def unfinished(
    connection: Connection, environment: str, subject: str | None, *, first_loads: bool
) -> tuple[BackfillEntry, ...]:
    """Return unfinished first loads, or all other unfinished backfills, newest first."""
    columns = backfill_log.c
    query = select(backfill_log).where(
        columns.environment == environment,
        columns.finished_at.is_(None),
        columns.backfill_order.is_not(None) if first_loads else columns.backfill_order.is_(None),
    )
    if subject is not None:
        query = query.where(columns.subject == subject)
    query = query.order_by(columns.started_at.desc(), columns.backfill_id.desc())
    return tuple(_entry(row) for row in connection.execute(query).mappings())


def _entry(row: Mapping[Any, Any]) -> BackfillEntry:
    values = {name: row[name] for name in BackfillEntry.__dataclass_fields__ if name != "chunks"}
    values["started_at"] = values["started_at"].replace(tzinfo=UTC)
    chunks = {target: tuple(Window(**window) for window in windows) for target, windows in row["chunks"].items()}
    return BackfillEntry(**values, chunks=chunks)
