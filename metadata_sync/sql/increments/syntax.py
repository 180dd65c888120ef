"""The syntax and the functions that the proof knows; a construct that is not listed here is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from sqlglot import exp

from metadata_sync.sql.functions import function_name, is_aggregate, is_clock, is_known

_QUERY_CLAUSES: Final = frozenset(
    {"with_", "expressions", "distinct", "from_", "joins", "laterals", "where", "group", "having", "qualify", "windows"}
    | {"order", "limit", "offset"}
)
_SET_CLAUSES: Final = frozenset({"with_", "this", "expression", "distinct", "by_name", "order", "limit", "offset"})
_SUBQUERY_CLAUSES: Final = frozenset(
    {"this", "alias", "with_", "joins", "laterals", "pivots", "order", "limit", "offset"}
)
_TABLE_CLAUSES: Final = frozenset(
    {"this", "alias", "db", "catalog", "joins", "laterals", "pivots", "ordinality", "rows_from"}
)
_JOIN_CLAUSES: Final = frozenset({"this", "on", "side", "kind", "using", "method"})
_PIVOT_CLAUSES: Final = frozenset(
    {"this", "alias", "expressions", "fields", "unpivot", "group", "columns", "include_nulls", "default_on_null"}
    | {"identify_pivot_strings", "prefixed_pivot_columns", "pivot_column_naming", "value_columns_first"}
)
_CLAUSES: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Select: _QUERY_CLAUSES,
    exp.SetOperation: _SET_CLAUSES,
    exp.Subquery: _SUBQUERY_CLAUSES,
    exp.Table: _TABLE_CLAUSES,
    exp.Join: _JOIN_CLAUSES,
    exp.Pivot: _PIVOT_CLAUSES,
    exp.Window: frozenset({"this", "partition_by", "order", "spec", "alias", "over"}),
    exp.Star: frozenset({"except_", "replace", "rename"}),
    exp.CTE: frozenset({"this", "alias", "materialized"}),
    exp.With: frozenset({"expressions", "recursive"}),
    exp.Group: frozenset({"expressions", "all"}),
}
_NAMES: Final = {
    "connect": "uses CONNECT BY",
    "match": "uses MATCH_RECOGNIZE",
    "sample": "takes a sample",
    "key_expressions": "uses a recursion with USING KEY",
    "pivots": "uses PIVOT",
}
_EXPRESSIONS: Final = (
    exp.Alias,
    exp.Aliases,
    exp.All,
    exp.Any,
    exp.Between,
    exp.Binary,
    exp.Boolean,
    exp.Bracket,
    exp.Column,
    exp.Cube,
    exp.DataType,
    exp.DataTypeParam,
    exp.Distinct,
    exp.Filter,
    exp.GroupingSets,
    exp.HavingMax,
    exp.HexString,
    exp.Identifier,
    exp.IgnoreNulls,
    exp.In,
    exp.Interval,
    exp.IntervalSpan,
    exp.JSONKeyValue,
    exp.JSONPath,
    exp.JSONPathPart,
    exp.Kwarg,
    exp.Lambda,
    exp.Literal,
    exp.National,
    exp.Null,
    exp.Order,
    exp.Ordered,
    exp.PropertyEQ,
    exp.RawString,
    exp.RespectNulls,
    exp.Rollup,
    exp.Slice,
    exp.Star,
    exp.TableAlias,
    exp.Tuple,
    exp.Unary,
    exp.Var,
    exp.Where,
    exp.Window,
    exp.WindowSpec,
    exp.WithinGroup,
)
_NOT_ROW_WISE: Final = (
    exp.ConnectByRoot,
    exp.DynamicIdentifier,
    exp.Normal,
    exp.Prior,
    exp.Randn,
    exp.Randstr,
    exp.Seq1,
    exp.Seq2,
    exp.Seq4,
    exp.Seq8,
    exp.Shuffle,
    exp.Systimestamp,
    exp.Uniform,
    exp.UtcDate,
    exp.UtcTime,
    exp.UtcTimestamp,
    exp.Zipf,
)
_PLACE_COLUMNS: Final = frozenset({"cmax", "cmin", "ctid", "rowid", "tableoid", "xmax", "xmin"})
"""Columns of a stored row that a windowed source, which is a subselect, does not have."""


def unknown_clauses(node: exp.Expr) -> Iterator[str]:
    """Yield, as "uses …", each clause of a query, join or table that the proof does not know."""
    allowed = next((names for kind, names in _CLAUSES.items() if isinstance(node, kind)), None)
    if allowed is None:
        yield f"uses {_shown(node)}"
        return
    for name, value in node.args.items():
        if value and name not in allowed:
            yield _NAMES.get(name, f"uses {name.rstrip('_').replace('_', ' ').upper()}")


def unknown_expression(node: exp.Expr, dialect: str, team_functions: Collection[str]) -> str | None:
    """Say, as "uses …", why an expression, looked at by itself, is not known to work on one row; None: it is."""
    if isinstance(node, exp.Column):
        if node.args.get("join_mark"):
            return "marks an outer join by (+), which is not read here (write LEFT JOIN)"
        return f"reads {node.name}, the place of a row" if node.name.lower() in _PLACE_COLUMNS else None
    if isinstance(node, exp.Window | exp.Star):
        return next(unknown_clauses(node), None)
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return f"calls {node.sql(dialect, comments=False)}, of which it is not known that it works row by row"
    if isinstance(node, exp.Func) and not isinstance(node, exp.Binary | exp.Unary):
        return _unknown_function(node, dialect, team_functions)
    return None if isinstance(node, _EXPRESSIONS) else f"uses {_shown(node)}"


def _unknown_function(node: exp.Func, dialect: str, team_functions: Collection[str]) -> str | None:
    name = function_name(node) or ""
    is_known_here = is_known(node, dialect) and not isinstance(node, _NOT_ROW_WISE) and name not in team_functions
    if is_known_here or is_clock(node):  # the clock has its own refusal
        return None
    return f"calls {name}(), of which it is not known that it works row by row"


def is_windowed(node: exp.Expr) -> bool:
    """Tell whether an aggregate is the function of a window."""
    parent = node.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        parent = parent.parent
    return isinstance(parent, exp.Window) and node is not parent.args.get("order")


def is_plain_aggregate(node: exp.Expr) -> bool:
    """Tell whether a call makes one value of the rows of a group, not of a window."""
    return is_aggregate(node) and not is_windowed(node)


def conjuncts(clause: exp.Expr | None) -> list[exp.Expr]:
    """Return the conditions of a WHERE or ON, each of which holds in every row."""
    while isinstance(clause, exp.Where | exp.Paren):
        clause = clause.this
    if clause is None:
        return []
    return [*conjuncts(clause.this), *conjuncts(clause.expression)] if isinstance(clause, exp.And) else [clause]


def is_join_in_parentheses(node: exp.Expr) -> bool:
    """Tell whether an item of FROM is `(a join b on …)`, whose tables keep their own aliases."""
    if not isinstance(node, exp.Subquery) or node.alias:
        return False
    inner = node.this
    return isinstance(inner, exp.Table) or (
        isinstance(inner, exp.Subquery) and bool(inner.alias or inner.args.get("joins"))
    )


def own_nodes(root: exp.Expr) -> Iterator[exp.Expr]:
    """Walk an expression down to, and including, the queries nested in it."""
    return root.walk(prune=lambda node: isinstance(node, exp.Query))


def _shown(node: exp.Expr) -> str:
    words = type(node).__name__
    return "".join(f" {sign}" if sign.isupper() and place else sign for place, sign in enumerate(words)).upper()
