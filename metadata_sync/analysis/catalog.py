"""The columns of every table, cached: sources from the warehouse, targets from rows or SELECTs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from metadata_sync.analysis.lookups import LookupPlan, plan_lookups
from metadata_sync.analysis.protocols import WarehouseColumns
from metadata_sync.analysis.select_file import read_select
from metadata_sync.errors import SoftRunError
from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import added_columns
from metadata_sync.sql import ParsedSelect, parse_select
from metadata_sync.sql.checks import form_problems
from metadata_sync.sql.columns import width_problems
from metadata_sync.sql.columns_read import columns_read, unreadable_columns


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analysis of a row's SELECT.

    Attributes:
        select: The parsed SELECT, or None when it cannot be read or parsed.
        problems: Problems of its file or form.
        columns: Its output columns with types, from the warehouse; None when they are unknown.
        refusal: Why the warehouse cannot bind it, or None.
    """

    select: ParsedSelect | None
    problems: tuple[Problem, ...]
    columns: tuple[Column, ...] | None = None
    refusal: str | None = None


class Catalog:
    """The columns of every table that rows name.

    Args:
        rows: All rows of the environment.
        project: Where the SELECTs are.
        columns: The warehouse.
    """

    def __init__(self, rows: ControlRows, project: Project, columns: WarehouseColumns) -> None:
        self.rows = rows
        self.dialect = columns.dialect
        self.functions = project.allowed_functions
        self.project = project
        self._columns = columns
        self._sources = {row.name: row for row in rows.sources}
        self._targets = {row.name: row for row in rows.transformations}
        self._source_columns: dict[TableName, tuple[Column, ...] | None] = {}
        self._source_refusals: dict[TableName, str] = {}
        self._analyses: dict[TableName, Analysis] = {}
        self._in_progress: set[TableName] = set()
        self._type_kinds: dict[str, str] = {}

    def look_up(self, sources: Sequence[SourceRow]) -> None:
        """Read the columns of many sources in one query; missing ones are read one by one later."""
        self._source_columns |= self._columns.columns_of_tables(
            [row for row in sources if row.name not in self._source_columns]
        )

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:
        """Return a source's columns, or None: not reachable, or refused (see `source_refusal`)."""
        if source.name not in self._source_columns:
            try:
                self._source_columns[source.name] = self._columns.source_columns(source)
            except ValueError as error:
                self._source_columns[source.name] = None
                self._source_refusals[source.name] = str(error)
        return self._source_columns[source.name]

    def left_out(self, source: SourceRow) -> tuple[str, ...]:
        """Return why files of a lake source are left out; see `WarehouseColumns.left_out`."""
        return () if self.source_columns(source) is None else self._columns.left_out(source)

    def source_refusal(self, source: SourceRow) -> str | None:
        """Return why a source cannot be read, or None."""
        self.source_columns(source)
        return self._source_refusals.get(source.name)

    def table_columns(self, name: TableName) -> tuple[Column, ...] | None:
        """Return all columns of a source or a target, including those that the load adds; None when unknown."""
        target = self._targets.get(name)
        if target is not None:
            columns = self.target_columns(target)
            return None if columns is None else columns + added_columns(target, self.rows, columns)
        source = self._sources.get(name)
        return None if source is None else self.source_columns(source)

    def type_kinds(self, types: Collection[str]) -> Mapping[str, str]:
        """Return what types are that only the warehouse knows; see `WarehouseColumns.type_kinds`."""
        missing = [name for name in types if name not in self._type_kinds]
        if missing:
            self._type_kinds.update(self._columns.type_kinds(missing))
        return self._type_kinds

    def target_columns(self, row: TransformationRow) -> tuple[Column, ...] | None:
        """Return the columns of a row's SELECT: its column list, otherwise the warehouse's answer."""
        return row.column_list or self.analysis(row).columns

    def analysis(self, row: TransformationRow) -> Analysis:
        """Return the analysis of a row's SELECT; the columns of a SELECT in a dependency cycle are unknown."""
        if row.name in self._analyses:
            return self._analyses[row.name]
        if row.name in self._in_progress:
            return Analysis(None, ())
        self._in_progress.add(row.name)
        try:
            self._analyses[row.name] = self._analyse(row)
        except RecursionError:
            remedy = "Split it into common table expressions."
            self._analyses[row.name] = Analysis(None, (Problem("too_deep", "The query is nested too deeply.", remedy),))
        finally:
            self._in_progress.discard(row.name)
        return self._analyses[row.name]

    def known_columns(self, select: ParsedSelect) -> dict[TableName, tuple[str, ...]]:
        """Return the column names of the tables that a SELECT reads, as far as they are known."""
        tables = {name: self.table_columns(name) for name in select.tables}
        return {
            name: tuple(column.name for column in columns) for name, columns in tables.items() if columns is not None
        }

    def lookups(self, row: TransformationRow) -> LookupPlan:
        """Return how a row's SELECT depends on its lookups; nothing is known of a SELECT that cannot be parsed."""
        select = self.analysis(row).select
        if select is None or all(item.driving for item in row.dependencies):
            return LookupPlan()
        return plan_lookups(row, self.rows, select, self.known_columns(select))

    def _analyse(self, row: TransformationRow) -> Analysis:
        text = read_select(row, self.project)
        if isinstance(text, Problem):
            return Analysis(None, (text,))
        select, problems = parse_select(text, self.dialect)
        if select is None or problems:
            return Analysis(select, problems)
        tables = {name: self.table_columns(name) for name in select.tables}
        known = {name: columns for name, columns in tables.items() if columns is not None}
        problems = (
            *form_problems(select, self.functions),
            *width_problems(select, known),
            *unreadable_columns(select, known),
        )
        if problems or len(known) < len(tables):
            return Analysis(select, problems)
        return self._describe(select, known)

    def _describe(self, select: ParsedSelect, known: Mapping[TableName, tuple[Column, ...]]) -> Analysis:
        """Ask the warehouse for the columns of a SELECT that may run there."""
        read = {name: columns_read(select, columns) for name, columns in known.items()}
        try:
            return Analysis(select, (), self._columns.describe(select.text, read))
        except ValueError as error:
            return Analysis(select, (), refusal=str(error))
        except SoftRunError:  # the warehouse cannot be reached now
            return Analysis(select, ())
