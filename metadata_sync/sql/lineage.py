"""Which columns of which tables each output column of a SELECT is made from, and by which expression."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

from metadata_sync.rows.names import TableName
from metadata_sync.sql.parse import ParsedSelect

_UNION: Final = "UNION"
"""What sqlglot calls the column of a UNION."""

_NOT_ROW_WISE: Final = (exp.AggFunc, exp.Window, exp.Subquery, exp.Star, exp.Unnest, exp.Explode)


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
    nodes = _traced(select, tables)
    if nodes is None:
        return None
    return {column.lower(): tuple(sorted(_leaves(node))) for column, node in nodes.items()}


def source_expressions(
    select: ParsedSelect, table: TableName, names: Collection[str], tables: Mapping[TableName, Sequence[str]]
) -> tuple[dict[str, exp.Expr], ...]:
    """Return output columns as expressions over the columns of one table that the SELECT reads.

    Args:
        select: The parsed SELECT.
        table: The table.
        names: Output columns.
        tables: Column names of the tables it reads, as far as they are known.

    Returns:
        For each branch of a UNION, or once: output column → expression whose columns are those of the table, without
        its name. Empty when one of them is made from anything else: another table, rows of a group or window, a
        subquery.
    """
    nodes = {name.lower(): _branches(node) for name, node in (_traced(select, tables) or {}).items()}
    found = [[_over(node, table) for node in nodes.get(name, ())] for name in names]
    branches = []
    for parts in zip(*found, strict=True):
        known = {name: part for name, part in zip(names, parts, strict=True) if part is not None}
        branches.append(known)
    return tuple(branches) if all(len(known) == len(names) for known in branches) else ()


def known_schema(tables: Mapping[TableName, Sequence[str]]) -> dict[str, object]:
    """Return the columns of tables as sqlglot's optimizer takes them."""
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for name, columns in tables.items():
        schema.setdefault(name.schema, {})[name.table] = dict.fromkeys(columns, "unknown")
    return dict(schema)


def _branches(node: Node) -> list[Node]:
    """Return a node, or those of the branches of a UNION."""
    return [inner for part in node.downstream for inner in _branches(part)] if node.name == _UNION else [node]


def _traced(select: ParsedSelect, tables: Mapping[TableName, Sequence[str]]) -> dict[str, Node] | None:
    try:
        return lineage(
            None,
            select.tree.copy(),
            known_schema(tables),
            dialect=select.dialect,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
    except (SqlglotError, RecursionError, ValueError):  # a query that sqlglot cannot resolve
        return None


def _over(node: Node, table: TableName) -> exp.Expr | None:
    """Put the expressions of inner queries in place of their columns, down to the columns of a table."""
    leaf = node.expression
    if isinstance(leaf, exp.Table):
        is_wanted = (leaf.db.lower(), leaf.name.lower()) == (table.schema, table.table)
        return exp.column(_column_of(node.name), quoted=True) if is_wanted else None
    expression = leaf.unalias()
    if isinstance(expression, exp.Query | exp.Identifier) or expression.find(*_NOT_ROW_WISE):
        return None
    inner = {item.name: item for item in node.downstream}
    columns: dict[int, exp.Expr] = {}
    for column in expression.find_all(exp.Column):
        origin = inner.get(column.sql(dialect=None, comments=False))
        found = None if origin is None else _over(origin, table)
        if found is None:
            return None
        columns[id(column)] = found
    return expression.transform(lambda part: columns.get(id(part), part), copy=False)


def _leaves(node: Node) -> set[ColumnName]:
    return {
        ColumnName(TableName(found.expression.db.lower(), found.expression.name.lower()), _column_of(found.name))
        for found in node.walk()
        if isinstance(found.expression, exp.Table) and found.expression.db
    }


def _column_of(name: str) -> str:
    """Return the column of `alias.column`, as sqlglot names a leaf."""
    return name.rpartition(".")[2].strip('"').lower()
