"""Translate a row's SELECT to Spark, or return why the row cannot run there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.text_copies import is_text
from metadata_sync.problems import Problem
from metadata_sync.rows.model import Column, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName, is_expression
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import Increment, SourceKind
from metadata_sync.sql.spark import Cut, group_types, spark_select, spark_type, touched_groups, view_name

_IN_WAREHOUSE = "Use engine: warehouse, or a pipeline of its own."


@dataclass(frozen=True, slots=True)
class SparkGroups:
    """The groups that a load recomputes; Spark writes them too, so that the load can close rows that left them.

    Attributes:
        sql: Spark SQL that yields them.
        columns: Name, Spark type and the warehouse's type of each column, in order.
    """

    sql: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class SparkSelect:
    """A row's SELECT as Spark runs it.

    Attributes:
        sql: Spark SQL over one view per source.
        sources: What it reads.
        columns: Name and Spark type of each column of the result, in order.
        groups: The groups that are recomputed; None unless `increment: groups` with a window.
        schemas: Name and Spark type of each source's columns, by view: what the translation takes them for.
    """

    sql: str
    sources: tuple[SourceRow, ...]
    columns: tuple[tuple[str, str], ...]
    groups: SparkGroups | None = None
    schemas: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


def spark_problems(row: TransformationRow, catalog: Catalog) -> tuple[Problem, ...]:
    """Return everything that prevents a row from running on Spark; empty when it can.

    Args:
        row: The transformation.
        catalog: The catalog of tables and columns.
    """
    found = tuple(_row_problems(row, catalog))
    if found:
        return found
    translated = translate(row, catalog, {})
    return () if isinstance(translated, SparkSelect) else translated


def translate(
    row: TransformationRow, catalog: Catalog, cuts: Mapping[TableName, Cut]
) -> SparkSelect | tuple[Problem, ...]:
    """Translate a row's SELECT to Spark.

    Args:
        row: A row without `spark_problems`.
        catalog: The catalog of tables and columns.
        cuts: Windows of driving sources; other sources are read in full.

    Returns:
        The SELECT, or the problems of the translation.
    """
    analysis = catalog.analysis(row)
    if analysis.select is None or analysis.problems:
        return analysis.problems or (Problem("spark_select", "It has no SELECT.", "Correct sql_path."),)
    listed: dict[TableName, dict[str, str]] = {}
    for name in analysis.select.tables:
        columns = catalog.table_columns(name)
        if columns is None:
            return (Problem("spark_select", f"The columns of {name} are not known now.", "Land its data first."),)
        listed[name] = {column.name: column.type for column in columns}
    group_problems = tuple(_group_problems(row, catalog, listed))
    targets = catalog.target_columns(row) or ()
    odd = [column for column in targets if spark_type(column.type, catalog.dialect) is None]
    outputs = {column.name: column.type for column in targets if column not in odd}
    sql, problems = spark_select(analysis.select, listed, cuts, outputs)
    if sql is None or group_problems:
        return problems + group_problems
    if odd or not targets:
        return tuple(_no_type(column) for column in odd) or (
            Problem("spark_select", "Its columns are not known yet.", "Run `sluice sync` first."),
        )
    sources = tuple(source for name in listed if (source := catalog.rows.source(name)) is not None)
    written = _typed(outputs, catalog.dialect)
    schemas = {view_name(name): _typed(columns, catalog.dialect) for name, columns in listed.items()}
    return SparkSelect(sql, sources, written, _groups(cuts, listed, catalog.dialect), schemas)


def _typed(columns: Mapping[str, str], dialect: str) -> tuple[tuple[str, str], ...]:
    """Return columns with their Spark types; those that Spark does not have are left out."""
    kinds = [(name, spark_type(type_, dialect)) for name, type_ in columns.items()]
    return tuple((name, kind) for name, kind in kinds if kind is not None)


def _groups(
    cuts: Mapping[TableName, Cut], listed: Mapping[TableName, Mapping[str, str]], dialect: str
) -> SparkGroups | None:
    touched = touched_groups(cuts, listed, dialect)
    if touched is None:
        return None
    name, cut = next((name, cut) for name, cut in cuts.items() if cut.group)
    spark_types = group_types(name, cut.group, listed, dialect)
    names = [f"sluice_group_{place}" for place in range(1, len(spark_types) + 1)]
    kinds = [_warehouse_type(kind) for kind in spark_types]
    return SparkGroups(touched.sql("spark"), tuple(zip(names, spark_types, kinds, strict=True)))


def _warehouse_type(spark_type_: str) -> str:
    """Return a type, valid in every warehouse, that holds all values of a Spark type."""
    plain = {"STRING": "varchar(65535)", "TIMESTAMP_NTZ": "timestamp", "TIMESTAMP_LTZ": "timestamptz"}
    plain |= {"INT": "integer", "DOUBLE": "double precision", "FLOAT": "real", "TINYINT": "smallint"}
    return plain.get(spark_type_, spark_type_.lower())


def _row_problems(row: TransformationRow, catalog: Catalog) -> Iterator[Problem]:
    if catalog.dialect == "postgres":
        yield Problem("spark_warehouse", "PostgreSQL cannot read the results of Spark.", "Use engine: warehouse.")
    if row.output_path is None:
        message = "Spark needs a folder for its result."
        yield Problem("missing_value", message, "Set output_path to an s3:// URI, or to a path below the project.")
    for item in resolve_dependencies(row, catalog.rows):
        if item.restates and row.increment is not Increment.FULL:
            message = f"A change of {item.name} derives rows again, which Spark does not do."
            yield Problem("restate_on_spark", message, _IN_WAREHOUSE, "dependencies")
        if item.removes_files and row.increment is Increment.GROUPS:
            message = f"Spark does not compute the groups of removed files of {item.name}."
            yield Problem("removed_files_on_spark", message, _IN_WAREHOUSE, "dependencies")
        source = catalog.rows.source(item.name)
        if source is not None and source.catalog_table is not None:
            message = f"Spark reads {item.name} as it is, and not by the files that its snapshots added."
            yield Problem("iceberg_on_spark", message, f"{_IN_WAREHOUSE} Or leave catalog_table out.", "dependencies")
        if item.file_column is not None:
            message = f"Spark does not know {item.file_column}, the file of a row of {item.name}."
            yield Problem("file_column_on_spark", message, _IN_WAREHOUSE, "dependencies")
        if item.is_managed or source is None or source.kind is not SourceKind.LAKE:
            yield Problem("spark_source", f"{item.name} is in the warehouse, which Spark cannot read.", _IN_WAREHOUSE)
        elif is_text(source):
            yield from _text_problems(source, catalog.dialect)


def _text_problems(source: SourceRow, dialect: str) -> Iterator[Problem]:
    """Find what Spark cannot read of a text source as DuckDB does: it reads the Parquet copies of the files."""
    if dialect != "duckdb":
        message = f"Spark reads {source.key} from copies that Sluice makes for DuckDB alone."
        yield Problem("spark_text", message, f"{_IN_WAREHOUSE} Or land it as Parquet.")
    if not source.columns:
        message = f"Spark reads {source.key} with declared columns only: found types may differ from file to file."
        remedy = f"Set columns in source_control[{source.key}], or use engine: warehouse."
        yield Problem("spark_text", message, remedy)
    for column in source.columns:
        if spark_type(column.type, "duckdb") is None:
            message = f"Spark has no type for {column.name} {column.type} of {source.key}."
            yield Problem("spark_text", message, _IN_WAREHOUSE)


def _group_problems(
    row: TransformationRow, catalog: Catalog, listed: Mapping[TableName, Mapping[str, str]]
) -> Iterator[Problem]:
    """Check that the group columns of all driving sources have the same types, because the groups are combined."""
    if row.increment is not Increment.GROUPS:
        return
    driving = [item for item in resolve_dependencies(row, catalog.rows) if item.is_driving]
    if any(is_expression(text) for item in driving for text in item.recompute_by):
        yield Problem("spark_group", "recompute_by holds an expression.", _IN_WAREHOUSE, "dependencies")
        return
    try:
        kinds = {str(item.name): group_types(item.name, item.recompute_by, listed, catalog.dialect) for item in driving}
    except ValueError as error:
        yield Problem("spark_group", f"{error}.", _IN_WAREHOUSE, "dependencies")
        return
    if len({tuple(found) for found in kinds.values()}) > 1:
        shown = "; ".join(f"{name}: {', '.join(found)}" for name, found in kinds.items())
        yield Problem("spark_group", f"The types of recompute_by differ ({shown}).", _IN_WAREHOUSE, "dependencies")


def _no_type(column: Column) -> Problem:
    message = f"Column {column.name} is {column.type}, a type that Spark does not have."
    return Problem("spark_select", message, "Give it another type, or use engine: warehouse.", column.name)
