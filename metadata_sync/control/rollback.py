"""Go back to the rows and SELECTs of a moment: that before a change of the audit.

A column that a person changed since then gets the value it had; one that the framework alone changed keeps its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from metadata_sync.control.apply import ChangeContext
from metadata_sync.control.restoring import Restoring, checked
from metadata_sync.database import Via
from metadata_sync.database.journals.entries import SELECT, AuditEntry
from metadata_sync.errors import Fault, MetadataError, RequestError
from metadata_sync.redact import MASK, redact
from metadata_sync.rows.merge import RowChange, RowId, rows_by_id, with_changes
from metadata_sync.rows.model import ROW_TYPES, ControlRow, ControlRows
from metadata_sync.rows.parsing import column_names, parse_row

_NO_VALUES: Final = frozenset({"declared", SELECT})
"""Columns of the audit that are none of the row."""

_TYPES: Final = {row_type.control_table: row_type for row_type in ROW_TYPES}


def plan_rollback(context: ChangeContext, change_id: str) -> Restoring:
    """Return what brings rows and SELECTs back to the moment before a change; nothing is written.

    Args:
        context: The context of the change.
        change_id: The change, as `sluice control history` shows it.

    Raises:
        RequestError: When there is no such change, a target was renamed or retired since, or a SELECT of that moment
            is not kept.
        MetadataError: When a row was changed past the audit, a value is masked, or the outcome has faults.
    """
    entries = context.store.history_since(change_id)
    if not entries or entries[0].change_id != change_id:
        where = context.store.environment
        raise RequestError(f"There is no change {change_id} in {where}.", "`sluice control history` shows them.")
    _refuse_lifecycle(context, entries[0])
    rows = context.store.read_rows()
    stored = rows_by_id(rows)
    changes, faults = [], []
    by_row = sorted(entries, key=lambda entry: (entry.table, entry.key))
    for row_id, group in groupby(by_row, key=lambda entry: RowId(entry.table, entry.key)):
        change, found = _undone(row_id, stored.get(row_id), [item for item in group if item.column not in _NO_VALUES])
        faults += found
        changes += [] if change is None else [change]
    if faults:
        raise MetadataError(faults)
    texts = _texts(context, with_changes(rows, changes), entries[0])
    notes = ("Files of control rows stay as they are: put them back too, e.g. by git revert, before `control apply`.",)
    return checked(context, tuple(changes), texts, notes if changes else ())


def _refuse_lifecycle(context: ChangeContext, first: AuditEntry) -> None:
    for entry in context.store.lifecycle(since=first.changed_at):
        if entry.started_at >= first.changed_at:
            raise RequestError(
                f"{entry} was asked for after that change, and a rollback moves no tables.",
                "Name it back with `sluice rename`, or roll back to a later change.",
            )


def _undone(
    row_id: RowId, row: ControlRow | None, entries: Iterable[AuditEntry]
) -> tuple[RowChange | None, list[Fault]]:
    """Return the change that undoes what people did to a row, and why it cannot be undone."""
    columns: dict[str, list[AuditEntry]] = {}
    for entry in entries:
        columns.setdefault(entry.column, []).append(entry)
    by_people = {name: found for name, found in columns.items() if any(item.via != Via.FRAMEWORK for item in found)}
    now = {} if row is None else row.model_dump(mode="json", by_alias=True)
    faults = list(_obstacles(row_id, now, by_people))
    if faults or not by_people:
        return None, faults
    row_type = _TYPES[row_id.table]
    was_there = any(name not in by_people or by_people[name][0].old is not None for name in row_type.key_columns)
    if not was_there:
        return (None if row is None else RowChange(before=row, after=None)), []
    values = {**(now or dict.fromkeys(column_names(row_type))), **{name: by_people[name][0].old for name in by_people}}
    parsed = parse_row(row_type, values, row_id.key)
    change = RowChange(before=row, after=parsed.row)
    return (change if parsed.row is not None and change.columns else None), list(parsed.faults)


def _obstacles(row_id: RowId, now: Mapping[str, Any], by_people: Mapping[str, list[AuditEntry]]) -> Iterator[Fault]:
    for name, entries in by_people.items():
        if redact(now.get(name)) != entries[-1].new:
            message = "was changed past the audit, by SQL, so nobody knows what a rollback would undo."
            yield Fault(row_id.table, row_id.key, name, None, "unaudited_change", message, "Set the value by hand.")
        elif MASK in json.dumps(entries[0].old, default=str):
            message = "held a secret at that time, which the audit keeps masked."
            yield Fault(row_id.table, row_id.key, name, None, "masked_value", message, "Set the value by hand.")


def _texts(context: ChangeContext, outcome: ControlRows, first: AuditEntry) -> dict[str, str]:
    """Return the SELECTs of that moment by `sql_path`.

    Raises:
        RequestError: When one is not kept.
    """
    paths = {row.sql_path for row in outcome.transformations if row.sql_path}
    then = context.store.select_hashes(before=first.changed_at)
    unknown = sorted(paths - then.keys())
    if unknown:
        raise RequestError(
            f"{', '.join(unknown)}: the SELECT of that moment is not kept; the first `sync` or `apply` after it is the "
            "oldest that is.",
            "Roll back to a later change, or restore files and rows by hand.",
        )
    texts = context.store.select_texts({then[path] for path in paths})
    return {path: texts[then[path]] for path in paths}
