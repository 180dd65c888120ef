"""Outer joins that are none: a condition drops the rows that the join fills with NULL.

`a left join b on … where b.v > 1` yields what the inner join yields, since `b.v > 1` is not true of NULL. The joins of
a FROM are reduced from the last to the first, as query planners do: what WHERE requires of a table holds behind each
join, and what an inner join's ON requires holds before it, up to the next outer join.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlglot import exp

from metadata_sync.sql.functions import is_aggregate
from metadata_sync.sql.increments.syntax import conjuncts, is_join_in_parentheses, own_nodes

_COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.ILike)
_STRICT: Final = (exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Neg, exp.Cast, exp.Lower, exp.Upper, exp.Abs)
"""Expressions that are NULL when one of their parts is."""
_REDUCED: Final = {
    ("LEFT", False, True): "",
    ("LEFT", True, True): "",
    ("RIGHT", True, False): "",
    ("RIGHT", True, True): "",
    ("FULL", True, False): "LEFT",
    ("FULL", False, True): "RIGHT",
    ("FULL", True, True): "",
}
"""(side, whether a condition requires a row on the left, and one on the right) → what is left of the side."""


def reduced_sides(query: exp.Select) -> dict[int, str]:
    """Return the side of each join, by the join's id."""
    joins = query.args.get("joins") or []
    sides = {id(join): join.side.upper() for join in joins}
    if any(join.method.upper() not in {"", "ASOF"} for join in joins):
        return sides
    merged = {name.name.lower() for join in joins for name in join.args.get("using") or []}
    required = _required_by(query.args.get("where"), merged)
    for place in range(len(joins) - 1, -1, -1):
        join = joins[place]
        left = {query.args["from_"].this, *(one.this for one in joins[:place])}
        side = join.side.upper()
        has_left = bool(required & set().union(*map(_names, left)))
        has_right = bool(required & _names(join.this))
        side = _REDUCED.get((side, has_left, has_right), side)
        sides[id(join)] = side
        own = set() if join.kind.upper() in {"SEMI", "ANTI"} else _required_by(join.args.get("on"), merged)
        required = {"": required | own, "LEFT": required, "RIGHT": own}.get(side, set())
    return sides


def _required_by(clause: exp.Expr | None, merged: Collection[str]) -> set[str]:
    """Return the tables without whose row a clause is not true; a column that USING made of two is of no table."""
    found: set[str] = set()
    for condition in conjuncts(clause):
        if not any(column.name.lower() in merged for column in condition.find_all(exp.Column)):
            found |= _required(condition)
    return found


def _names(item: exp.Expr) -> set[str]:
    """Return the aliases of an item of FROM; a join in parentheses has several."""
    found = {item.alias_or_name.lower()} - {""}
    if is_join_in_parentheses(item):
        found |= _names(item.this)
    for join in item.args.get("joins") or []:
        found |= _names(join.this)
    return found


def _required(condition: exp.Expr) -> set[str]:
    """Return the tables without whose row a condition is not true, as far as its columns name their table."""
    condition = condition.unnest() if isinstance(condition, exp.Paren) else condition
    if isinstance(condition, exp.And):
        return _required(condition.this) | _required(condition.expression)
    if isinstance(condition, exp.Or):
        return _required(condition.this) & _required(condition.expression)
    if isinstance(condition, exp.Exists):
        return _required_by_existence(condition.this)
    if isinstance(condition, exp.In):
        return _strict(condition.this)
    if isinstance(condition, exp.Not):
        return _required_by_negation(condition.this)
    return _strict_of(condition)


def _strict_of(condition: exp.Expr) -> set[str]:
    """Return the tables whose missing row makes a comparison NULL; `<> all` of an empty subquery is true."""
    if isinstance(condition, _COMPARISONS) and not isinstance(condition.expression, exp.SubqueryPredicate):
        return _strict(condition.this) | _strict(condition.expression)
    return _strict(condition.this) if isinstance(condition, exp.Between) else set()


def _required_by_negation(condition: exp.Expr) -> set[str]:
    """NOT of what is NULL is NULL; `not in` of an empty subquery is true."""
    condition = condition.unnest() if isinstance(condition, exp.Paren) else condition
    if isinstance(condition, exp.Is):
        return _strict(condition.this) if isinstance(condition.expression, exp.Null) else set()
    if isinstance(condition, exp.In):
        return _strict(condition.this) if condition.expressions else set()
    return _strict_of(condition)


def _required_by_existence(query: exp.Expr) -> set[str]:
    """A subquery that compares a column with NULL finds no row; one that aggregates all rows always yields one."""
    if not isinstance(query, exp.Select) or query.args.get("where") is None:
        return set()
    yielded = [node for part in query.expressions for node in own_nodes(part)]
    if query.args.get("group") or query.args.get("having") or any(map(_may_aggregate, yielded)):
        return set()
    own: set[str] = set()
    for table in query.find_all(exp.Table, exp.Subquery, exp.CTE, exp.Lateral, exp.Unnest, exp.Values):
        own.add(table.alias_or_name.lower())
    return _required(query.args["where"].this) - own


def _may_aggregate(node: exp.Expr) -> bool:
    return is_aggregate(node) or isinstance(node, exp.Query)


def _strict(node: exp.Expr) -> set[str]:
    """Return the tables whose missing row makes an expression NULL."""
    if isinstance(node, exp.Paren):
        return _strict(node.this)
    if isinstance(node, exp.Column):
        return {node.table.lower()} - {""} if not node.is_star else set()
    if isinstance(node, _STRICT):
        parts: Collection[exp.Expr] = [node.this, *([node.expression] if isinstance(node, exp.Binary) else [])]
        return set().union(*map(_strict, parts))
    return set()
