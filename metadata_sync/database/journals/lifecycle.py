"""The journal of renamings and retirements, and what a new name changes in the other journals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Table, delete, insert, or_, select, update

from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import Lifecycle, LifecycleEntry
from metadata_sync.database.tables import (
    backfill_log,
    decision_log,
    definition_log,
    incident,
    lifecycle_log,
    run_log,
    spark_log,
)
from metadata_sync.errors import StoreError
from metadata_sync.redact import redact_text

_BY_TARGET: Final = (decision_log, run_log, spark_log)
"""Journals whose column `target` names the target of an entry."""


def begin(connection: Connection, environment: str, entry: LifecycleEntry) -> None:
    """Store what is about to happen to a target; needs a transaction that locks writers.

    Raises:
        StoreError: When something else with one of the targets is not finished.
    """
    names = set(entry.involved)
    for other in read(connection, environment, unfinished_only=True):
        if names & set(other.involved):
            raise StoreError(f"Not finished yet: {other}.", "Finish that first.", subject=entry.target)
    values = asdict(entry) | {
        "environment": environment,
        "kind": entry.kind.value,
        "involved": list(entry.involved),
        "requested_by": redact_text(entry.requested_by),
        "started_at": to_utc(entry.started_at),
        "due_at": None if entry.due_at is None else to_utc(entry.due_at),
    }
    connection.execute(insert(lifecycle_log).values(values))


def end(connection: Connection, environment: str, entry_id: str, finished_at: datetime, outcome: str) -> None:
    """Store that it is complete, or was given up."""
    columns = lifecycle_log.c
    here = (columns.environment == environment) & (columns.entry_id == entry_id)
    values = {"finished_at": to_utc(finished_at), "outcome": redact_text(outcome)}
    connection.execute(update(lifecycle_log).where(here).values(values))


def read(
    connection: Connection, environment: str, *, unfinished_only: bool = False, since: datetime | None = None
) -> tuple[LifecycleEntry, ...]:
    """Return entries, oldest first.

    Args:
        connection: A transaction.
        environment: The environment.
        unfinished_only: Only those that are not finished.
        since: Only those that are not finished, or were finished at this instant or later.
    """
    columns = lifecycle_log.c
    query = select(lifecycle_log).where(columns.environment == environment)
    if unfinished_only:
        query = query.where(columns.finished_at.is_(None))
    if since is not None:
        query = query.where(or_(columns.finished_at.is_(None), columns.finished_at >= to_utc(since)))
    return tuple(_entry(row) for row in connection.execute(query.order_by(columns.entry_id)).mappings())


def rename_entries(connection: Connection, environment: str, old: str, new: str, now: datetime) -> None:
    """Give the entries of a target in all journals its new name."""
    for table in _BY_TARGET:
        here = (table.c.environment == environment) & (table.c.target == old)
        connection.execute(update(table).where(here).values(target=new))
    columns = definition_log.c
    connection.execute(delete(definition_log).where(columns.environment == environment, columns.target == new))
    here = (columns.environment == environment) & (columns.target == old)
    connection.execute(update(definition_log).where(here).values(target=new))
    _rename_incidents(connection, environment, old, new, now)
    _rename_backfills(connection, environment, old, new)


def resolve_incidents(connection: Connection, environment: str, target: str, now: datetime) -> None:
    """End the open incidents of a target that is no more."""
    columns = incident.c
    here = (columns.environment == environment) & (columns.subject == target) & columns.resolved_at.is_(None)
    connection.execute(update(incident).where(here).values(resolved_at=to_utc(now)))


def _rename_incidents(connection: Connection, environment: str, old: str, new: str, now: datetime) -> None:
    columns = incident.c
    is_open = (columns.environment == environment) & columns.resolved_at.is_(None)
    taken = set(connection.execute(select(columns.kind).where(is_open, columns.subject == new)).scalars())
    twice = (columns.subject == old) & columns.kind.in_(sorted(taken))
    # One incident of a kind is open for a target: that of the old name ends.
    connection.execute(update(incident).where(is_open, twice).values(resolved_at=to_utc(now)))
    of_target = (columns.environment == environment) & (columns.subject == old)
    connection.execute(update(incident).where(of_target).values(subject=new))
    lists = ("targets", "held_up")
    for row in connection.execute(select(incident).where(is_open)).mappings().all():
        renamed = {name: [new if item == old else item for item in row[name]] for name in lists}
        if any(renamed[name] != row[name] for name in lists):
            _update_row(connection, incident, environment, row["incident_id"], renamed)


def _rename_backfills(connection: Connection, environment: str, old: str, new: str) -> None:
    """Rename in unfinished backfills also the targets and sources of their chunks, so that they can be resumed."""
    columns = backfill_log.c
    here = columns.environment == environment
    connection.execute(update(backfill_log).where(here, columns.subject == old).values(subject=new))
    query = select(columns.backfill_id, columns.chunks).where(here, columns.finished_at.is_(None))
    for row in connection.execute(query).mappings().all():
        chunks = {
            new if target == old else target: [
                window | {"source": new if window["source"] == old else window["source"]} for window in windows
            ]
            for target, windows in row["chunks"].items()
        }
        if chunks != row["chunks"]:
            _update_row(connection, backfill_log, environment, row["backfill_id"], {"chunks": chunks})


def _update_row(connection: Connection, table: Table, environment: str, key: str, values: dict[str, Any]) -> None:
    _, key_column = table.primary_key.columns
    here = (table.c.environment == environment) & (key_column == key)
    connection.execute(update(table).where(here).values(values))


def unfinished_names(entries: Collection[LifecycleEntry]) -> dict[str, LifecycleEntry]:
    """Return the renaming that each involved target waits for."""
    return {target: entry for entry in entries if entry.new_target is not None for target in entry.involved}


def _entry(row: RowMapping) -> LifecycleEntry:
    values = {name: row[name] for name in LifecycleEntry.__dataclass_fields__}
    for name in ("started_at", "due_at", "finished_at"):
        values[name] = None if values[name] is None else values[name].replace(tzinfo=UTC)
    return LifecycleEntry(**values | {"kind": Lifecycle(values["kind"]), "involved": tuple(values["involved"])})
