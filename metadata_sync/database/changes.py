"""Write changes of control rows: lock and read the stored rows, then one statement for changes of the same shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, delete, insert, select, tuple_, update

from metadata_sync.database.codec import Stored, decode, encode, encode_declared, raw_columns
from metadata_sync.database.tables import ROW_TABLES
from metadata_sync.errors import StaleRowError
from metadata_sync.rows.merge import ChangeKind, RowChange
from metadata_sync.rows.model import ControlRow
from metadata_sync.rows.parsing import key_of

_KEYS_PER_QUERY: Final = 1000  # well below the databases' limits of parameters per statement
_WRITTEN_ALIKE: Final = {ChangeKind.ADOPT: ChangeKind.CHANGE}


def in_writing_order(changes: Iterable[RowChange]) -> list[RowChange]:
    """Order changes so that pipelines are added before their transformations and removed after them."""
    rank = {table: position for position, table in enumerate(ROW_TABLES)}

    def order(change: RowChange) -> tuple[bool, int]:
        is_removal = change.kind is ChangeKind.REMOVE
        position = rank[change.id.table]
        return (is_removal, -position if is_removal else position)

    return sorted(changes, key=order)


def write_changes(connection: Connection, environment: str, changes: Sequence[RowChange]) -> None:
    """Write changes; each requires that the stored row equals its `before`.

    Args:
        connection: A writing transaction.
        environment: The environment of the rows.
        changes: In writing order; at most one per row.

    Raises:
        StaleRowError: When a stored row differs from its change's `before`.
    """
    for name, group in groupby(changes, key=lambda change: change.id.table):
        of_table = list(group)
        _refuse_stale(connection, environment, ROW_TABLES[name], of_table)
        _write(connection, environment, ROW_TABLES[name], of_table)


def _refuse_stale(connection: Connection, environment: str, table: Table, changes: Sequence[RowChange]) -> None:
    found: dict[str, ControlRow | None] = {}
    for begin in range(0, len(changes), _KEYS_PER_QUERY):
        found.update(_stored_rows(connection, environment, table, changes[begin : begin + _KEYS_PER_QUERY]))
    for change in changes:
        if found.get(change.id.key) != change.before:
            raise StaleRowError(
                f"{change.id} was changed by somebody else meanwhile; nothing was written.",
                "Look at `sluice control history`, then run the command again.",
                subject=change.id.key,
            )


def _stored_rows(
    connection: Connection, environment: str, table: Table, changes: Sequence[RowChange]
) -> Iterator[tuple[str, ControlRow | None]]:
    """Lock and read the rows of changes, by key; None for a row that was edited by hand and cannot be parsed."""
    row_type = type(_row(changes[0]))
    wanted = tuple_(*(table.c[name] for name in row_type.key_columns)).in_([_row(item).key_values for item in changes])
    query = select(*raw_columns(table)).where(table.c.environment == environment, wanted).with_for_update()
    stored: Sequence[Stored] = connection.execute(query).mappings().all()
    return ((key_of(row_type, row), decode(row_type, row).row) for row in stored)


def _write(connection: Connection, environment: str, table: Table, changes: Sequence[RowChange]) -> None:
    """Write changes of one table: one statement for all changes of the same kind and columns."""
    values = [(change.kind, _values(change, environment)) for change in changes]
    key_columns = ("environment", *type(_row(changes[0])).key_columns)
    here: ColumnElement[bool] = and_(*(table.c[name] == bindparam(f"key_{name}") for name in key_columns))
    for (kind, names), group in groupby(sorted(values, key=_shape), key=_shape):
        rows = [row for _, row in group]
        if kind == ChangeKind.ADD.value:
            connection.execute(insert(table), rows)
            continue
        keys = [{f"key_{name}": row[name] for name in key_columns} for row in rows]
        if kind == ChangeKind.REMOVE.value:
            connection.execute(delete(table).where(here), keys)
            continue
        # Parameters have other names than columns, because SQLAlchemy's UPDATE reserves the columns' names.
        written = {name: f"new_{name}" for name in names if name not in key_columns}
        new = {name: bindparam(bound, type_=table.c[name].type) for name, bound in written.items()}
        bound_rows = [{bound: row[name] for name, bound in written.items()} for row in rows]
        statement = update(table).where(here).values(new)
        connection.execute(statement, [key | row for key, row in zip(keys, bound_rows, strict=True)])


def _shape(item: tuple[ChangeKind, dict[str, Any]]) -> tuple[str, tuple[str, ...]]:
    kind, values = item
    return _WRITTEN_ALIKE.get(kind, kind).value, tuple(values)


def _values(change: RowChange, environment: str) -> dict[str, Any]:
    """Return the columns that a change writes, including the key."""
    row = _row(change)
    values = {"environment": environment} | encode(row)
    if change.kind in {ChangeKind.CHANGE, ChangeKind.ADOPT}:
        changed = {column.column for column in change.columns} | {"environment", *row.key_columns}
        values = {name: value for name, value in values.items() if name in changed}
    if change.declared is not None:
        values["declared"] = encode_declared(change.declared)
    return values


def _row(change: RowChange) -> ControlRow:
    row = change.after or change.before
    assert row is not None, "a change has a row before or after it"
    return row
