"""GROUP BY, grouping sets, DISTINCT and PIVOT: they put rows together only within a group that a load reads whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from metadata_sync.sql.functions import is_aggregate
from metadata_sync.sql.increments.relation import OPAQUE, OpenTable, Relation
from metadata_sync.sql.increments.scope import Scope
from metadata_sync.sql.increments.syntax import is_plain_aggregate, own_nodes, unknown_clauses

if TYPE_CHECKING:
    from metadata_sync.sql.increments.queries import Queries


def grouped_by(query: exp.Select) -> list[list[exp.Expr]] | None:
    """Return what each grouping set of a SELECT groups by; None when it does not aggregate."""
    group = query.args.get("group")
    if not isinstance(group, exp.Group):
        parts = [*query.expressions, *_of(query, "having"), *_of(query, "qualify"), *_of(query, "order")]
        aggregates = any(is_plain_aggregate(node) for part in parts for node in own_nodes(part))
        return [[]] if aggregates or query.args.get("having") else None
    if group.args.get("all"):
        return [[item.unalias() for item in query.expressions if not any(map(is_aggregate, own_nodes(item)))]]
    sets: list[list[exp.Expr]] = [[]]
    for item in group.expressions:
        sets = [[*one, *more] for one in sets for more in _sets(item)]
    return [[_meant(part, query) for part in one] for one in sets]


def check_group(queries: Queries, query: exp.Select, scope: Scope, sets: Sequence[Sequence[exp.Expr]]) -> None:
    """Refuse a grouping that puts rows of several groups together."""
    group = query.args.get("group")
    if group is not None:
        for what in unknown_clauses(group):
            queries.refuse(group, what)
    if not queries.rule.by_groups:
        if group is not None or query.args.get("having"):
            queries.refuse(group or query, "aggregates the driving source", word="group by" if group else "having")
        return
    if scope.is_mixed:
        queries.refuse(group or query, "aggregates a UNION ALL with a lookup", why=queries.MIXED)
        return
    for one in sets:
        if not one:
            clause = "aggregates the driving source without GROUP BY" if group is None else "aggregates all groups"
            queries.refuse(group or query, clause, word="group by" if group else "")
        elif not queries.is_whole_group([scope.value(part) for part in one]):
            shown = ", ".join(part.sql(queries.rule.dialect, comments=False) for part in one)
            queries.refuse(
                group or query, f"groups by GROUP BY ({shown}) and leaves out {queries.group_names()}", word="group by"
            )


def check_distinct(queries: Queries, query: exp.Select, scope: Scope) -> None:
    """Refuse DISTINCT where duplicates may come in two loads, and DISTINCT ON over several groups."""
    distinct = query.args["distinct"]
    on = distinct.args.get("on")
    if on is None:
        if not queries.rule.by_groups and not queries.rule.is_keyed:
            queries.refuse(distinct, "uses DISTINCT on the driving source", word="distinct")
        return
    parts = on.expressions if isinstance(on, exp.Tuple) else [on]
    if not queries.rule.by_groups:
        queries.refuse(distinct, "uses DISTINCT ON over the driving source", word="distinct")
    elif scope.is_mixed or not queries.is_whole_group([scope.value(_meant(part, query)) for part in parts]):
        queries.refuse(distinct, f"uses DISTINCT ON, which leaves out {queries.group_names()}", word="distinct")


def pivoted(queries: Queries, relation: Relation, pivot: exp.Pivot) -> Relation:
    """Return a relation behind PIVOT or UNPIVOT."""
    if not relation.is_driven:
        return Relation({}, rest=OpenTable((id(pivot),), None))
    for what in unknown_clauses(pivot):
        queries.refuse(pivot, what)
    read = {column.name.lower() for column in pivot.find_all(exp.Column)}
    read |= {name.name.lower() for field in pivot.args.get("fields") or [] for name in field.find_all(exp.Identifier)}
    if pivot.unpivot:
        made = {name.name.lower() for part in pivot.expressions for name in part.find_all(exp.Identifier)}
        kept = {name: value for name, value in relation.columns.items() if name not in read}
        return replace(relation, columns={**kept, **dict.fromkeys(sorted(made), OPAQUE)}, rest=_unknown(relation))
    if not queries.rule.by_groups:
        queries.refuse(pivot, "uses PIVOT, which aggregates the driving source", word="pivot")
        return Relation({}, relation.is_driven, relation.is_mixed, OpenTable((), None))
    group = pivot.args.get("group")
    if group is None:
        kept = {name: value for name, value in relation.columns.items() if name not in read}
    else:
        names = [column.name.lower() for column in group.find_all(exp.Column)]
        kept = {name: relation.columns.get(name, OPAQUE) for name in names}
    if relation.is_mixed or not queries.is_whole_group(kept.values()):
        queries.refuse(pivot, f"uses PIVOT over rows of several groups of {queries.group_names()}", word="pivot")
    return Relation(kept, relation.is_driven, relation.is_mixed, OpenTable((), None))


def _unknown(relation: Relation) -> OpenTable | None:
    return None if relation.rest is None else OpenTable((), None)


def _of(query: exp.Select, clause: str) -> list[exp.Expr]:
    found = query.args.get(clause)
    return [] if found is None else [found]


def _sets(item: exp.Expr) -> Iterator[list[exp.Expr]]:
    """Yield the grouping sets that one item of GROUP BY stands for."""
    if isinstance(item, exp.GroupingSets):
        for part in item.expressions:
            yield from _sets(part)
    elif isinstance(item, exp.Rollup):
        parts = [_listed(part) for part in item.expressions]
        for length in range(len(parts) + 1):
            yield [column for part in parts[:length] for column in part]
    elif isinstance(item, exp.Cube):
        parts = [_listed(part) for part in item.expressions]
        for chosen in range(2 ** min(len(parts), 10)):
            yield [column for place, part in enumerate(parts) if chosen >> place & 1 for column in part]
    else:
        yield _listed(item)


def _listed(item: exp.Expr) -> list[exp.Expr]:
    return [*item.expressions] if isinstance(item, exp.Tuple) else [item]


def _meant(part: exp.Expr, query: exp.Select) -> exp.Expr:
    """Return the expression that a position stands for."""
    while isinstance(part, exp.Paren):
        part = part.this
    if isinstance(part, exp.Literal) and part.is_int and 0 < int(part.name) <= len(query.expressions):
        found: exp.Expr = query.expressions[int(part.name) - 1].unalias()
        return found
    return part
