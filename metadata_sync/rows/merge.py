"""The plan of applying files: a three-way merge, by column, of files, last applied rows and table. Pure.

    file = last applied, table differs      an operator or the framework changed the table: its value is kept
    file differs, table = last applied      the file changed: its value is written
    file differs, table differs             both changed: a conflict, unless both have the same value

A value that the framework wrote (a row it switched off, a column list it filled in) is not a decision of a person. It
is kept while the file does not change; when the file changes, the file's value is written without a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from metadata_sync.errors import ConfigurationError, Fault
from metadata_sync.problems import did_you_mean
from metadata_sync.rows.model import (
    ROW_TYPES,
    ControlRow,
    ControlRows,
    TransformationRow,
    collect_rows,
)

SWITCH: Final = "is_active"


class ChangeKind(StrEnum):
    """The kind of a row's change."""

    ADD = "add"
    CHANGE = "change"
    ADOPT = "adopt"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class RowId:
    """Identifies a row by control table and key."""

    table: str
    key: str

    @classmethod
    def of(cls, row: ControlRow) -> RowId:
        """Return the id of a row."""
        return cls(row.control_table, row.key)

    def __str__(self) -> str:
        return f"{self.table}[{self.key}]"


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One column's old and new value, JSON-ready."""

    column: str
    old: Any
    new: Any


@dataclass(frozen=True)
class RowChange:
    """The change of one row.

    Attributes:
        before: The row in the table now; None when it is added.
        after: The row after the change; None when it is removed.
        declared: The row as the files declare it now (`model_fields_set`: the columns that they name); None: unchanged.
    """

    before: ControlRow | None
    after: ControlRow | None
    declared: ControlRow | None = None

    @cached_property
    def id(self) -> RowId:
        """The row's id."""
        row = self.after or self.before
        assert row is not None, "a change has a row before or after it"
        return RowId.of(row)

    @property
    def kind(self) -> ChangeKind:
        """The kind of change; ADOPT records the files' declaration without changing a value."""
        if self.before is None:
            return ChangeKind.ADD
        if self.after is None:
            return ChangeKind.REMOVE
        return ChangeKind.CHANGE if self.columns else ChangeKind.ADOPT

    @cached_property
    def columns(self) -> tuple[ColumnChange, ...]:
        """All columns whose value changes; for an added or removed row, all columns with a value."""
        old = _stored(self.before)
        new = _stored(self.after)
        names = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
        return tuple(
            ColumnChange(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
        )


@dataclass(frozen=True, slots=True)
class ColumnId:
    """Identifies a column of a row."""

    row: RowId
    column: str


@dataclass(frozen=True, slots=True)
class ControlState:
    """The control rows of one environment, read in one snapshot.

    Attributes:
        rows: The current rows.
        declared: The rows as the files last declared them; rows that never came from a file are missing.
        framework_written: Columns whose current value was written by the framework.
    """

    rows: ControlRows
    declared: ControlRows
    framework_written: frozenset[ColumnId] = frozenset()


@dataclass(frozen=True, slots=True)
class KeptColumn:
    """A value in the table that differs from the file and is kept.

    Attributes:
        id: The column.
        file: The file's value.
        table: The table's value.
        is_framework: True when the framework wrote it, False when a person did.
    """

    id: ColumnId
    file: Any
    table: Any
    is_framework: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of an apply.

    Attributes:
        changes: The changes to write.
        kept: Values that are kept although the files differ.
        orphans: Rows that the files once declared and no longer do; kept without `--prune`.
        conflicts: Columns that both the files and an operator changed; a plan with conflicts must not be applied.
        outcome: All rows after the changes.
        warnings: Data that cannot be read now and that no change touches.
    """

    changes: tuple[RowChange, ...]
    kept: tuple[KeptColumn, ...]
    orphans: tuple[RowId, ...]
    conflicts: tuple[Fault, ...]
    outcome: ControlRows
    warnings: tuple[Fault, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when applying would write nothing."""
        return not self.changes


def make_plan(files: ControlRows, state: ControlState, *, is_complete: bool = True, prune: bool = False) -> Plan:
    """Merge the rows of files into the rows of the tables.

    Args:
        files: The rows of the files with the environment's overrides; `model_fields_set` holds the columns they name.
        state: The state of the control database.
        is_complete: True when `files` holds all declared rows, so that a missing row counts as removed.
        prune: Remove rows that the files once declared and no longer do.

    Returns:
        The plan; when it has conflicts, it must not be applied.
    """
    current = rows_by_id(state.rows)
    base = rows_by_id(state.declared)
    wanted = rows_by_id(files)
    merges = [_Merge(row, base.get(name), current.get(name), state.framework_written) for name, row in wanted.items()]
    changes = [change for merge in merges if (change := merge.change()) is not None]
    orphans = [name for name in current if is_complete and name in base and name not in wanted]
    if prune:
        changes += [RowChange(before=current[name], after=None) for name in orphans]
    return Plan(
        changes=tuple(changes),
        kept=tuple(kept for merge in merges for kept in merge.kept()),
        orphans=() if prune else tuple(orphans),
        conflicts=tuple(fault for merge in merges for fault in merge.conflicts()),
        outcome=with_changes(state.rows, changes),
    )


def all_rows(rows: ControlRows) -> tuple[ControlRow, ...]:
    """Return all rows: sources, pipelines, transformations, which is the order of their references."""
    return (*rows.sources, *rows.pipelines, *rows.transformations)


def rows_by_id(rows: ControlRows) -> dict[RowId, ControlRow]:
    """Return all rows by id, in the order of `all_rows`."""
    return {RowId.of(row): row for row in all_rows(rows)}


def with_changes(rows: ControlRows, changes: Iterable[RowChange]) -> ControlRows:
    """Return the rows after the changes."""
    outcome = rows_by_id(rows)
    for change in changes:
        if change.after is None:
            outcome.pop(change.id, None)
        else:
            outcome[change.id] = change.after
    return collect_rows(outcome.values())


def replaced(row: ControlRow, **values: Any) -> ControlRow:
    """Return a copy of a row with new values, by field name; a new is_active clears deactivated_by and comments."""
    copy = row.model_copy(update=values)
    if isinstance(copy, TransformationRow) and values.keys() & {SWITCH} and not values.keys() & {"deactivated_by"}:
        return copy.model_copy(update={"deactivated_by": None, "comments": None})
    return copy


def find_table(name: str) -> str:
    """Return the control table for `transformation_control`, `transformation` or `transformations`.

    Raises:
        ConfigurationError: When it does not exist.
    """
    tables = [row_type.control_table for row_type in ROW_TYPES]
    for table in tables:
        short = table.removesuffix("_control")
        if name in {table, short, f"{short}s"}:
            return table
    raise ConfigurationError(
        f"There is no control table {name!r}.", did_you_mean(name, tables) or f"Tables are: {', '.join(tables)}."
    )


@dataclass(frozen=True, slots=True)
class _Merge:
    """The merge of one row: file, last applied, table."""

    file: ControlRow
    base: ControlRow | None
    table: ControlRow | None
    framework_written: frozenset[ColumnId]

    def change(self) -> RowChange | None:
        if self.table is None:
            return RowChange(before=None, after=self.file, declared=self.file)
        values = {name: getattr(self.file, name) for name in self._fields() if self._follows_file(name)}
        if not values and self.base is not None and _same(self.file, self.base):
            return None
        after = replaced(self.table, **values) if values else self.table
        return RowChange(before=self.table, after=after, declared=self.file)

    def kept(self) -> list[KeptColumn]:
        if self.table is None:
            return []
        return [
            KeptColumn(self._id(name), _json(self.file, name), _json(self.table, name), self._is_framework(name))
            for name in self._fields()
            if self._differs(name) and not self._follows_file(name) and not self._is_conflict(name)
        ]

    def conflicts(self) -> list[Fault]:
        return [self._conflict(name) for name in self._fields() if self.table is not None and self._is_conflict(name)]

    def _fields(self) -> list[str]:
        row_type = type(self.file)
        skipped = {*row_type.key_columns, *row_type.framework_columns}
        return [name for name, field in row_type.model_fields.items() if (field.alias or name) not in skipped]

    def _id(self, name: str) -> ColumnId:
        return ColumnId(RowId.of(self.file), name)

    def _is_framework(self, name: str) -> bool:
        return self._id(name) in self.framework_written

    def _differs(self, name: str) -> bool:
        return bool(getattr(self.file, name) != getattr(self.table, name))

    def _base_value(self, name: str) -> Any:
        """Return the last applied value; the column's default when the row was never declared."""
        if self.base is not None:
            return getattr(self.base, name)
        return type(self.file).model_fields[name].get_default(call_default_factory=True)

    def _file_changed(self, name: str) -> bool:
        if self.base is None and not self._is_framework(name):
            return True
        return bool(getattr(self.file, name) != self._base_value(name))

    def _table_changed(self, name: str) -> bool:
        if self._is_framework(name):
            return False
        return self.base is None or getattr(self.table, name) != getattr(self.base, name)

    def _follows_file(self, name: str) -> bool:
        # When the file switches off a row that the framework has switched off already, the switch is still written:
        # `heal` must not reactivate the row any more.
        differs = self._differs(name) or (name == SWITCH and self._is_framework(name))
        return differs and self._file_changed(name) and not self._table_changed(name)

    def _is_conflict(self, name: str) -> bool:
        return self._differs(name) and self._file_changed(name) and self._table_changed(name)

    def _conflict(self, name: str) -> Fault:
        table_value = _json(self.table, name)
        was = "never came from a file"
        if self.base is not None:
            was = f"was {_json(self.base, name)!r} when last applied"
        return Fault(
            table=self.file.control_table,
            key=self.file.key,
            column=name,
            value=str(_json(self.file, name)),
            rule="conflict",
            message=f"Both the file and the table changed: the table has {table_value!r}, which {was}.",
            remedy="Write the table's value into the file (`sluice control export`), "
            "or set the table to the file's value (`sluice control set`), then apply again.",
        )


def _stored(row: ControlRow | None) -> dict[str, Any]:
    return {} if row is None else row.model_dump(mode="json", by_alias=True)


def _json(row: ControlRow | None, name: str) -> Any:
    return None if row is None else row.model_dump(mode="json", include={name})[name]


def _same(first: ControlRow, second: ControlRow) -> bool:
    """Tell whether two rows of one table have the same values, explicit or by default."""
    return all(getattr(first, name) == getattr(second, name) for name in type(first).model_fields)
