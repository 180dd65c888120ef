"""Checks that a SELECT suits its increment mode: that loads of parts give the same target as one load of everything.

A query is *driven* when it reads a driving source, directly or through a subquery or common table expression. Only
driven queries are checked; a lookup may be aggregated, ranked or joined in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.functions import is_aggregate, is_clock
from metadata_sync.sql.parse import ParsedSelect, resolve_cte

_GROUPS_OR_FULL: Final = "Use increment: groups or full, or set increment_checked: true if the result is right."
_FULL: Final = "Use increment: full, or set increment_checked: true if the result is right."


def increment_problems(select: ParsedSelect, increment: Increment, driving: Collection[TableName]) -> list[Problem]:
    """Find what makes a SELECT unsuitable for its increment mode.

    Args:
        select: The parsed SELECT.
        increment: The row's mode.
        driving: The tables that are windowed.

    Returns:
        One problem per kind of construct, each with the mode that is possible.
    """
    if increment is Increment.FULL:
        return []
    reach = _Reach(select, driving)
    check = _rows_problems if increment is Increment.ROWS else _groups_problems
    found = [*_clock_problems(select.tree, increment)]
    for query in select.tree.find_all(exp.Query):
        if reach.is_driven(query):
            found.extend(check(query, reach))
    return list(dict.fromkeys(found))


class _Reach:
    """Which queries read a driving source."""

    def __init__(self, select: ParsedSelect, driving: Collection[TableName]) -> None:
        self._driving = {id(read.node) for read in select.reads if read.name in driving}
        self._ctes: dict[int, bool] = {}

    def is_driven(self, node: exp.Expr) -> bool:
        return any(self._is_driven_table(table) for table in node.find_all(exp.Table))

    def is_driven_item(self, item: exp.Expr) -> bool:
        """Add one item of FROM, without the joins in parentheses that sqlglot puts below it."""
        return self._is_driven_table(item) if isinstance(item, exp.Table) else self.is_driven(item)

    def _is_driven_table(self, table: exp.Table) -> bool:
        if id(table) in self._driving:
            return True
        if not isinstance(table.this, exp.Identifier) or table.args.get("db"):
            return False
        cte = resolve_cte(table)
        if cte is None:
            return False
        if id(cte) not in self._ctes:
            self._ctes[id(cte)] = False  # a recursive reference adds nothing of its own
            self._ctes[id(cte)] = self.is_driven(cte.this)
        return self._ctes[id(cte)]


def _clock_problems(tree: exp.Expr, increment: Increment) -> Iterator[Problem]:
    for node in tree.walk():
        if is_clock(node):
            yield Problem(
                "increment_mode",
                f"{node.sql(comments=False)} gives another value at every run, so rows loaded earlier keep an old one.",
                _FULL,
                increment.value,
            )


def _rows_problems(query: exp.Expr, reach: _Reach) -> Iterator[Problem]:
    def problem(what: str, remedy: str = _GROUPS_OR_FULL) -> Problem:
        return Problem("increment_mode", f"The SELECT {what}, but increment: rows reads new rows only.", remedy, "rows")

    if query.args.get("limit") or query.args.get("offset"):
        yield problem("uses LIMIT or OFFSET on the driving source", _FULL)
    if isinstance(query, exp.SetOperation):
        yield from _set_operation_problems(query, problem)
    if not isinstance(query, exp.Select):
        return
    own = [node for part in query.args.values() for root in _nodes(part) for node in _own_nodes(root)]
    if query.args.get("group") or any(is_aggregate(node) and not _is_windowed(node) for node in own):
        yield problem("aggregates the driving source")
    if any(isinstance(node, exp.Window) for node in own) or query.args.get("qualify"):
        yield problem("uses window functions over the driving source")
    if query.args.get("distinct"):
        yield problem("uses DISTINCT on the driving source")
    if any(reach.is_driven(node) for node in own if isinstance(node, exp.Query)):
        yield problem("reads the driving source in a subquery of an expression")
    yield from _join_problems(query, reach, problem)
    if _is_recursive(query) and reach.is_driven(query.args["with_"]):
        yield problem("reads the driving source recursively", _FULL)


def _set_operation_problems(query: exp.SetOperation, problem: Callable[[str], Problem]) -> Iterator[Problem]:
    if isinstance(query, exp.Union):
        if query.args.get("distinct"):
            yield problem("uses UNION, which removes duplicates (UNION ALL does not)")
    else:
        yield problem(f"uses {type(query).__name__.upper()} on the driving source")


def _join_problems(query: exp.Select, reach: _Reach, problem: Callable[[str], Problem]) -> Iterator[Problem]:
    """Walk the joins in order, keeping whether what stands on the left is driven."""
    clause = query.args.get("from_")
    if clause is None:
        return
    yield from _walk_joins(clause.this, query.args.get("joins") or [], reach, problem)


def _walk_joins(
    first: exp.Expr, joins: list[exp.Join], reach: _Reach, problem: Callable[[str], Problem]
) -> Iterator[Problem]:
    inner = [*(first.args.get("joins") or []), *joins]
    if isinstance(first, exp.Subquery) and isinstance(first.this, exp.Table):  # a join in parentheses
        yield from _walk_joins(first.this, [], reach, problem)
    is_left_driven = reach.is_driven_item(first)
    for join in inner:
        item = join.this
        if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Table):
            yield from _walk_joins(item.this, [], reach, problem)
        is_right_driven = reach.is_driven_item(item)
        side, kind, method = join.side.upper(), join.kind.upper(), join.method.upper()
        if is_left_driven and is_right_driven:
            yield problem("joins the driving source to itself")
        elif (is_right_driven and side in {"LEFT", "FULL"}) or (is_left_driven and side in {"RIGHT", "FULL"}):
            yield problem("has the driving source on the nullable side of an outer join")
        elif is_right_driven and (kind in {"SEMI", "ANTI"} or method == "ASOF"):
            yield problem(f"has the driving source on the right of a {kind or method} join")
        if method == "POSITIONAL":
            yield problem("joins by position")
        is_left_driven = is_left_driven or is_right_driven


def _groups_problems(query: exp.Expr, reach: _Reach) -> Iterator[Problem]:
    def problem(what: str) -> Problem:
        message = f"The SELECT {what}, but increment: groups reads the touched groups only."
        return Problem("increment_mode", message, _FULL, "groups")

    if query.args.get("limit") or query.args.get("offset"):
        yield problem("uses LIMIT or OFFSET on the driving source")
    if not isinstance(query, exp.Select):
        return
    own = [node for part in query.args.values() for root in _nodes(part) for node in _own_nodes(root)]
    if not query.args.get("group") and any(is_aggregate(node) and not _is_windowed(node) for node in own):
        yield problem("aggregates the driving source without GROUP BY")
    named = {str(item.this.name).lower() for item in query.args.get("windows") or []}
    for window in (node for node in own if isinstance(node, exp.Window)):
        refers = str(window.alias).lower() in named
        if not refers and not window.args.get("partition_by"):
            yield problem("uses a window function without PARTITION BY over the driving source")
    if _is_recursive(query) and reach.is_driven(query.args["with_"]):
        yield problem("reads the driving source recursively")


def _nodes(part: object) -> Iterator[exp.Expr]:
    """Flatten one argument of a SELECT to the nodes that are expressions of it: not its WITH, FROM or joined tables."""
    if isinstance(part, list):
        for item in part:
            yield from _nodes(item)
    elif isinstance(part, exp.Join):
        yield from _nodes(part.args.get("on"))
    elif isinstance(part, exp.Expr) and not isinstance(part, exp.With | exp.From | exp.Lateral):
        yield part


def _own_nodes(root: exp.Expr) -> Iterator[exp.Expr]:
    """Walk an expression down to, and including, the queries nested in it."""
    return root.walk(prune=lambda node: isinstance(node, exp.Query))


def _is_windowed(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        parent = parent.parent
    return isinstance(parent, exp.Window)


def _is_recursive(query: exp.Select) -> bool:
    clause = query.args.get("with_")
    return clause is not None and bool(clause.args.get("recursive"))
