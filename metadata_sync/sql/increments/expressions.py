"""Expressions of a SELECT over a driving source: row by row, over whole groups, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sqlglot import exp

from metadata_sync.sql.functions import function_name, is_aggregate
from metadata_sync.sql.increments.scope import Scope
from metadata_sync.sql.increments.self_matches import query_finds_itself
from metadata_sync.sql.increments.syntax import is_plain_aggregate, own_nodes, unknown_clauses, unknown_expression

if TYPE_CHECKING:
    from metadata_sync.sql.increments.queries import Queries


class Expressions:
    """Looks at the expressions of one SELECT.

    Args:
        queries: Looks at nested queries.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def check(self, roots: Iterable[exp.Expr], scope: Scope, query: exp.Expr) -> None:
        """Refuse what needs other rows than those that a load reads.

        Args:
            roots: The expressions.
            scope: What they may name.
            query: The SELECT or join that they stand in.
        """
        for root in roots:
            for node in own_nodes(root):
                if isinstance(node, exp.Query):
                    self._subquery(node, scope)
                elif scope.is_driven:
                    self._node(node, scope, query)
                elif is_plain_aggregate(node) and self._is_of_outer_rows(node, scope):
                    self._queries.refuse(node, f"aggregates rows of the query around it by {function_name(node)}()")

    def _node(self, node: exp.Expr, scope: Scope, query: exp.Expr) -> None:
        queries = self._queries
        if isinstance(node, exp.Window):
            self._window(node, scope, query)
        elif is_aggregate(node):
            if is_plain_aggregate(node) and not queries.rule.by_groups:
                queries.refuse(node, "aggregates the driving source")
        elif isinstance(node.parent, exp.Window) and isinstance(node, exp.Func):
            return  # the function of a window
        else:
            what = unknown_expression(node, queries.rule.dialect, queries.rule.team_functions)
            if what is not None:
                queries.refuse(node, what)

    def _window(self, window: exp.Window, scope: Scope, query: exp.Expr) -> None:
        queries = self._queries
        for what in unknown_clauses(window):
            queries.refuse(window, what)
        if not queries.rule.by_groups:
            queries.refuse(window, "uses window functions over the driving source")
            return
        if scope.is_mixed:
            queries.refuse(window, "uses window functions over a UNION ALL with a lookup", why=queries.MIXED)
            return
        parts = self._partition(window, query)
        if not parts:
            queries.refuse(window, "uses a window function without PARTITION BY over the driving source")
        elif not queries.is_whole_group([scope.value(part, with_aliases=False) for part in parts]):
            shown = ", ".join(part.sql(queries.rule.dialect, comments=False) for part in parts)
            queries.refuse(window, f"uses PARTITION BY ({shown}) and leaves out {queries.group_names()}")

    @staticmethod
    def _partition(window: exp.Window, query: exp.Expr) -> list[exp.Expr]:
        """Return what a window is partitioned by, also by way of the named windows of the SELECT."""
        named = {str(item.this.name).lower(): item for item in query.args.get("windows") or []}
        parts = [*(window.args.get("partition_by") or [])]
        seen: set[str] = set()
        name = str(window.alias or "").lower()
        while name in named and name not in seen:
            seen.add(name)
            parts += named[name].args.get("partition_by") or []
            name = str(named[name].alias or "").lower()
        return parts

    def _subquery(self, node: exp.Query, scope: Scope) -> None:
        """Look at a query inside an expression; one that reads a driving source must keep to the row's group."""
        relation = self._queries.relation_of(node, scope)
        if not relation.is_driven or id(node) in scope.filtered_by:
            return
        if query_finds_itself(self._queries, node, scope):
            return
        if not self._queries.rule.by_groups:
            self._queries.refuse(node, "reads the driving source in a subquery of an expression")
        else:
            self._queries.refuse(
                node,
                "reads the driving source in a subquery, without a condition that the subquery's "
                f"{self._queries.group_names()} equals that of the row around it",
            )

    @staticmethod
    def _is_of_outer_rows(node: exp.Expr, scope: Scope) -> bool:
        """Whether an aggregate reads columns of a driven query around it only: it belongs to that query then."""
        if not any(around.is_driven for around in _around(scope)):
            return False
        depths = scope.depths(node)
        return bool(depths) and 0 not in depths


def _around(scope: Scope) -> Iterator[Scope]:
    outer = scope.outer
    while outer is not None:
        yield outer
        outer = outer.outer
