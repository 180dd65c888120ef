"""The audit trail: one entry per changed column, written in the transaction of the change."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select

from metadata_sync.database.approval.model import ProposedRow
from metadata_sync.database.codec import encode_declared, parse_json, raw_column, raw_columns
from metadata_sync.database.engine import new_id, to_utc
from metadata_sync.database.journals.entries import AuditEntry, Via
from metadata_sync.database.tables import control_audit
from metadata_sync.redact import redact, redact_text
from metadata_sync.rows.merge import ChangeKind, ColumnChange, ColumnId, RowChange, RowId, all_rows
from metadata_sync.rows.model import ROW_TYPES, ControlRows


@dataclass(frozen=True, slots=True)
class Author:
    """The author of a change.

    Attributes:
        who: Person or role.
        via: How the change is made.
        reason: Why.
        approved_by: The identity that approved the change; None: it needed no approval.
        proposal: Number of the approved proposal.
    """

    who: str
    via: Via
    reason: str | None
    approved_by: str | None = None
    proposal: int | None = None


def append(
    connection: Connection,
    environment: str,
    changes: Sequence[RowChange],
    author: Author,
    now: datetime,
    *,
    selects: Mapping[RowId, ColumnChange] | None = None,
) -> str:
    """Write the audit entries of changes in the same transaction, with secrets masked.

    Args:
        connection: A writing transaction.
        environment: The environment of the rows.
        changes: What was written.
        author: Who made it.
        now: When.
        selects: Transformations whose SELECT is another one from now on, with the hashes.

    Returns:
        The change id that the entries share.
    """
    entries = [(change.id, column) for change in changes for column in _columns(change)]
    entries += list((selects or {}).items())
    return _append(connection, environment, entries, author, now)


def append_values(
    connection: Connection, environment: str, rows: Sequence[ProposedRow], author: Author, now: datetime
) -> str:
    """Write the audit entries of rows that are no control rows: protection and roles."""
    entries = [
        (RowId(row.table, row.key), ColumnChange(name, (row.before or {}).get(name), (row.after or {}).get(name)))
        for row in rows
        for name in dict.fromkeys((*(row.before or ()), *(row.after or ())))
    ]
    return _append(connection, environment, entries, author, now)


def _append(
    connection: Connection,
    environment: str,
    entries: Sequence[tuple[RowId, ColumnChange]],
    author: Author,
    now: datetime,
) -> str:
    change_id = new_id(now)
    rows = [
        {
            "environment": environment,
            "change_id": change_id,
            "position": position,
            "changed_at": to_utc(now),
            "who": redact_text(author.who),
            "via": author.via.value,
            "table": row.table,
            "key": row.key,
            "column": column.column,
            "old": redact(column.old),
            "new": redact(column.new),
            "reason": None if author.reason is None else redact_text(author.reason),
            "approved_by": author.approved_by,
            "proposal": author.proposal,
        }
        for position, (row, column) in enumerate(entries)
    ]
    if rows:
        connection.execute(insert(control_audit), rows)
    return change_id


def read(connection: Connection, environment: str, key: str | None, limit: int) -> tuple[AuditEntry, ...]:
    """Return the newest entries, newest first; the columns of one change stay in order."""
    columns = control_audit.c
    query = _asked(environment)
    if key is not None:
        query = query.where(columns.key == key)
    return _entries(connection, query.order_by(columns.change_id.desc(), columns.position).limit(limit))


def read_since(connection: Connection, environment: str, change_id: str) -> tuple[AuditEntry, ...]:
    """Return the entries of a change and of all later ones, oldest first."""
    columns = control_audit.c
    query = _asked(environment).where(columns.change_id >= change_id)
    return _entries(connection, query.order_by(columns.change_id, columns.position))


def read_promoted(connection: Connection, environment: str) -> dict[ColumnId, Any]:
    """Return the value that each column had after the last promotion that wrote it."""
    columns = control_audit.c
    query = _asked(environment).where(columns.via == Via.PROMOTE.value)
    found = _entries(connection, query.order_by(columns.change_id, columns.position))
    return {ColumnId(RowId(entry.table, entry.key), entry.column): entry.new for entry in found}


def _asked(environment: str) -> Select[Any]:
    chosen = (*raw_columns(control_audit), control_audit.c.changed_at.label("instant"))
    return select(*chosen).where(control_audit.c.environment == environment)


def _entries(connection: Connection, query: Select[Any]) -> tuple[AuditEntry, ...]:
    return tuple(
        AuditEntry(
            change_id=row["change_id"],
            changed_at=row["instant"].replace(tzinfo=UTC),
            who=row["who"],
            via=row["via"],
            table=row["table"],
            key=row["key"],
            column=row["column"],
            old=parse_json(row["old"]),
            new=parse_json(row["new"]),
            reason=row["reason"],
            approved_by=row["approved_by"],
            proposal=row["proposal"],
        )
        for row in connection.execute(query).mappings()
    )


_FEW: Final = 500
"""Up to this number of rows, a statement names them."""

_TIMING: Final = ("is_active", "schedule", "timezone", "pipeline_id")
"""Columns that decide whether and when a target is due."""

_TIMED_TABLES: Final = tuple(row_type.control_table for row_type in ROW_TYPES)


def timing_changes(
    connection: Connection, environment: str, keys: Collection[str] | None = None
) -> dict[str, tuple[datetime, ...]]:
    """Return when rows were switched, rescheduled or created, by key, UTC, newest first; None: all rows."""
    columns = control_audit.c
    if keys is None:
        return _timing_changes(connection, environment, [])
    found: dict[str, tuple[datetime, ...]] = {}
    ordered = sorted(keys)
    for begin in range(0, len(ordered), _FEW):
        # With the table, the index that begins with it finds the keys.
        here = [columns.table.in_(_TIMED_TABLES), columns.key.in_(ordered[begin : begin + _FEW])]
        found |= _timing_changes(connection, environment, here)
    return found


def _timing_changes(
    connection: Connection, environment: str, asked: Sequence[ColumnElement[bool]]
) -> dict[str, tuple[datetime, ...]]:
    columns = control_audit.c
    query = (
        select(columns.key, columns.changed_at)
        .where(columns.environment == environment, columns.column.in_(_TIMING), *asked)
        .order_by(columns.change_id.desc())
        .distinct()
    )
    found: dict[str, list[datetime]] = {}
    for row in connection.execute(query):
        found.setdefault(row.key, []).append(row.changed_at.replace(tzinfo=UTC))
    return {key: tuple(sorted(instants, reverse=True)) for key, instants in found.items()}


def framework_written(connection: Connection, environment: str, rows: ControlRows) -> frozenset[ColumnId]:
    """Return the columns whose last audited change is the framework's and whose value is still the one it wrote."""
    columns = control_audit.c
    newest = func.row_number().over(
        partition_by=(columns.table, columns.key, columns.column),
        order_by=(columns.change_id.desc(), columns.position.desc()),
    )
    asked = [columns.environment == environment]
    of_rows = [*all_rows(rows)]
    if len(of_rows) <= _FEW:  # the history of a few rows is found by their keys
        tables, keys = {row.control_table for row in of_rows}, {row.key for row in of_rows}
        asked += [columns.table.in_(tables), columns.key.in_(keys)]
    ranked = select(control_audit, newest.label("rank")).where(*asked).subquery()
    written_last = (ranked.c.rank == 1, ranked.c.via == Via.FRAMEWORK.value)
    query = select(ranked.c.table, ranked.c.key, ranked.c.column, raw_column(ranked.c.new)).where(*written_last)
    written = {
        ColumnId(RowId(row["table"], row["key"]), row["column"]): _canonical(parse_json(row["new"]))
        for row in connection.execute(query).mappings()
    }
    return frozenset(column for column, value in _present(rows, written.keys()) if written[column] == value)


def _present(rows: ControlRows, wanted: Any) -> Iterator[tuple[ColumnId, str]]:
    concerned = {column.row for column in wanted}
    for row in all_rows(rows):
        if RowId.of(row) in concerned:
            for name, value in row.model_dump(mode="json", by_alias=True).items():
                if ColumnId(RowId.of(row), name) in wanted:
                    yield ColumnId(RowId.of(row), name), _canonical(redact(value))


def _columns(change: RowChange) -> tuple[ColumnChange, ...]:
    """Return the columns to audit; for an adoption, which changes no value, the declaration."""
    if change.kind is not ChangeKind.ADOPT:
        return change.columns
    assert change.declared is not None, "a change without columns records a declaration"
    return (ColumnChange("declared", None, encode_declared(change.declared)),)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
