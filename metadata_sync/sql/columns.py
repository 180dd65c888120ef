"""The columns that a SELECT yields: names only, stars expanded where the tables' columns are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName, column_name_problem, is_column_name
from metadata_sync.sql.parse import ParsedSelect, folded, resolve_cte

MAX_COLUMNS: Final = 1600
"""PostgreSQL's and Redshift's limit of a table; a query that doubles its columns with each step passes any other."""

_UNKNOWN_WIDTH: Final = 20
"""Columns that a table or function counts for when nobody knows them."""


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
        query = _leftmost(_expand(select, tables))
        if _has_star(query):
            return None, ()
    names: list[str] = []
    problems: list[Problem] = []
    spelled = {name.lower(): name for columns in tables.values() for name in columns if select.dialect == "duckdb"}
    for position, projection in enumerate(query.selects, start=1):
        name = _output_name(projection, select.dialect)
        name = spelled.get(name.lower(), name) if name and isinstance(projection, exp.Column) else name
        if name is None:
            problems.append(
                Problem(
                    "unnamed_column",
                    f"Column {position} of the SELECT ({_shorten(projection)}) has no name.",
                    "Give it one with AS.",
                )
            )
        elif not is_column_name(name):
            reason, remedy = column_name_problem(name)
            message = f"The SELECT yields a column named {name!r}. {reason}"
            problems.append(Problem("column_name", message, remedy, name))
        names.append(name or "")
    for name in sorted(name for name, count in Counter(map(str.lower, names)).items() if name and count > 1):
        problems.append(  # noqa: PERF401
            Problem(
                "duplicate_column", f"The SELECT yields {name} more than once.", "Name each column differently.", name
            )
        )
    return (None if problems else tuple(names)), tuple(problems)


def width_problems(select: ParsedSelect, tables: Mapping[TableName, Sequence[object]]) -> tuple[Problem, ...]:
    """Refuse a SELECT with a query, at any depth, of more columns than a table may have: binding it may take hours.

    Args:
        select: The parsed SELECT.
        tables: Columns of the tables that are known.
    """
    widths = _Widths(tables)
    widest = max(widths.of(query) for query in select.tree.find_all(exp.Query))
    if widest <= MAX_COLUMNS:
        return ()
    message = f"A query in the SELECT yields {widest:,} columns."
    return (Problem("too_many_columns", message, f"Name the columns that are needed, at most {MAX_COLUMNS:,}."),)


class _Widths:
    """How many columns queries yield; an upper bound, with every star expanded."""

    def __init__(self, tables: Mapping[TableName, Sequence[object]]) -> None:
        self._tables = tables
        self._known: dict[int, int] = {}

    def of(self, node: exp.Expr) -> int:
        """Return the columns of a query, or of an item of FROM."""
        if id(node) not in self._known:
            self._known[id(node)] = 0  # a recursive reference adds nothing
            self._known[id(node)] = self._count(node)
        return self._known[id(node)]

    def _count(self, node: exp.Expr) -> int:
        if isinstance(node, exp.Select):
            items = [node.args.get("from_"), *(node.args.get("joins") or []), *(node.args.get("laterals") or [])]
            below = sum(self.of(item.this) for item in items if item is not None and item.this is not None)
            return sum(below if _is_starred(item) else 1 for item in node.expressions)
        if isinstance(node, exp.SetOperation):
            return max(self.of(node.this), self.of(node.expression))
        if isinstance(node, exp.Subquery):
            return self.of(node.this) + sum(self.of(join.this) for join in node.args.get("joins") or [])
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return self._table(node) + sum(self.of(join.this) for join in node.args.get("joins") or [])
        if isinstance(node, exp.Values) and node.expressions:
            return len(node.expressions[0].expressions) or 1
        return _UNKNOWN_WIDTH

    def _table(self, node: exp.Table) -> int:
        cte = None if node.args.get("db") else resolve_cte(node)
        if cte is not None:
            return self.of(cte.this)
        columns = self._tables.get(TableName(node.db.lower(), node.name.lower()))
        return _UNKNOWN_WIDTH if columns is None else len(columns)


def _is_starred(projection: exp.Expr) -> bool:
    return projection.is_star or projection.find(exp.Columns) is not None


def _leftmost(query: exp.Expr) -> exp.Query:
    """Return the SELECT that names the columns: the first one of a set operation, without its parentheses."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    assert isinstance(query, exp.Query)
    return query


def _has_star(query: exp.Query) -> bool:
    return any(item.is_star or isinstance(item, exp.Columns) or item.find(exp.Columns) for item in query.selects)


def _expand(select: ParsedSelect, tables: Mapping[TableName, Sequence[str]]) -> exp.Query:
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


def _output_name(projection: exp.Expr, dialect: str) -> str | None:
    if isinstance(projection, exp.Alias):
        return _spelled(projection.args["alias"], dialect)
    if isinstance(projection, exp.Column):
        return _spelled(projection.this, dialect)
    if isinstance(projection, exp.Subquery) and projection.alias:
        return _spelled(projection.args["alias"].this, dialect)
    return None


def _spelled(identifier: exp.Expr, dialect: str) -> str:
    """Return a name as the warehouse stores it: DuckDB as it is written, Redshift in lower case even when quoted."""
    if dialect == "duckdb":
        return str(identifier.name)
    return folded(identifier) if dialect == "postgres" else str(identifier.name).lower()


def _shorten(projection: exp.Expr, limit: int = 40) -> str:
    text = projection.sql(comments=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"
