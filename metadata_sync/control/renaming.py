"""Rename a target in control rows: its own key, the dependencies that read it, the data tests that name it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from metadata_sync.analysis.declared_tests import OWN_TESTS, Signature
from metadata_sync.rows.merge import ControlState, RowChange, RowId
from metadata_sync.rows.model import Column, ControlRows, Dependency, TransformationRow
from metadata_sync.rows.names import TableName


@dataclass(frozen=True, slots=True)
class Renaming:
    """A target's old and new name.

    Attributes:
        old: The target as rows name it.
        new: Its new name.
        table_arguments: (data test, argument) of every argument that names a table.
    """

    old: TableName
    new: TableName
    table_arguments: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, old: TableName, new: TableName, declared_tests: Mapping[str, Signature]) -> Renaming:
        """Return the renaming for a project that declares these data tests."""
        pairs = (
            (test, name)
            for test, signature in {**declared_tests, **OWN_TESTS}.items()
            for name, argument in signature.arguments.items()
            if argument.kind == "table"
        )
        return cls(old, new, frozenset(pairs))

    def name(self, value: Any) -> Any:
        """Return the new name for the old one, also in a list of tables; any other value as it is."""
        if isinstance(value, list):
            return [self.name(item) for item in value]
        return str(self.new) if value == str(self.old) else value

    def test(self, test: Any) -> Any:
        """Return a data test of a column with its tables renamed."""
        if not isinstance(test, Mapping) or len(test) != 1:
            return test
        name, given = next(iter(test.items()))
        if not isinstance(given, Mapping):
            return test
        renamed = self._arguments(name, given)
        if isinstance(given.get("arguments"), Mapping):
            renamed["arguments"] = self._arguments(name, given["arguments"])
        return {name: renamed}

    def row(self, row: TransformationRow) -> TransformationRow:
        """Return a row with every mention renamed; the row itself when it has none."""
        values: dict[str, Any] = {}
        if row.name == self.old:
            values |= {"target_schema": self.new.schema, "target_table": self.new.table}
        dependencies = tuple(self._dependency(item) for item in row.dependencies)
        if dependencies != row.dependencies:
            values["dependencies"] = dependencies
        columns = tuple(self._column(item) for item in row.column_list)
        if columns != row.column_list:
            values["column_list"] = columns
        if row.copied == str(self.old):
            values["copied"] = str(self.new)
        return row.model_copy(update=values) if values else row

    def names_target(self, row: TransformationRow) -> bool:
        """Tell whether a row names the target, old or new: its own, or one that reads or tests it."""
        back = Renaming(self.new, self.old, self.table_arguments)
        return self.row(row) is not row or back.row(row) is not row

    def _arguments(self, test: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self.name(value) if (test, key) in self.table_arguments else value for key, value in given.items()}

    def _dependency(self, item: Dependency) -> Dependency:
        return item.model_copy(update={"table": str(self.new)}) if item.table == str(self.old) else item

    def _column(self, item: Column) -> Column:
        tests = tuple(self.test(test) for test in item.tests)
        return item.model_copy(update={"tests": tests}) if tests != item.tests else item


def plan_rows(state: ControlState, renaming: Renaming) -> tuple[tuple[RowChange, ...], tuple[RowChange, ...]]:
    """Plan the changes of rows.

    When a row of the new name exists already, because the files were applied first, that of the old name is removed.

    Args:
        state: The state of the control database.
        renaming: Old and new name.

    Returns:
        The changes; and the columns of the renamed row that the framework wrote, as changes from their defaults.
    """
    declared = {row.name: row for row in state.declared.transformations}
    is_applied = state.rows.transformation(renaming.new) is not None
    changes: list[RowChange] = []
    kept: list[RowChange] = []
    for row in state.rows.transformations:
        base = declared.get(row.name)
        after = renaming.row(row)
        if row.name == renaming.old:
            changes.append(RowChange(before=row, after=None))
            if not is_applied:
                changes.append(
                    RowChange(before=None, after=after, declared=None if base is None else renaming.row(base))
                )
                kept += _framework_written(state, row, after)
        elif after is not row:
            changes.append(RowChange(before=row, after=after, declared=None if base is None else renaming.row(base)))
    return tuple(changes), tuple(kept)


def _framework_written(state: ControlState, row: TransformationRow, after: TransformationRow) -> list[RowChange]:
    columns = {item.column for item in state.framework_written if item.row == RowId.of(row)}
    fields = type(row).model_fields
    defaults = {name: fields[name].get_default(call_default_factory=True) for name in columns}
    return [RowChange(before=after.model_copy(update=defaults), after=after)] if defaults else []


def readers_of(rows: ControlRows, tables: Collection[TableName]) -> tuple[TransformationRow, ...]:
    """Return the rows whose SELECTs read one of the tables."""
    names = {str(name) for name in tables}
    return tuple(row for row in rows.transformations if names & {item.table for item in row.dependencies})
