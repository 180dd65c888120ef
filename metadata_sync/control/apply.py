"""Change control rows: plan the change, validate its outcome, write it. Files, commands and forms use this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from metadata_sync.analysis.kept_selects import as_if_written, selects_of
from metadata_sync.analysis.protocols import WarehouseColumns
from metadata_sync.control.bundle import bundle_files, read_bundle
from metadata_sync.database import ControlStore, Via
from metadata_sync.errors import ConfigurationError, Fault, MetadataError
from metadata_sync.problems import did_you_mean
from metadata_sync.project import Project
from metadata_sync.rows.merge import (
    SWITCH,
    ColumnId,
    Plan,
    RowChange,
    RowId,
    all_rows,
    make_plan,
    replaced,
    rows_by_id,
    with_changes,
)
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, TransformationRow
from metadata_sync.rows.parsing import column_names, key_of, parse_row
from metadata_sync.rows.vocabulary import DeactivatedBy
from metadata_sync.sync.column_lists import follow_selects
from metadata_sync.validation import find_faults
from metadata_sync.validation.consequences import split_data_faults, without_consequences


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """The context of a change of rows.

    Attributes:
        project: The project with its files.
        store: The control database.
        columns: The columns of the warehouse.
        who: Person or role in whose name the change is recorded.
    """

    project: Project
    store: ControlStore
    columns: WarehouseColumns
    who: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """`COLUMN=VALUE` of a command line.

    Attributes:
        column: Column of the row.
        text: The value as YAML, so that it can be a list, a number or `null`.
    """

    column: str
    text: str

    @classmethod
    def parse(cls, argument: str) -> Assignment:
        """Read `COLUMN=VALUE`.

        Raises:
            ConfigurationError: When there is no `=`.
        """
        column, sign, text = argument.partition("=")
        if not sign:
            raise ConfigurationError(f"{argument!r} is not COLUMN=VALUE.", "Write for example lookback_minutes=30.")
        return cls(column.strip(), text)


def plan_files(context: ChangeContext, files: Sequence[Path] = (), *, prune: bool = False) -> Plan:
    """Plan and validate the application of files; nothing is written.

    Args:
        context: The context of the change.
        files: YAML files or folders of them; all of `dbt_project/control/` by default.
        prune: Remove rows that the files once declared and no longer do.

    Raises:
        ConfigurationError: When a file does not exist, or prune is combined with some of the files.
        MetadataError: With every fault of files, merge and rows.
    """
    bundle = read_bundle(_find(context.project, files), context.store.environment, context.project.root)
    if files and prune:
        raise ConfigurationError(
            "--prune needs all files: it would remove the rows of the other files.", "Run it without file names."
        )
    state = context.store.read_state()
    plan = make_plan(bundle.rows, state, is_complete=not (files or bundle.faults), prune=prune)
    faults = [*bundle.faults, *plan.conflicts]
    warnings: list[Fault] = []
    if faults or not plan.is_empty:
        outcome = follow_selects(plan.outcome, state.framework_written, bundle.rows)
        found, warnings = split_data_faults(
            find_faults(outcome, context.project, context.columns), outcome, {change.id for change in plan.changes}
        )
        faults += without_consequences(found, faults, bundle.unreadable, has_unread_files=bundle.has_unread_files)
    if faults:
        raise MetadataError(bundle.located(faults))
    return replace(plan, warnings=tuple(bundle.located(warnings)))


def apply_plan(context: ChangeContext, plan: Plan, reason: str | None = None) -> None:
    """Write a plan in one transaction.

    Raises:
        StoreError: When a row was changed since the plan was made, or the database refuses.
    """
    if not plan.is_empty:
        selects = selects_of(all_rows(plan.outcome), context.project)
        context.store.write(plan.changes, context.who, Via.APPLY, reason, texts=selects)


def set_values(
    context: ChangeContext, row_id: RowId, assignments: Sequence[Assignment], reason: str | None, via: Via = Via.SET
) -> RowChange:
    """Change columns of one row.

    Args:
        context: The context of the change.
        row_id: The row.
        assignments: The new values.
        reason: Why, for the audit.
        via: How the change is made.

    Returns:
        The change; without columns when the row already had these values.

    Raises:
        MetadataError: With every fault of the values and of the resulting rows; nothing was changed.
    """
    row = find_row(context.store.read_rows(), row_id)
    after, faults = _assign(row, assignments)
    if faults or after is None:
        raise MetadataError(faults)
    return _change(context, RowChange(before=row, after=after), reason, via)


def add_row(
    context: ChangeContext, row_type: type[ControlRow], values: Mapping[str, Any], reason: str | None, via: Via
) -> RowChange:
    """Add one row.

    Args:
        context: The context of the change.
        row_type: The row's type, one per control table.
        values: Column → value; other columns get their defaults.
        reason: Why, for the audit.
        via: How the change is made.

    Raises:
        MetadataError: With every fault of the row and of the resulting rows; nothing was changed.
    """
    row_id = RowId(row_type.control_table, key_of(row_type, values))
    parsed = parse_row(row_type, values, row_id.key)
    faults = list(parsed.faults)
    if row_id in {RowId.of(row) for row in all_rows(context.store.read_rows())}:
        remedy = "Change it with `sluice control set`, or choose another name."
        faults.append(Fault(row_id.table, row_id.key, None, None, "row_exists", "The row already exists.", remedy))
    if faults or parsed.row is None:
        raise MetadataError(faults)
    return _change(context, RowChange(before=None, after=parsed.row), reason, via)


def switch(context: ChangeContext, key: str, reason: str | None, *, is_active: bool) -> RowChange:
    """Activate or deactivate a transformation or a pipeline.

    Args:
        context: The context of the change.
        key: `schema.table` of a target, or a pipeline's id.
        reason: Why, for the audit; for a deactivated transformation also written to `comments`.
        is_active: On or off.

    Raises:
        MetadataError: When there is no such row, or the change would cause faults; nothing was changed.
    """
    rows = context.store.read_rows()
    table = TransformationRow.control_table if "." in key else PipelineRow.control_table
    row = find_row(rows, RowId(table, key))
    via = Via.ACTIVATE if is_active else Via.DEACTIVATE
    return _change(context, RowChange(before=row, after=_switch(row, reason, is_active=is_active)), reason, via)


def find_row(rows: ControlRows, row_id: RowId) -> ControlRow:
    """Return a row.

    Raises:
        MetadataError: When it does not exist.
    """
    found = rows_by_id(rows)
    if row_id in found:
        return found[row_id]
    known = [other.key for other in found if other.table == row_id.table]
    remedy = did_you_mean(row_id.key, known) or f"`sluice control list {row_id.table}` shows what there is."
    fault = Fault(row_id.table, row_id.key, None, None, "unknown_row", "There is no such row.", remedy)
    raise MetadataError([fault])


def _find(project: Project, files: Sequence[Path]) -> list[Path]:
    if not files:
        return list(bundle_files(project.control_dir, project.root))
    found: list[Path] = []
    for path in files:
        if path.is_dir():
            found += bundle_files(path, path)
        elif path.is_file():
            found.append(path)
        else:
            raise ConfigurationError(f"There is no file {path}.", "Name YAML files, or none for dbt_project/control/.")
    return list(dict.fromkeys(path.resolve() for path in found))


def _assign(row: ControlRow, assignments: Sequence[Assignment]) -> tuple[ControlRow | None, list[Fault]]:
    row_type = type(row)
    refused = {*row_type.key_columns, *row_type.framework_columns}
    settable = [name for name in column_names(row_type) if name not in refused]
    faults = [
        Fault(
            table=row.control_table,
            key=row.key,
            column=item.column,
            value=None,
            rule="read_only_column",
            message="The column is part of the key, or only the framework writes it.",
            remedy=f"Columns that can be set: {', '.join(settable)}.",
        )
        for item in assignments
        if item.column in refused
    ]
    stored = row.model_dump(mode="json", by_alias=True)
    values = {item.column: _value(row_type, stored, item) for item in assignments if item.column not in refused}
    parsed = parse_row(row_type, {**stored, **values}, row.key)
    faults += parsed.faults
    if faults or parsed.row is None:
        return None, faults
    if values.get(SWITCH, stored.get(SWITCH)) != stored.get(SWITCH):
        return _switch(parsed.row, None, is_active=bool(values[SWITCH])), []
    return parsed.row, []


def _value(row_type: type[ControlRow], stored: Mapping[str, Any], item: Assignment) -> Any:
    """Return the value of an assignment: YAML, unless only the plain text fits (`owner=123`, `schedule=@daily`)."""
    try:
        value = yaml.safe_load(item.text)
    except (yaml.YAMLError, ValueError):
        return item.text
    if isinstance(value, str) or not parse_row(row_type, {**stored, item.column: value}, "").faults:
        return value
    fits_as_text = not parse_row(row_type, {**stored, item.column: item.text}, "").faults
    return item.text if fits_as_text else value


def _switch(row: ControlRow, reason: str | None, *, is_active: bool) -> ControlRow:
    if not isinstance(row, TransformationRow) or is_active:
        return replaced(row, is_active=is_active)
    return replaced(row, is_active=False, deactivated_by=DeactivatedBy.OPERATOR, comments=reason)


def _change(context: ChangeContext, change: RowChange, reason: str | None, via: Via) -> RowChange:
    if change.columns:
        # Deactivating must work even when other rows have faults.
        if via is not Via.DEACTIVATE:
            refuse_new_faults(context, [change])
        selects = selects_of([] if change.after is None else [change.after], context.project)
        context.store.write([change], context.who, via, reason, texts=selects)
    return change


def refuse_new_faults(
    context: ChangeContext, changes: Sequence[RowChange], selects: Mapping[str, str] | None = None
) -> None:
    """Refuse changes that cause new faults. Existing faults do not block them: rows can be corrected one by one.

    Args:
        context: The context of the changes.
        changes: Of rows.
        selects: SELECTs that their files are to have, by `sql_path`; by default they stay as they are.

    Raises:
        MetadataError: With the faults that the rows do not have now.
    """
    rows = context.store.read_rows()
    written, declared = context.store.framework_written(rows), context.store.declared()
    touched = {ColumnId(change.id, "column_list") for change in changes}
    after = follow_selects(with_changes(rows, changes), written - touched, declared)
    with as_if_written(selects, after, context.project) if selects else nullcontext(context.project) as project:
        found = find_faults(after, project, context.columns)
    if found:
        existing = set(find_faults(follow_selects(rows, written, declared), context.project, context.columns))
        new = [fault for fault in found if fault not in existing]
        if new:
            raise MetadataError(new)
