"""A row that finds itself: `exists`, `in`, SEMI and ANTI JOIN that compare a driving source with itself.

Whatever part of the source a load reads, a row that it reads stands in both readings. Where each condition compares an
expression with the same expression (`=`, `<=`, `>=`, `is not distinct from`), or reads the outer row alone, the outer
row meets all of them together with itself; if its own expression is NULL, no row does. So the result follows from the
outer row, and every load gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from metadata_sync.sql.increments.relation import Value
from metadata_sync.sql.increments.scope import Scope
from metadata_sync.sql.increments.syntax import conjuncts
from metadata_sync.sql.parse import resolve_cte

if TYPE_CHECKING:
    from metadata_sync.sql.increments.queries import Queries

REFLEXIVE: Final = (exp.EQ, exp.GTE, exp.LTE, exp.NullSafeEQ)
"""Comparisons that hold between a value and itself, unless it is NULL."""
_PLAIN_CLAUSES: Final = frozenset({"expressions", "from_", "with_", "where"})
_ONE_VALUE: Final = (exp.Cast, exp.Coalesce, exp.DateTrunc, exp.TimestampTrunc, exp.Lower, exp.Upper, exp.Abs)
"""Functions that yield one value for a row; others may yield none, as `unnest` does."""


def finds_itself(queries: Queries, read: exp.Expr, pairs: Sequence[tuple[Value, Value]]) -> bool:
    """Tell whether the row of the outer values stands among those that `read` yields, with the same values.

    Args:
        queries: Knows which tables the SELECT reads.
        read: An item of FROM.
        pairs: Value of `read`, and outer value that it is compared with.
    """
    symbols = [(inner.symbol, outer.symbol) for inner, outer in pairs]
    known = [(inner, outer) for inner, outer in symbols if inner is not None and outer is not None]
    if not known or len(known) < len(symbols) or any(inner.text != outer.text for inner, outer in known):
        return False
    if len({(inner.instance, outer.instance) for inner, outer in known}) > 1:
        return False
    inner, outer = known[0]
    if inner.table != outer.table:
        return False
    if _is_whole_table(queries, read):
        return True
    is_cte = isinstance(read, exp.Table) and not read.args.get("pivots") and resolve_cte(read) is not None
    return is_cte and len(inner.instance) > 1 and inner.instance[1:] == outer.instance[1:]


def _is_whole_table(queries: Queries, node: exp.Expr) -> bool:
    """Tell whether an item of FROM, or a query, yields each row of one table."""
    if isinstance(node, exp.Table | exp.Subquery) and (node.args.get("pivots") or node.args.get("joins")):
        return False
    if isinstance(node, exp.Table):
        cte = resolve_cte(node)
        return queries.is_stored(node) or (cte is not None and _is_whole_table(queries, cte.this))
    if isinstance(node, exp.Subquery):
        return not node.args.get("limit") and not node.args.get("offset") and _is_whole_table(queries, node.this)
    return (
        isinstance(node, exp.Select)
        and _is_plain(node)
        and node.args.get("where") is None
        and all(map(_is_one_value, node.expressions))
        and _is_whole_table(queries, node.args["from_"].this)
    )


def _is_plain(query: exp.Select) -> bool:
    return bool(query.args.get("from_")) and all(
        name in _PLAIN_CLAUSES for name, clause in query.args.items() if clause
    )


def _is_one_value(projection: exp.Expr) -> bool:
    return not any(
        isinstance(node, exp.Query | exp.UDTF) or (isinstance(node, exp.Func) and not isinstance(node, _ONE_VALUE))
        for node in projection.walk()
    )


def query_finds_itself(queries: Queries, node: exp.Query, scope: Scope) -> bool:
    """Tell whether the result of an EXISTS or IN follows from the row around it.

    Args:
        queries: Looked at the subquery before.
        node: The subquery.
        scope: The scope around it.
    """
    holder, query = node.parent, node.unnest()
    inner = queries.scopes.get(id(query))
    if not isinstance(query, exp.Select) or inner is None or inner.outer is not scope or not _is_plain(query):
        return False
    conditions = conjuncts(query.args.get("where"))
    if isinstance(holder, exp.In) and len(query.expressions) == 1:
        yielded = query.expressions[0].unalias()
        if _is_conjunct(holder):  # an empty set and one of NULL both drop the row
            conditions = [item for item in conditions if not _is_not_null(item, yielded)]
        compared = [(inner.value(yielded), scope.value(holder.this))]
    elif isinstance(holder, exp.Exists):
        compared = []
    else:
        return False
    for condition in conditions:
        if 0 not in inner.depths(condition) and condition.find(exp.Query) is None:
            continue  # reads the outer row alone
        pair = _compared(condition, inner)
        if pair is None:
            return False
        compared.append(pair)
    return finds_itself(queries, query.args["from_"].this, compared)


def _compared(condition: exp.Expr, inner: Scope) -> tuple[Value, Value] | None:
    """Return the value of a subquery that a condition compares, and the value around it."""
    if isinstance(condition, REFLEXIVE) and condition.find(exp.Query) is None:
        for one, around in ((condition.this, condition.expression), (condition.expression, condition.this)):
            if inner.depths(one) == {0} and inner.depths(around) == {1}:
                return inner.value(one), inner.value(around)
    return None


def _is_not_null(condition: exp.Expr, column: exp.Expr) -> bool:
    return (
        isinstance(condition, exp.Not)
        and isinstance(condition.this, exp.Is)
        and isinstance(condition.this.expression, exp.Null)
        and condition.this.this == column
    )


def _is_conjunct(condition: exp.Expr) -> bool:
    """Tell whether a condition is one of those of a WHERE that are joined by AND."""
    around = condition.parent
    while isinstance(around, exp.And | exp.Paren):
        around = around.parent
    return isinstance(around, exp.Where)
