"""Which columns of which tables each output column of a SELECT is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

from metadata_sync.rows.names import TableName
from metadata_sync.sql.parse import ParsedSelect


@dataclass(frozen=True, slots=True, order=True)
class ColumnName:
    """A column of a table."""

    table: TableName
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


def column_lineage(
    select: ParsedSelect, tables: Mapping[TableName, Sequence[str]]
) -> dict[str, tuple[ColumnName, ...]] | None:
    """Trace every output column to the table columns that its value is made from.

    What only decides which rows there are (joins, filters, grouping) is not part of a column's value.

    Args:
        select: The parsed SELECT.
        tables: Column names of the tables it reads, as far as they are known.

    Returns:
        Output column → columns it is made from, sorted, none for a constant; None when the SELECT cannot be resolved.
    """
    schema: dict[str, object] = {}
    for name, columns in tables.items():
        known = schema.setdefault(name.schema, {})
        assert isinstance(known, dict)
        known[name.table] = dict.fromkeys(columns, "unknown")
    try:
        nodes = lineage(
            None,
            select.tree.copy(),
            schema,
            dialect=select.dialect,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
    except (SqlglotError, RecursionError, ValueError):  # a query that sqlglot cannot resolve
        return None
    return {column.lower(): tuple(sorted(_leaves(node))) for column, node in nodes.items()}


def _leaves(node: Node) -> set[ColumnName]:
    return {
        ColumnName(TableName(found.expression.db.lower(), found.expression.name.lower()), _column_of(found.name))
        for found in node.walk()
        if isinstance(found.expression, exp.Table) and found.expression.db
    }


def _column_of(name: str) -> str:
    """Return the column of `alias.column`, as sqlglot names a leaf."""
    return name.rpartition(".")[2].strip('"').lower()
