"""The columns that a SELECT yields: names only, stars expanded where the tables' columns are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName, is_identifier
from metadata_sync.sql.parse import ParsedSelect, folded


def output_columns(
    select: ParsedSelect, tables: Mapping[TableName, Sequence[str]]
) -> tuple[tuple[str, ...] | None, tuple[Problem, ...]]:
    """Name the columns of a SELECT, in order.

    Args:
        select: The parsed SELECT.
        tables: Column names of the tables that are known; they are needed for `*` over a table.

    Returns:
        The names, or None when a star cannot be expanded; and what is wrong with the names.
    """
    query = _leftmost(select.tree)
    if _has_star(query):
        query = _leftmost(_expanded(select, tables))
        if _has_star(query):
            return None, ()
    names: list[str] = []
    problems: list[Problem] = []
    for position, projection in enumerate(query.selects, start=1):
        name = _output_name(projection)
        if name is None:
            problems.append(
                Problem(
                    "unnamed_column",
                    f"Column {position} of the SELECT ({_shortened(projection)}) has no name.",
                    "Give it one with AS.",
                )
            )
        elif not is_identifier(name):
            problems.append(
                Problem(
                    "column_name",
                    f"The SELECT yields a column named {name!r}.",
                    "Name it in lower case letters, digits and underscores.",
                    name,
                )
            )
        names.append(name or "")
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        problems.append(  # noqa: PERF401
            Problem(
                "duplicate_column", f"The SELECT yields {name} more than once.", "Name each column differently.", name
            )
        )
    return (None if problems else tuple(names)), tuple(problems)


def _leftmost(query: exp.Expr) -> exp.Query:
    """Return the SELECT that names the columns: the first one of a set operation, without its parentheses."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    assert isinstance(query, exp.Query)
    return query


def _has_star(query: exp.Query) -> bool:
    return any(item.is_star or isinstance(item, exp.Columns) or item.find(exp.Columns) for item in query.selects)


def _expanded(select: ParsedSelect, tables: Mapping[TableName, Sequence[str]]) -> exp.Query:
    known: dict[str, dict[str, dict[str, str]]] = {}
    for name, columns in tables.items():
        known.setdefault(name.schema, {})[name.table] = dict.fromkeys(columns, "unknown")
    schema: dict[str, object] = {**known}
    tree = select.tree.copy()
    try:
        expanded = qualify(
            tree,
            dialect=select.dialect,
            schema=schema or None,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
    except SqlglotError:  # a query that sqlglot cannot resolve keeps its stars: the warehouse is asked instead
        return select.tree
    return expanded if isinstance(expanded, exp.Query) else select.tree


def _output_name(projection: exp.Expr) -> str | None:
    if isinstance(projection, exp.Alias):
        return folded(projection.args["alias"])
    if isinstance(projection, exp.Column):
        return folded(projection.this)
    if isinstance(projection, exp.Subquery) and projection.alias:
        return str(projection.alias).lower()
    return None


def _shortened(projection: exp.Expr, limit: int = 40) -> str:
    text = projection.sql(comments=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"
