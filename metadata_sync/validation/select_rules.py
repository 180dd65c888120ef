"""What a SELECT must do for its row: read what is declared, yield what is named, suit its increment mode."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from sqlglot import exp

from metadata_sync.analysis.catalog import Analysis, Catalog
from metadata_sync.analysis.data_tests import TestScope
from metadata_sync.analysis.declared_tests import read_declared_tests
from metadata_sync.analysis.groups import with_groups
from metadata_sync.analysis.lookups import lookup_problems
from metadata_sync.analysis.spark import spark_problems
from metadata_sync.analysis.text_copies import TEXT_FORMATS
from metadata_sync.errors import Fault
from metadata_sync.problems import Problem, did_you_mean, listed
from metadata_sync.rows.lookups import split_pair
from metadata_sync.rows.model import Column, Dependency, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName, is_column_name, is_expression
from metadata_sync.rows.parsing import shown
from metadata_sync.rows.resolve import (
    LOADED_AT,
    RESERVED_PREFIX,
    VERSION_COLUMNS,
    ResolvedDependency,
    file_identity,
    is_active,
    recompute_columns,
    resolve_dependencies,
    sequence_columns,
    window_key,
)
from metadata_sync.rows.vocabulary import Engine, Increment, LoadType, OnRemovedFiles, SourceKind
from metadata_sync.sql.columns import output_columns
from metadata_sync.sql.expressions import delete_when_problems, group_expression_problems
from metadata_sync.sql.increments import IncrementRule, increment_problems
from metadata_sync.sql.increments.rule import group_columns
from metadata_sync.sql.probes import parse_probe
from metadata_sync.validation.column_rules import column_faults
from metadata_sync.validation.type_rules import type_faults


def select_faults(catalog: Catalog, only: Collection[TableName] | None = None) -> tuple[Fault, ...]:
    """Find what is wrong with the rows' SELECTs and with the sources they read.

    Args:
        catalog: Rows, files and the warehouse's columns.
        only: Targets to look at; all by default.
    """
    checked = [row for row in catalog.rows.transformations if only is None or row.name in only]
    found = [*_probe_faults(catalog), *_source_faults(catalog, checked)]
    declared = read_declared_tests(catalog.project)
    for row in checked:
        found.extend(column_faults(TestScope(row, catalog.rows, catalog.dialect, declared, catalog.functions)))
        found.extend(_faults_of(row, catalog))
    return tuple(dict.fromkeys(found))


def _probe_faults(catalog: Catalog) -> Iterator[Fault]:
    """Look at the probes of all sources: the gate runs them before any SELECT."""
    for source in catalog.rows.sources:
        if source.probe is None or source.kind is not SourceKind.WAREHOUSE:
            continue
        _, problems = parse_probe(source.probe, catalog.dialect, source.tables, catalog.functions)
        for problem in problems:
            value = shown(source.probe)
            yield Fault(source.control_table, source.key, "probe", value, problem.rule, problem.message, problem.remedy)


def _source_faults(catalog: Catalog, checked: Iterable[TransformationRow]) -> Iterator[Fault]:
    """Look at the sources that active rows read: can they be read, do they have their key."""
    active = [row for row in checked if is_active(row, catalog.rows)]
    read = {item.name for row in active for item in resolve_dependencies(row, catalog.rows) if not item.is_managed}
    sources = [source for source in catalog.rows.sources if source.name in read]
    catalog.look_up(sources)
    for source in sources:
        is_known = source.format in (None, "parquet", *TEXT_FORMATS) or source.catalog_table is not None
        if catalog.dialect == "duckdb" and not is_known:
            message = f"DuckDB would read the files of a {source.format} table, old ones included."
            remedy = "Land it as Parquet, or read it from Redshift and Spark."
            if source.format == "iceberg":
                remedy = "Set catalog_table to catalog.namespace.table: the catalog knows the current snapshot."
            yield Fault(source.control_table, source.key, "format", source.format, "lake_format", message, remedy)
            continue
        if catalog.dialect != "duckdb" and source.format in TEXT_FORMATS:
            message = (
                f"{'Redshift' if catalog.dialect == 'redshift' else 'PostgreSQL'} does not read {source.format} files."
            )
            remedy = "Land it as Parquet behind an external table, load it as a table (kind: warehouse), or use DuckDB."
            yield Fault(source.control_table, source.key, "format", source.format, "lake_format", message, remedy)
            continue
        if catalog.dialect != "duckdb" and source.file_column is not None:
            message = "Only DuckDB yields the file of each row."
            remedy = 'Leave it out; on Redshift, an external table has the pseudo column "$path".'
            yield Fault(
                source.control_table, source.key, "file_column", source.file_column, "file_column", message, remedy
            )
        if catalog.dialect != "duckdb" and source.on_removed_files is OnRemovedFiles.REMOVE:
            message = "Only loads on DuckDB know which files a target has read."
            remedy = "Use on_removed_files: keep, or read the source with increment: full."
            value = source.on_removed_files.value
            yield Fault(source.control_table, source.key, "on_removed_files", value, "removed_files", message, remedy)
        refusal = catalog.source_refusal(source)
        if refusal is not None:
            value = source.location if source.location else str(source.name)
            column = "location" if source.location else None
            remedy = "Land the data, or correct the row."
            yield Fault(source.control_table, source.key, column, value, "source_unreadable", f"{refusal}.", remedy)
        columns = catalog.source_columns(source)
        key = source.incremental_key
        if columns is not None and key is not None and key not in _names(columns):
            yield _missing_in_source(source, "incremental_key", key, source.name, _names(columns))


def _missing_in_source(
    row: SourceRow | TransformationRow, column: str, value: str, table: TableName, known: Collection[str]
) -> Fault:
    remedy = did_you_mean(value, [name for name in known if is_column_name(name)]) or "Name one of its columns."
    same = next((name for name in known if name.lower() == value.lower()), None)
    if same is not None:
        remedy = f"Write {same}, as the warehouse spells it."
    message = f"Is not a column of {table} (has: {listed(known)})."
    return Fault(row.control_table, row.key, column, value, "unknown_column", message, remedy)


def _expression_remedy(name: str, expression: str, table: TableName) -> str:
    return (
        f"{name} is the SELECT's name for {expression}: write what it is over the columns of {table} "
        f"in recompute_by, and recompute_key: [{name}]."
    )


def _names(columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def _faults_of(row: TransformationRow, catalog: Catalog) -> list[Fault]:
    """Return every fault of a row's SELECT; a query that is nested too deeply for one of the rules has that one."""
    try:
        return [*_Checked(with_groups(row, catalog), catalog).faults()]
    except RecursionError:
        remedy = "Split it into common table expressions."
        return [_Checked(row, catalog).fault(Problem("too_deep", "The query is nested too deeply.", remedy))]


_KIND_OF_ERROR: Final = re.compile(r"\A(Binder|Catalog|Parser|Conversion) Error: |\AERROR: +")
_REMEDY: Final = "Correct its name, or the alias before it."
_REFUSALS: Final = (
    (
        re.compile(r'Table "(\w+)" does not have a column named "([^"]+)"'),
        r"It reads column \2 of \1, which does not exist.",
        _REMEDY,
    ),
    (
        re.compile(r'Referenced column "([^"]+)" (?:was )?not found'),
        r"It reads column \1, which none of its tables has.",
        _REMEDY,
    ),
    (re.compile(r'column "?([\w.]+)"? does not exist'), r"It reads column \1, which does not exist.", _REMEDY),
    (
        re.compile(r'Referenced table "(\w+)" not found|missing FROM-clause entry for table "(\w+)"'),
        r"It reads columns of \1\2, which no table or alias of FROM is called.",
        "Correct the alias before the column, or add the table.",
    ),
    (
        re.compile(r'Ambiguous reference to column name "([^"]+)"|column reference "([^"]+)" is ambiguous'),
        r"Column \1\2 is in several of its tables.",
        "Write the alias of its table before it.",
    ),
    (
        re.compile(r'column "([^"]+)" must appear in the GROUP BY clause'),
        r"Column \1 is neither in GROUP BY nor in an aggregate.",
        "Add it to GROUP BY, or aggregate it.",
    ),
)
"""How DuckDB and PostgreSQL refuse a SELECT, and the same for people."""


def binding_problem(refusal: str) -> Problem:
    """Return the problem of a SELECT that the warehouse cannot bind.

    Args:
        refusal: Why, in the words of the warehouse.
    """
    for pattern, message, remedy in _REFUSALS:
        found = pattern.search(refusal)
        if found:
            return Problem("bind", found.expand(message), found.expand(remedy))
    reason = _KIND_OF_ERROR.sub("", refusal).rstrip(".")
    return Problem("bind", f"The warehouse refuses the SELECT: {reason}.", "Correct the SELECT.")


@dataclass(frozen=True)
class _Checked:
    """One row and what is known around it."""

    row: TransformationRow
    catalog: Catalog

    @cached_property
    def analysis(self) -> Analysis:
        return self.catalog.analysis(self.row)

    @cached_property
    def dependencies(self) -> tuple[ResolvedDependency, ...]:
        return resolve_dependencies(self.row, self.catalog.rows)

    def fault(self, problem: Problem, column: str = "sql_path", value: str | None = None) -> Fault:
        column = self.row.select_column if column == "sql_path" else column
        shown = value or (self.row.select_origin if column == self.row.select_column else problem.value)
        return Fault(self.row.control_table, self.row.key, column, shown, problem.rule, problem.message, problem.remedy)

    def faults(self) -> Iterator[Fault]:
        """Yield every fault of the SELECT."""
        for problem in self.analysis.problems:
            yield self.fault(problem)
        if self.analysis.select is None:
            return
        yield from self._dependency_faults()
        expression_faults = [*self._group_expression_faults()]
        yield from expression_faults or self._source_column_faults()
        if self.analysis.problems:
            return
        if not expression_faults:
            yield from self._increment_faults()
        for table, problem in lookup_problems(self.row, self.catalog.rows, self.catalog.lookups(self.row)):
            yield self.fault(problem, "dependencies", table)
        yield from self._output_faults()

    def _output_faults(self) -> Iterator[Fault]:
        """Look at what the SELECT yields: names, types, `delete_when`."""
        names, problems = self._output_names()
        for problem in problems:
            yield self.fault(problem)
        if self.analysis.refusal is not None and not problems and is_active(self.row, self.catalog.rows):
            yield self.fault(binding_problem(self.analysis.refusal))
        if names is not None:
            yield from self._column_faults(names)
            yield from type_faults(self.row, self.catalog)
            yield from self._spark_faults()
        if self.row.delete_when is not None:
            for problem in delete_when_problems(
                self.row.delete_when, self.catalog.dialect, names, self.catalog.functions
            ):
                yield self.fault(problem, "delete_when", self.row.delete_when)

    def _dependency_faults(self) -> Iterator[Fault]:
        select = self.analysis.select
        assert select is not None
        declared = {item.table for item in self.row.dependencies}
        read = {str(name) for name in select.tables}
        for table in sorted(read - declared):
            line = next(item.line for item in select.reads if str(item.name) == table)
            message = f"The SELECT reads {table} (line {line}), which the row does not declare."
            remedy = did_you_mean(table, declared - read) or f"Add {{table: {table}, driving: …}} to its dependencies."
            yield self.fault(Problem("undeclared_dependency", message, remedy, table), "dependencies")
        for table in sorted(declared - read):
            message = f"The row declares {table}, which the SELECT does not read (reads: {listed(sorted(read))})."
            yield self.fault(Problem("unread_dependency", message, "Remove it, or read it.", table), "dependencies")

    def _source_column_faults(self) -> Iterator[Fault]:
        """Incremental key and recompute_by must be columns of the tables they cut."""
        if not is_active(self.row, self.catalog.rows):
            return
        for item in self.dependencies:
            columns = self.catalog.table_columns(item.name) if item.is_watched else None
            if columns is None:
                continue
            known = _names(columns)
            declared = next(entry for entry in self.row.dependencies if entry.table == str(item.name))
            named = [
                name
                for text in item.recompute_by
                for name in ([text] if not is_expression(text) else sorted(group_columns(text, self.catalog.dialect)))
            ]
            wanted = [("dependencies", name) for name in (*named, *self._restating_columns(declared))]
            if not item.is_managed and (declared.incremental_key or self.row.incremental_key):
                column = "dependencies" if declared.incremental_key else "incremental_key"
                wanted.append((column, item.incremental_key or ""))
            for column, name in wanted:
                if name not in known:
                    fault = _missing_in_source(self.row, column, name, item.name, known)
                    alias = self._aliased(name) if name in item.recompute_by else None
                    yield fault if alias is None else replace(fault, remedy=_expression_remedy(name, alias, item.name))

    def _aliased(self, name: str) -> str | None:
        """Return the expression that the SELECT calls by a name, at its top or in a common table expression."""
        assert self.analysis.select is not None
        tree = self.analysis.select.tree
        found = next((item for item in tree.find_all(exp.Alias) if item.alias.lower() == name.lower()), None)
        return None if found is None else found.this.sql(self.catalog.dialect, comments=False)

    def _restating_columns(self, dependency: Dependency) -> Iterator[str]:
        """Yield the columns of a table that `restate_by` names."""
        for item in self.row.dependencies:
            for left, right in map(split_pair, item.restate_by):
                if dependency.driving or item is dependency:
                    yield left if dependency.driving else right

    def _group_expression_faults(self) -> Iterator[Fault]:
        for item in self.dependencies:
            for text in filter(is_expression, item.recompute_by):
                for problem in group_expression_problems(text, self.catalog.dialect, self.catalog.functions):
                    yield self.fault(problem, "dependencies")

    def _increment_faults(self) -> Iterator[Fault]:
        if self.row.increment_checked:
            return
        assert self.analysis.select is not None
        if self.row.increment is Increment.GROUPS and any(self._source_column_faults()):
            return
        for problem in increment_problems(self.analysis.select, self._increment_rule()):
            where = f"{self.row.select_origin}, {problem.message[:1].lower()}{problem.message[1:]}"
            yield self.fault(replace(problem, message=where), "increment")

    def _increment_rule(self) -> IncrementRule:
        assert self.analysis.select is not None
        tables = {name: self.catalog.table_columns(name) for name in self.analysis.select.tables}
        is_range = self.row.load_type is LoadType.APPEND and not self.row.business_key
        return IncrementRule(
            increment=self.row.increment,
            driving={item.name: item.recompute_by for item in self.dependencies if item.is_driving},
            output_group=recompute_columns(self.row),
            is_keyed=bool(self.row.business_key),
            range_key=self._range_key() if is_range else None,
            columns={name: _names(columns) for name, columns in tables.items() if columns is not None},
            dialect=self.catalog.dialect,
            team_functions=self.catalog.functions,
        )

    def _range_key(self) -> str | None:
        """Return the column that says which rows a load replaces: the incremental key, or that of the file."""
        return window_key(self.row, self.catalog.rows) or file_identity(self.row, self.catalog.rows)

    def _output_names(self) -> tuple[tuple[str, ...] | None, tuple[Problem, ...]]:
        assert self.analysis.select is not None
        tables = {name: self.catalog.table_columns(name) for name in self.analysis.select.tables}
        known = {name: _names(columns) for name, columns in tables.items() if columns is not None}
        names, problems = output_columns(self.analysis.select, known)
        if self.analysis.columns is not None and not problems:
            return _names(self.analysis.columns), ()
        return names, problems

    def _column_faults(self, names: tuple[str, ...]) -> Iterator[Fault]:
        for column in ("business_key", "sequence_by", "scd_columns", "recompute_key"):
            yield from self._missing(column, getattr(self.row, column), names)
        if not self.row.recompute_key:
            yield from self._missing("recompute_key", recompute_columns(self.row), names)
        reserved = [name for name in names if name.startswith(RESERVED_PREFIX)]
        if self.row.load_type is LoadType.SCD2:
            reserved += [name for name in names if name in VERSION_COLUMNS]
        for name in reserved:
            message = f"The SELECT yields {name}, a column that Sluice adds itself."
            yield self.fault(Problem("reserved_column", message, "Give it another name with AS.", name))
        yield from self._column_list_faults(names)
        yield from self._order_faults(names)

    def _missing(self, column: str, wanted: Iterable[str], names: tuple[str, ...]) -> Iterator[Fault]:
        for name in wanted:
            if name not in names:
                message = f"The SELECT does not yield {name} (yields: {listed(names)})."
                remedy = did_you_mean(name, names) or "Add it to the SELECT, or name another column."
                yield self.fault(Problem("unknown_column", message, remedy, name), column)

    def _column_list_faults(self, names: tuple[str, ...]) -> Iterator[Fault]:
        declared = _names(self.row.column_list)
        if not declared or declared == names:
            return
        extra = [name for name in names if name not in declared]
        for name in extra:
            remedy = did_you_mean(name, set(declared) - set(names)) or (
                f"Add it with its type, or have the list taken from the SELECT anew: sluice control set transformation "
                f"{self.row.key} 'column_list=[]'."
            )
            message = f"The SELECT yields {name}, which the column list does not hold."
            yield self.fault(Problem("column_list", message, remedy, name), "column_list")
        yield from self._missing("column_list", declared, names)
        if not extra and set(declared) == set(names):
            message = f"The SELECT yields its columns in another order: {listed(names)}."
            yield self.fault(Problem("column_list", message, "Put the column list into that order."), "column_list")

    def _spark_faults(self) -> Iterator[Fault]:
        """What a pipeline sends to Spark must be able to run there; output_path is asked for by the row's own rule."""
        pipeline = self.catalog.rows.pipeline(self.row.pipeline_id)
        if pipeline is None or pipeline.engine is not Engine.SPARK or not is_active(self.row, self.catalog.rows):
            return
        for problem in spark_problems(self.row, self.catalog):
            if problem.rule != "missing_value":
                yield self.fault(problem)

    def _order_faults(self, names: tuple[str, ...]) -> Iterator[Fault]:
        """Rows that are read one by one must say when they happened; keyless ones, which range they belong to."""
        key = self._range_key()
        is_keyless = self.row.load_type is LoadType.APPEND and not self.row.business_key
        if is_keyless and self.row.increment is Increment.ROWS:
            if key is None or key not in names:
                kind = "file column" if window_key(self.row, self.catalog.rows) is None and key else "incremental key"
                message = f"An append without business_key must yield its {kind} ({key or 'none is set'})."
                remedy = (
                    "Set business_key." if key == LOADED_AT else "Yield it under its own name, or set business_key."
                )
                yield self.fault(Problem("keyless_append", message, remedy, key), "business_key")
        elif self.row.increment is Increment.ROWS and not sequence_columns(self.row, self.catalog.rows, names):
            message = f"The SELECT yields nothing that orders a key's events: no sequence_by, and not {key or 'a key'}."
            remedy = "Yield the incremental key, or name an output column in sequence_by; else use increment: full."
            yield self.fault(Problem("no_sequence", message, remedy), "sequence_by")
