"""Which targets a change makes it worth to build. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from metadata_sync.analysis.impact import DECIDING, READING
from metadata_sync.errors import RequestError
from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import is_active
from metadata_sync.sql.changes import ChangeKind

if TYPE_CHECKING:
    from flows.impact.plan import Effect

_OF_TARGETS: Final = DECIDING | READING | {"copy", "sql_path", "column_list", "max_rejects"}
_NOT_OF_SOURCES: Final = {"owner", "freshness_minutes", "calendar"}
_WITH_ROWS: Final = {SourceRow.control_table, TransformationRow.control_table}


def changed_targets(effects: Sequence[Effect], rows: ControlRows) -> set[TableName]:
    """Return the active targets whose rows may differ by their own row, their SELECT, or a row of their source."""
    names = {TableName.parse(item.change.key) for item in effects if item.change.table in _WITH_ROWS and _is_data(item)}
    found = {row.name for row in rows.transformations if row.name in names}
    for row in rows.transformations:
        if any(TableName.parse(item.table) in names - found for item in row.dependencies):
            found.add(row.name)
    return {row.name for row in rows.transformations if row.name in found and is_active(row, rows)}


def _is_data(effect: Effect) -> bool:
    change = effect.change
    if change.kind != "changed":
        return change.kind == "added" or change.table == SourceRow.control_table
    if change.select is not None and change.select.kind is not ChangeKind.FORMATTING:
        return True
    names = {item.column for item in change.settings}
    if change.table == SourceRow.control_table:
        return bool(names - _NOT_OF_SOURCES)
    return bool(names & _OF_TARGETS)


def with_readers(targets: Collection[TableName], rows: ControlRows, levels: int | None) -> set[TableName]:
    """Return targets with so many levels of active readers; None: all of them."""
    found, edge = set(targets), set(targets)
    while edge and (levels is None or levels > 0):
        edge = {row.name for row in rows.transformations if _reads(row, edge) and is_active(row, rows)} - found
        found |= edge
        levels = None if levels is None else levels - 1
    return found


def _reads(row: TransformationRow, tables: Collection[TableName]) -> bool:
    return any(TableName.parse(item.table) in tables for item in row.dependencies)


def levels_of(text: str) -> int | None:
    """Return how many levels of readers are meant; None: all.

    Raises:
        RequestError: When it is neither a number nor `all`.
    """
    if text == "all":
        return None
    if not text.isdigit():
        raise RequestError(f"--readers {text!r} is no number.", "Write --readers 1, or --readers all.")
    return int(text)
