"""Proposals in and out of the control database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from metadata_sync.database.approval.model import Identity, Proposal, ProposalStatus, ProposedRow, digest_of
from metadata_sync.database.codec import encode_declared
from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import SELECT
from metadata_sync.database.tables import proposal, proposal_row
from metadata_sync.errors import RequestError
from metadata_sync.redact import redact_text
from metadata_sync.rows.merge import ColumnChange, RowChange, RowId
from metadata_sync.rows.model import ROW_TYPES, ControlRow, TransformationRow
from metadata_sync.rows.parsing import parse_row


def to_rows(changes: Sequence[RowChange]) -> tuple[ProposedRow, ...]:
    """Return changes as they are stored."""
    return tuple(
        ProposedRow(
            change.id.table,
            change.id.key,
            _dump(change.before),
            _dump(change.after),
            None if change.declared is None else encode_declared(change.declared),
        )
        for change in changes
    )


def select_rows(selects: Mapping[RowId, ColumnChange]) -> tuple[ProposedRow, ...]:
    """Return other SELECTs of transformations as they are stored: the hashes of their texts."""
    return tuple(
        ProposedRow(SELECT, row_id.key, None if change.old is None else {"sha256": change.old}, {"sha256": change.new})
        for row_id, change in sorted(selects.items())
    )


def to_selects(rows: Sequence[ProposedRow]) -> dict[RowId, ColumnChange]:
    """Return the stored other SELECTs: transformation → hashes."""
    return {
        RowId(TransformationRow.control_table, row.key): ColumnChange(
            SELECT, (row.before or {}).get("sha256"), (row.after or {}).get("sha256")
        )
        for row in rows
        if row.table == SELECT
    }


def to_changes(rows: Sequence[ProposedRow]) -> list[RowChange]:
    """Return the stored changes of control rows.

    Raises:
        RequestError: When this version cannot read a row.
    """
    types = {row_type.control_table: row_type for row_type in ROW_TYPES}
    return [
        RowChange(*(_parse(types[row.table], values, row.key) for values in (row.before, row.after, row.declared)))
        for row in rows
        if row.table in types
    ]


def append(
    connection: Connection,
    environment: str,
    rows: Sequence[ProposedRow],
    proposer: Identity,
    now: datetime,
    **values: str | None,
) -> int:
    """Store a proposal, unless an open one proposes the same, and return its number. Secrets in its reason are masked.

    Args:
        connection: A writing transaction that holds the writers' lock.
        environment: The environment of the rows.
        rows: The rows before and after.
        proposer: Who proposes.
        now: When.
        values: Columns `via`, `reason` and `on_behalf_of`.
    """
    digest = digest_of(rows)
    columns = proposal.c
    open_same = select(columns.number).where(
        columns.environment == environment, columns.status == ProposalStatus.OPEN.value, columns.digest == digest
    )
    found = connection.execute(open_same).scalars().first()
    if found is not None:
        return int(found)
    last = connection.execute(select(func.max(columns.number)).where(columns.environment == environment)).scalar()
    number = int(last or 0) + 1
    row = {
        "environment": environment,
        "number": number,
        "status": ProposalStatus.OPEN.value,
        "proposed_by": proposer.name,
        "proposed_account": proposer.account,
        "proposed_in_ci": proposer.in_ci,
        "proposed_at": to_utc(now),
        "digest": digest,
        "base_digest": digest_of(rows, base_only=True),
        **{name: None if value is None else redact_text(value) for name, value in values.items()},
    }
    connection.execute(insert(proposal), [row])
    of_proposal = {"environment": environment, "number": number}
    names = ("table", "key", "before", "after", "declared")
    connection.execute(
        insert(proposal_row), [of_proposal | {name: getattr(item, name) for name in names} for item in rows]
    )
    return number


def read(
    connection: Connection, environment: str, number: int | None = None, *, open_only: bool = False
) -> tuple[Proposal, ...]:
    """Return proposals, newest first.

    Args:
        connection: A connection to the control database.
        environment: The environment.
        number: Only this one.
        open_only: Only those that wait.
    """
    heads = select(proposal).where(proposal.c.environment == environment)
    rows = select(proposal_row).where(proposal_row.c.environment == environment)
    if number is not None:
        heads, rows = heads.where(proposal.c.number == number), rows.where(proposal_row.c.number == number)
    if open_only:
        heads = heads.where(proposal.c.status == ProposalStatus.OPEN.value)
    of_number: dict[int, list[ProposedRow]] = {}
    for row in connection.execute(rows.order_by(proposal_row.c.table, proposal_row.c.key)).mappings():
        item = ProposedRow(row["table"], row["key"], row["before"], row["after"], row["declared"])
        of_number.setdefault(row["number"], []).append(item)
    found = connection.execute(heads.order_by(proposal.c.number.desc())).mappings()
    return tuple(_proposal(dict(head), of_number.get(head["number"], [])) for head in found)


def find(connection: Connection, environment: str, number: int) -> Proposal:
    """Return a proposal.

    Raises:
        RequestError: When there is none of this number.
    """
    for found in read(connection, environment, number):
        return found
    raise RequestError(f"There is no proposal {number} in {environment}.", "`sluice proposals list` shows what waits.")


def decide(connection: Connection, environment: str, number: int, values: dict[str, Any]) -> bool:
    """Store a decision; False: the proposal is no longer open."""
    here = (proposal.c.environment == environment, proposal.c.number == number)
    is_open = proposal.c.status == ProposalStatus.OPEN.value
    return connection.execute(update(proposal).where(*here, is_open).values(values)).rowcount == 1


def end_applying(connection: Connection, environment: str, number: int) -> None:
    """Tell SQLite's triggers that a proposal covers no further statement; PostgreSQL's know by its transaction."""
    if connection.dialect.name == "sqlite":
        here = (proposal.c.environment == environment, proposal.c.number == number)
        connection.execute(update(proposal).where(*here).values(applied_in=None))


def _proposal(head: dict[str, Any], rows: list[ProposedRow]) -> Proposal:
    decider = Identity(head["decided_by"], head["decided_account"], head["decided_in_ci"])
    return Proposal(
        number=head["number"],
        status=ProposalStatus(head["status"]),
        via=head["via"],
        proposer=Identity(head["proposed_by"], head["proposed_account"], head["proposed_in_ci"]),
        proposed_at=head["proposed_at"].replace(tzinfo=UTC),
        on_behalf_of=head["on_behalf_of"],
        reason=head["reason"],
        digest=head["digest"],
        base_digest=head["base_digest"],
        rows=tuple(rows),
        decider=None if head["decided_by"] is None else decider,
        decided_at=None if head["decided_at"] is None else head["decided_at"].replace(tzinfo=UTC),
        decision_reason=head["decision_reason"],
        is_override=head["is_override"],
    )


def _dump(row: ControlRow | None) -> dict[str, Any] | None:
    return None if row is None else row.model_dump(mode="json", by_alias=True)


def _parse(row_type: type[ControlRow], values: Any, key: str) -> ControlRow | None:
    if values is None:
        return None
    parsed = parse_row(row_type, values, key)
    if parsed.row is None or parsed.faults:
        faults = "; ".join(map(str, parsed.faults))
        raise RequestError(f"{key}: this version cannot read the proposed row: {faults}", "Reject the proposal.")
    return parsed.row
