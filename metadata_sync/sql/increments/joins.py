"""FROM and JOIN: which rows a join combines, and what stays known of their columns.

A join with a lookup keeps what is true of the driving side, as long as the lookup is on the optional side. Two parts
that are both driven, by one source or by two, may be joined by `groups` only, and only by equality of the whole group:
then rows that belong together are in the same group, and a load reads all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from sqlglot import exp

from metadata_sync.sql.increments.outer_joins import reduced_sides
from metadata_sync.sql.increments.relation import OPAQUE, Relation, Value
from metadata_sync.sql.increments.scope import Item, Scope
from metadata_sync.sql.increments.self_matches import REFLEXIVE, finds_itself
from metadata_sync.sql.increments.syntax import conjuncts, is_join_in_parentheses, unknown_clauses

if TYPE_CHECKING:
    from metadata_sync.sql.increments.queries import Queries


Pair: TypeAlias = tuple[exp.Expr, Value, exp.Expr, Value, bool]
"""Two expressions that a join requires to be equal, what is known of them, and whether NULL equals NULL."""


def from_clause(queries: Queries, query: exp.Select, outer: Scope | None) -> Scope:
    """Return the scope of a SELECT: everything in FROM, joined."""
    scope = Scope(queries.rule, outer)
    clause = query.args.get("from_")
    joins = query.args.get("joins") or []
    if clause is None:
        return scope
    where = query.args.get("where")
    sides = reduced_sides(query)
    queries.sides |= sides
    is_plain = not any(side in {"RIGHT", "FULL"} for side in sides.values())
    filters = conjuncts(where) if is_plain else []
    _add_first(queries, scope, clause.this, filters)
    for join in joins:
        _add_join(queries, scope, join, filters)
    for lateral in query.args.get("laterals") or []:
        _combine(queries, scope, queries.item(lateral, scope), lateral, filters)
    return scope


def _add_first(queries: Queries, scope: Scope, node: exp.Expr, filters: Sequence[exp.Expr]) -> None:
    first = _nested(queries, node, scope, filters)
    scope.items = first.items
    scope.merged, scope.pairs = first.merged, first.pairs
    scope.is_driven, scope.is_mixed = first.is_driven, first.is_mixed


def _nested(queries: Queries, node: exp.Expr, outer: Scope, filters: Sequence[exp.Expr]) -> Scope:
    """Return one item of FROM as a scope of its own; it holds several items when it is a join in parentheses."""
    inner = Scope(queries.rule, outer)
    joins = node.args.get("joins") or []
    if is_join_in_parentheses(node):
        _add_first(queries, inner, node.this, filters)
    else:
        relation = queries.relation_of(node, outer)
        inner.items = [Item(node.alias_or_name.lower(), relation)]
        inner.is_driven, inner.is_mixed = relation.is_driven, relation.is_mixed
    for join in joins:
        _add_join(queries, inner, join, filters)
    return inner


def _add_join(queries: Queries, scope: Scope, join: exp.Join, filters: Sequence[exp.Expr]) -> None:
    for what in unknown_clauses(join):
        queries.refuse_if_driven(scope, join, what)
    around = replace(scope, items=[*scope.items], outer=scope.outer)
    _combine(queries, scope, _nested(queries, join.this, around, filters), join, filters)


@dataclass(frozen=True, slots=True)
class _Way:
    """How an item of FROM is joined to those on its left."""

    node: exp.Expr
    side: str = ""
    kind: str = ""
    method: str = ""
    merged: tuple[str, ...] = ()
    equal: tuple[Pair, ...] = ()

    @property
    def filters_only(self) -> bool:
        """Whether the columns of the right side are not there behind the join."""
        return self.kind in {"SEMI", "ANTI"}


def _combine(queries: Queries, left: Scope, right: Scope, node: exp.Expr, filters: Sequence[exp.Expr]) -> None:
    """Join an item of FROM to those on its left."""
    join = node if isinstance(node, exp.Join) else exp.Join()
    both = replace(left, items=[*left.items, *right.items], merged={**left.merged, **right.merged})
    both.is_driven, both.is_mixed = left.is_driven or right.is_driven, left.is_mixed or right.is_mixed
    both.pairs = {**left.pairs, **right.pairs}
    side = queries.sides.get(id(join), join.side.upper())
    way = _Way(node, side, join.kind.upper(), join.method.upper(), tuple(_using(join, left, right)))
    known = filters if not way.side and not way.filters_only else []
    way = replace(way, equal=tuple(_equal_values(join, left, right, both, known)))
    queries.equal += [(one.symbol, two.symbol) for _, one, _, two, _ in way.equal if one.symbol and two.symbol]
    if join.args.get("on") is not None:
        queries.expressions.check([join.args["on"]], both, join)
    _check(queries, left, right, way)
    _keep_values(left, right, way)
    left.is_driven = both.is_driven
    if not way.filters_only:
        left.items += right.items
        left.pairs |= right.pairs
        left.is_mixed = both.is_mixed


def _check(queries: Queries, left: Scope, right: Scope, way: _Way) -> None:
    """Refuse a join that combines rows of different loads."""
    if not (left.is_driven or right.is_driven):
        return
    is_open = any(item.relation.rest is not None for item in [*left.items, *right.items])
    if way.method == "NATURAL" and is_open:
        queries.refuse(way.node, "uses a NATURAL JOIN of tables whose columns are not known", why="its columns decide")
    if way.method == "POSITIONAL":
        queries.refuse(way.node, "joins by position", needs_full=True)
    elif left.is_driven and right.is_driven:
        _check_driven(queries, left, right, way)
    elif way.side in {"FULL", "LEFT" if right.is_driven else "RIGHT"}:
        queries.refuse(way.node, "has the driving source on the nullable side of an outer join")
    elif right.is_driven and (way.filters_only or way.method == "ASOF"):
        carried = set().union(*(other.carries for _, _, _, other, _ in way.equal))
        is_whole = carried == set(queries.rule.positions) if queries.rule.by_groups else queries.rule.is_keyed
        if not is_whole or way.kind == "ANTI" or (way.method == "ASOF" and not queries.rule.by_groups):
            queries.refuse(way.node, f"has the driving source on the right of {way.kind or way.method} JOIN")


def _check_driven(queries: Queries, left: Scope, right: Scope, way: _Way) -> None:
    joined = set().union(*(_agreed(pair) for pair in way.equal))
    if way.filters_only and _finds_itself(queries, left, right, way.node):
        return
    if not queries.rule.by_groups:
        queries.refuse(way.node, "joins the driving source to itself")
    elif left.is_mixed or right.is_mixed:
        queries.refuse(way.node, "joins rows that are not from the driving source", why=queries.MIXED)
    elif joined != set(queries.rule.positions):
        queries.refuse(way.node, f"joins rows of driving sources not by equality of {queries.group_names()}")


def _finds_itself(queries: Queries, left: Scope, right: Scope, join: exp.Expr) -> bool:
    """Tell whether it follows from a row on the left alone that a SEMI or ANTI JOIN finds it a partner: itself."""
    both = replace(left, items=[*left.items, *right.items], merged={**left.merged, **right.merged})
    pairs = []
    for condition in conjuncts(join.args.get("on")):
        if _stands_in(condition, both, left):
            continue
        ways = ((condition.this, condition.expression), (condition.expression, condition.this))
        found = [
            (both.value(other), both.value(mine))
            for mine, other in (ways if isinstance(condition, REFLEXIVE) else ())
            if _stands_in(mine, both, left) and _stands_in(other, both, right)
        ]
        if not found:
            return False
        pairs += found
    return finds_itself(queries, join.this, pairs)


def _equal_values(
    join: exp.Join, left: Scope, right: Scope, both: Scope, filters: Sequence[exp.Expr]
) -> Iterator[Pair]:
    """Yield what a join requires to be equal: an expression over its left side and one over its right side."""
    for name in _using(join, left, right):
        yield exp.column(name), _lookup(left, name), exp.column(name), _lookup(right, name), False
    conditions = [*filters]
    if join.args.get("on") is not None:
        conditions += conjuncts(join.args["on"])
    for condition in conditions:
        if not isinstance(condition, exp.EQ | exp.NullSafeEQ):
            continue
        pair = (condition.this, condition.expression)
        for mine, other in (pair, pair[::-1]):
            if _stands_in(mine, both, left) and _stands_in(other, both, right):
                values = [both.value(part, with_aliases=False) for part in (mine, other)]
                yield mine, values[0], other, values[1], isinstance(condition, exp.NullSafeEQ)


def _stands_in(node: exp.Expr, both: Scope, part: Scope) -> bool:
    """Whether all columns of an expression are those of one side of a join."""
    columns = [*node.find_all(exp.Column)]
    if not columns or node.find(exp.Query) is not None:
        return False
    aliases = {item.alias for item in part.items}
    for column in columns:
        if column.table:
            if column.table.lower() not in aliases:
                return False
        elif (
            part.resolve(column, with_aliases=False)[1]
            or both.resolve(column, with_aliases=False)[1]
            or len([item for item in both.items if item.value(column.name.lower()) is not None]) != 1
        ):
            return False
    return True


def _lookup(scope: Scope, name: str) -> Value:
    return scope.resolve(exp.column(name), with_aliases=False)[0]


def _using(join: exp.Join, left: Scope, right: Scope) -> list[str]:
    if join.method.upper() == "NATURAL":
        names = {name for item in left.items for name in item.relation.columns}
        return [name for item in right.items for name in item.relation.columns if name in names]
    return [identifier.name.lower() for identifier in join.args.get("using") or []]


def _keep_values(left: Scope, right: Scope, way: _Way) -> None:
    """Forget what an outer join makes uncertain, and note what an equality makes known."""
    found = {name: _merged_value(_lookup(left, name), _lookup(right, name), way) for name in way.merged}
    if way.side in {"LEFT", "FULL"}:
        _forget(right)
    if way.side in {"RIGHT", "FULL"}:
        _forget(left)
    for mine, one, other, two, with_null in way.equal:
        if way.side == "FULL" and one.carries & two.carries:
            left.pairs[frozenset({mine.sql().lower(), other.sql().lower()})] = one.carries & two.carries
        elif not way.side and way.kind != "ANTI":
            left.gain(mine, two.carries if with_null else two.matches)
            right.gain(other, one.carries if with_null else one.matches)
    left.merged |= found


def _merged_value(one: Value, two: Value, way: _Way) -> Value:
    """Return what is known of a column that USING makes of two."""
    if way.side == "FULL":
        return Value(one.carries & two.carries)
    if way.side == "RIGHT":
        return two
    more = two.matches if not way.side and not way.filters_only else frozenset()
    return replace(one, carries=one.carries | more)


def _forget(scope: Scope) -> None:
    for item in scope.items:
        item.relation = item.relation.without_values()
    scope.merged = dict.fromkeys(scope.merged, OPAQUE)
    scope.pairs = {}


def _agreed(pair: Pair) -> frozenset[int]:
    """Positions of the group of which an equality says that both sides of a join have the same."""
    _, one, _, two, with_null = pair
    return one.carries & two.carries if with_null else one.matches & two.carries


def relation_of_scope(scope: Scope) -> Relation:
    """Return what `select *` over a scope yields."""
    columns: dict[str, Value] = {}
    rest = None
    for item in scope.items:
        for name, value in item.relation.columns.items():
            given = scope.merged.get(name, value)
            columns[name] = columns[name].both(given) if name in columns else given
        rest = item.relation.rest if len(scope.items) == 1 else rest
        if len(scope.items) > 1 and item.relation.rest is not None:
            rest = replace(item.relation.rest, table=None)
    return Relation(columns, scope.is_driven, scope.is_mixed, rest)
