"""Which rows can run on Spark: what stands in the way of one, and its SELECT in Spark's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from metadata_sync.catalog import Catalog
from metadata_sync.names import TableName
from metadata_sync.problems import Problem
from metadata_sync.resolve import resolve_dependencies
from metadata_sync.rows import Column, SourceRow, TransformationRow
from metadata_sync.sql.spark import Cut, spark_select, spark_type
from metadata_sync.words import Increment, SourceKind

_IN_WAREHOUSE = "Use engine: warehouse, or a pipeline of its own."


@dataclass(frozen=True, slots=True)
class SparkSelect:
    """A row's SELECT as Spark runs it.

    Attributes:
        sql: Spark SQL over one view per source.
        sources: What it reads.
        columns: Name and Spark type of each column of the result, in order.
    """

    sql: str
    sources: tuple[SourceRow, ...]
    columns: tuple[tuple[str, str], ...]


def spark_problems(row: TransformationRow, catalog: Catalog) -> tuple[Problem, ...]:
    """Return everything that keeps a row from Spark; nothing when it can run there.

    Args:
        row: The transformation.
        catalog: What is known of tables and columns.
    """
    found = tuple(_row_problems(row, catalog))
    if found:
        return found
    translated = translate(row, catalog, {})
    return () if isinstance(translated, SparkSelect) else translated


def translate(
    row: TransformationRow, catalog: Catalog, cuts: Mapping[TableName, Cut]
) -> SparkSelect | tuple[Problem, ...]:
    """Write a row's SELECT for Spark.

    Args:
        row: A row that `spark_problems` finds nothing wrong with.
        catalog: What is known of tables and columns.
        cuts: Windows of driving sources; a source that is left out is read whole.

    Returns:
        The SELECT, or what cannot be said in Spark.
    """
    analysis = catalog.analysis(row)
    if analysis.select is None or analysis.problems:
        return analysis.problems or (Problem("spark_select", "It has no SELECT.", "Mend sql_path."),)
    listed: dict[TableName, dict[str, str]] = {}
    for name in analysis.select.tables:
        columns = catalog.table_columns(name)
        if columns is None:
            return (Problem("spark_select", f"The columns of {name} are not known now.", "Land its data first."),)
        listed[name] = {column.name: column.type for column in columns}
    sql, problems = spark_select(analysis.select, listed, cuts)
    if sql is None:
        return problems
    types = [(column, spark_type(column.type, catalog.dialect)) for column in catalog.target_columns(row) or ()]
    odd = [column for column, kind in types if kind is None]
    if odd or not types:
        return tuple(_no_type(column) for column in odd) or (
            Problem("spark_select", "Its columns are not known yet.", "Run `sluice sync` first."),
        )
    sources = tuple(source for name in listed if (source := catalog.rows.source(name)) is not None)
    return SparkSelect(sql, sources, tuple((column.name, str(kind)) for column, kind in types))


def _row_problems(row: TransformationRow, catalog: Catalog) -> Iterator[Problem]:
    if catalog.dialect == "postgres":
        yield Problem("spark_warehouse", "PostgreSQL cannot read what Spark leaves.", "Use engine: warehouse.")
    if row.output_path is None:
        message = "Spark needs a place for its result."
        yield Problem("missing_value", message, "Give output_path an s3:// address, or a path below the project.")
    if row.increment is Increment.GROUPS:
        message = "Spark reads by rows or in full; the groups that new rows touch are found in the warehouse."
        yield Problem("spark_increment", message, _IN_WAREHOUSE)
    for item in resolve_dependencies(row, catalog.rows):
        source = catalog.rows.source(item.name)
        if item.is_managed or source is None or source.kind is not SourceKind.LAKE:
            yield Problem(
                "spark_source", f"{item.name} stands in the warehouse, which Spark does not read.", _IN_WAREHOUSE
            )


def _no_type(column: Column) -> Problem:
    message = f"Column {column.name} is {column.type}, a type that Spark does not have."
    return Problem("spark_select", message, "Give it another type, or use engine: warehouse.", column.name)
