"""Which faults are worth a line: not those that only follow from another, and not those of data nobody touches.

A row that cannot be read is missing, or has defaults for its faulty columns. What other rules then say of it, or of
rows that refer to it, is no fault of its own. A source whose data cannot be read now is a fault of the rows that are
about to change; for all others it is a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from metadata_sync.errors import Fault
from metadata_sync.rows.merge import RowId
from metadata_sync.rows.model import ControlRows, SourceRow

DATA_RULES: Final = frozenset({"source_unreadable"})
"""Rules about what stands in a source's folder or table now, not about a row."""

_REFERENCES: Final = frozenset({"unknown_dependency", "unknown_pipeline"})
"""Rules about rows that refer to others."""

_OF_WHOLE_ROWS: Final = frozenset(
    {"increment_mode", "no_driving_source", "no_sequence", "undeclared_dependency", "unread_dependency"}
    | {"keyless_append", "missing_incremental_key", "missing_value", "column_list", "unknown_column"}
)
"""Rules that read several columns of a row, one of which may have a default in place of a faulty value."""


def without_consequences(
    found: Iterable[Fault], known: Sequence[Fault], unreadable: Collection[RowId], *, has_unread_files: bool
) -> list[Fault]:
    """Return the faults that do not merely follow from faults of the files.

    Args:
        found: Faults of rows and SELECTs.
        known: Faults of the files.
        unreadable: Rows that are missing because of their faults.
        has_unread_files: Whether a file could not be read at all: what it declares is not known.
    """
    found = one_fault_each(found)
    columns = {(fault.table, fault.key, fault.column) for fault in known}
    rows = {(fault.table, fault.key) for fault in known}
    missing = {row.key for row in unreadable}
    kept = []
    for fault in found:
        is_same = (fault.table, fault.key, fault.column) in columns
        is_of_faulty_row = (fault.table, fault.key) in rows and fault.rule in _OF_WHOLE_ROWS
        refers = fault.rule in _REFERENCES and (has_unread_files or fault.value in missing)
        if not (is_same or is_of_faulty_row or refers):
            kept.append(fault)
    return kept


_LEADS_TO: Final = {
    "unknown_dependency": {
        "undeclared_dependency",
        "unread_dependency",
        "no_sequence",
        "missing_incremental_key",
        "bind",
    },
    "table_name": {"unread_dependency", "undeclared_dependency", "no_sequence"},
    "syntax": {"unread_dependency", "no_sequence"},
    "no_driving_source": {"no_sequence", "increment_mode"},
    "unused_recompute_by": {"increment_mode", "no_sequence"},
}
"""Rule → rules that only say the same mistake again, of the same row."""


def one_fault_each(found: Iterable[Fault]) -> list[Fault]:
    """Return the faults with one for each mistake: the first of a rule and column, without what follows from another.

    A value that does not belong to the load type is not examined any further, and neither is a SELECT that reads a
    table which the row misspells.
    """
    faults = list(dict.fromkeys(found))
    of_rows: dict[tuple[str, str], set[str]] = {}
    misplaced = {(item.table, item.key, item.column) for item in faults if item.rule == "not_for_load_type"}
    for fault in faults:
        of_rows.setdefault((fault.table, fault.key), set()).add(fault.rule)
    kept: dict[tuple[str, str, str | None, str, str | None], Fault] = {}
    for fault in faults:
        follows = any(fault.rule in _LEADS_TO.get(rule, ()) for rule in of_rows[fault.table, fault.key])
        place = (fault.table, fault.key, fault.column)
        if not follows and (place not in misplaced or fault.rule == "not_for_load_type"):
            several = None if fault.rule == "increment_mode" else f"{fault.value} {fault.message}"
            kept.setdefault((*place, fault.rule, several), fault)
    return list(kept.values())


def split_data_faults(
    found: Iterable[Fault], rows: ControlRows, changed: Collection[RowId]
) -> tuple[list[Fault], list[Fault]]:
    """Separate faults from warnings about data that no changed row touches.

    Args:
        found: All faults.
        rows: All rows.
        changed: Rows that are new or about to change.

    Returns:
        The faults, and the warnings.
    """
    touched = {row.key for row in changed if row.table == SourceRow.control_table}
    for row in rows.transformations:
        if RowId.of(row) in changed:
            touched |= {dependency.table for dependency in row.dependencies}
    faults: list[Fault] = []
    warnings: list[Fault] = []
    for fault in found:
        is_warning = fault.rule in DATA_RULES and fault.key not in touched
        (warnings if is_warning else faults).append(fault)
    return faults, warnings
