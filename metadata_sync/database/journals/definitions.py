"""The journal of definitions: by which SELECTs the rows of targets were derived, and what people accepted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import DefinitionEntry
from metadata_sync.database.tables import definition_log
from metadata_sync.redact import redact_text

_INSTANTS: Final = ("noted_at", "counted_at", "accepted_at")


def read(connection: Connection, environment: str, targets: Collection[str] | None) -> tuple[DefinitionEntry, ...]:
    """Return the definitions of targets, by target and number; None: of all targets."""
    columns = definition_log.c
    query = select(definition_log).where(columns.environment == environment)
    if targets is not None:
        query = query.where(columns.target.in_(sorted(targets)))
    query = query.order_by(columns.target, columns.number, columns.noted_at)
    return tuple(_entry(row) for row in connection.execute(query).mappings())


def write(connection: Connection, environment: str, entry: DefinitionEntry) -> None:
    """Store a definition, or replace its counts and its acceptance."""
    columns = definition_log.c
    here = (
        (columns.environment == environment)
        & (columns.target == entry.target)
        & (columns.number == entry.number)
        & (columns.definition == entry.definition)
    )
    values: dict[str, Any] = {
        "event_count": entry.event_count,
        "older_count": entry.older_count,
        "counted_at": _utc(entry.counted_at),
        "accepted_by": entry.accepted_by,
        "reason": None if entry.reason is None else redact_text(entry.reason),
        "accepted_at": _utc(entry.accepted_at),
    }
    if connection.execute(update(definition_log).where(here).values(values)).rowcount:
        return
    key = {"environment": environment, "target": entry.target, "number": entry.number, "definition": entry.definition}
    connection.execute(insert(definition_log).values({**key, **values, "noted_at": to_utc(entry.noted_at)}))


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else to_utc(instant)


def _entry(row: Mapping[Any, Any]) -> DefinitionEntry:
    values = {name: row[name] for name in DefinitionEntry.__dataclass_fields__}
    zoned = {name: values[name].replace(tzinfo=UTC) for name in _INSTANTS if values[name] is not None}
    return DefinitionEntry(**values | zoned)
