"""WHERE: conditions that say more of a column, and subqueries that keep rows as a semi-join does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlglot import exp

from metadata_sync.sql.increments.scope import Scope
from metadata_sync.sql.increments.syntax import conjuncts

if TYPE_CHECKING:
    from metadata_sync.sql.increments.queries import Queries


def filter_scope(queries: Queries, query: exp.Select, scope: Scope) -> None:
    """Note what the conditions of a WHERE, each of which holds in every row, say of the rows.

    `column is not null` undoes what an outer join made uncertain. `group in (select group …)` and
    `exists (select … where group = column)` keep to the group. By rows, a lookup that is filtered by `in` or `exists`
    over the driving source yields what it yields for the rows of each load: nothing is lost, and a row that two loads
    yield is one in a target with a business key.
    """
    for condition in conjuncts(query.args.get("where")):
        if isinstance(condition, exp.Not) and isinstance(condition.this, exp.Is):
            column = condition.this.this
            if isinstance(condition.this.expression, exp.Null) and isinstance(column, exp.Column):
                scope.gain(column, scope.value(column, with_aliases=False).or_null)
        elif isinstance(condition, exp.In) and condition.args.get("query") is not None:
            _membership(queries, condition, scope)
        elif isinstance(condition, exp.Exists):
            _existence(queries, condition, scope)


def _membership(queries: Queries, condition: exp.In, scope: Scope) -> None:
    node = condition.args["query"]
    relation = queries.relation_of(node, scope)
    if not relation.is_driven or relation.is_mixed or scope.is_mixed:
        return
    if not queries.rule.by_groups:
        _keep_by_rows(queries, node, scope)
        return
    left = condition.this.expressions if isinstance(condition.this, exp.Tuple) else [condition.this]
    pairs = [*zip(left, relation.columns.values(), strict=False)]
    carried: set[int] = set()
    for one, value in pairs:
        carried |= (
            value.carries if not scope.is_driven else value.carries & scope.value(one, with_aliases=False).matches
        )
    if carried == set(queries.rule.positions) and relation.rest is None:
        _keep_groups(node, scope, [(one, value.carries) for one, value in pairs])


def _existence(queries: Queries, condition: exp.Exists, scope: Scope) -> None:
    node = condition.this
    relation = queries.relation_of(node, scope) if isinstance(node, exp.Query) else None
    if relation is None or not relation.is_driven or relation.is_mixed or scope.is_mixed:
        return
    if not queries.rule.by_groups:
        _keep_by_rows(queries, node, scope)
        return
    compared = queries.compared.get(id(node), [])
    if not scope.is_driven and set().union(*(carries for _, carries in compared)) == set(queries.rule.positions):
        _keep_groups(node, scope, compared)


def _keep_groups(node: exp.Expr, scope: Scope, compared: Iterable[tuple[exp.Expr, frozenset[int]]]) -> None:
    """The rows of the SELECT belong to the groups that the subquery finds for them."""
    for one, carries in compared:
        scope.gain(one, carries)
    scope.is_driven = True
    scope.filtered_by.add(id(node))


def _keep_by_rows(queries: Queries, node: exp.Expr, scope: Scope) -> None:
    if not scope.is_driven and queries.rule.is_keyed:
        scope.is_driven = True
        scope.filtered_by.add(id(node))
