"""Which rows of a driving source a lookup reaches: the columns that join them, traced through every subquery.

A lookup that changes touches the driving rows that its join columns lead to, directly or through other tables:
`items.order_id = orders.id`, `orders.customer_id = customers.id`. A condition is used when no row of the lookup can
reach a driving row without it: an equality in ON, USING, IN or WHERE that is joined to the rest by AND. A column is
traced through a subquery that yields it as it is, and only when the subquery computes each of its values by itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from metadata_sync.rows.names import TableName
from metadata_sync.sql.functions import is_aggregate
from metadata_sync.sql.lineage import known_schema
from metadata_sync.sql.parse import ParsedSelect

_SIMPLE: Final = (
    *(exp.Column, exp.Identifier, exp.Literal, exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam),
    *(exp.Lower, exp.Upper, exp.Trim, exp.Coalesce, exp.Paren, exp.DPipe, exp.Add, exp.Sub, exp.Mul, exp.Neg),
    *(exp.Interval, exp.Var, exp.Boolean, exp.Null),
)
"""What an expression over columns of one table may consist of, so that it can be computed in that table alone."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One join of a path: expressions of the table before it equal expressions of `table`, by position."""

    left: tuple[str, ...]
    table: TableName
    right: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """The joins that lead from a driving source to a lookup."""

    source: TableName
    hops: tuple[Hop, ...]

    def __str__(self) -> str:
        """Return the joins for people.

        >>> str(Path(TableName("lake", "items"), (Hop(('"order_id"',), TableName("lake", "orders"), ('"id"',)),)))
        'lake.items (order_id) = lake.orders (id)'
        """
        text = str(self.source)
        for hop in self.hops:
            text += f" ({', '.join(hop.left)}) = {hop.table} ({', '.join(hop.right)})"
        return text.replace('"', "")


@dataclass(frozen=True, slots=True)
class LookupJoins:
    """How a SELECT joins its lookups.

    Attributes:
        paths: Lookup → one path per place that reads it; only lookups whose every place has one.
        dropping: Lookups without which a driving row is not yielded: an inner join, EXISTS, IN, or a condition on them.
        origins: Output column → the expression of the only driving source that it is; only such columns.
    """

    paths: Mapping[TableName, tuple[Path, ...]] = field(default_factory=dict)
    dropping: frozenset[TableName] = frozenset()
    origins: Mapping[str, str] = field(default_factory=dict)


def lookup_joins(
    select: ParsedSelect, driving: Collection[TableName], tables: Mapping[TableName, Sequence[str]]
) -> LookupJoins | None:
    """Trace the joins of a SELECT.

    Args:
        select: The parsed SELECT.
        driving: The tables that are windowed.
        tables: Column names of the tables that it reads, as far as they are known.

    Returns:
        The joins; None when the SELECT cannot be resolved.
    """
    try:
        tree = qualify(
            select.tree.copy(),
            dialect=select.dialect,
            schema=known_schema(tables),
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
        scopes = traverse_scope(tree)
    except (SqlglotError, RecursionError, ValueError):
        return None
    return _Joins(scopes, driving, select.dialect).found() if scopes else None


@dataclass(frozen=True, slots=True)
class _Side:
    """An expression over the columns of one place that reads a table.

    Attributes:
        place: The place.
        text: The expression.
        is_strict: Whether it is NULL where an outer join finds no row of the place.
    """

    place: exp.Table
    text: str
    is_strict: bool = True


class _Joins:
    """The places of one SELECT that read a table, and the equalities between them."""

    def __init__(self, scopes: Sequence[Scope], driving: Collection[TableName], dialect: str) -> None:
        self._scopes = scopes
        self._driving = frozenset(driving)
        self._dialect = dialect
        self._places: dict[int, exp.Table] = {}
        for scope in scopes:
            for source in scope.sources.values():
                if isinstance(source, exp.Table) and source.db:
                    self._places[id(source)] = source
        self._edges: dict[int, list[tuple[int, tuple[str, ...], tuple[str, ...]]]] = {}
        self._shared = frozenset(self._read_twice())

    def found(self) -> LookupJoins:
        for scope in self._scopes:
            self._add_edges(scope)
        reached = self._paths()
        lookups: dict[TableName, list[Path | None]] = {}
        for key, place in self._places.items():
            if _name(place) not in self._driving:
                lookups.setdefault(_name(place), []).append(reached.get(key))
        paths = {
            name: tuple(dict.fromkeys(path for path in found if path is not None))
            for name, found in lookups.items()
            if None not in found and name not in self._shared
        }
        return LookupJoins(paths, frozenset(self._dropping()), self._origins())

    def _add_edges(self, scope: Scope) -> None:
        """Add the equalities of one query: those of its joins, and for pairs that these do not join those of WHERE."""
        if not isinstance(scope.expression, exp.Select):
            return
        for conditions in (_join_conditions(scope.expression), _where_conditions(scope.expression)):
            pairs: dict[tuple[int, int], list[tuple[_Side, _Side]]] = {}
            for condition in conditions:
                found = self._sides(scope, condition)
                if found is not None and found[0].place is not found[1].place:
                    left, right = found
                    pairs.setdefault((id(left.place), id(right.place)), []).append((left, right))
            for (here, there), sides in pairs.items():
                if any(key == there for key, _, _ in self._edges.get(here, ())):
                    continue
                lefts, rights = [left for left, _ in sides], [right for _, right in sides]
                self._add_edge(lefts, rights)
                self._add_edge(rights, lefts)

    def _add_edge(self, lefts: Sequence[_Side], rights: Sequence[_Side]) -> None:
        """Add one direction, unless a lookup without a row leads on as well: `coalesce(orders.customer_id, 1)`."""
        here, there = lefts[0].place, rights[0].place
        if _name(here) in self._driving or any(left.is_strict for left in lefts):
            texts = tuple(left.text for left in lefts), tuple(right.text for right in rights)
            self._edges.setdefault(id(here), []).append((id(there), *texts))

    def _sides(self, scope: Scope, condition: exp.Expr) -> tuple[_Side, _Side] | None:
        if isinstance(condition, exp.EQ):
            left, right = self._side(scope, condition.this), self._side(scope, condition.expression)
        elif isinstance(condition, exp.In) and condition.args.get("query") is not None:
            query = condition.args["query"].unnest()
            inner = next((item for item in scope.subquery_scopes if item.expression is query), None)
            if inner is None or not isinstance(query, exp.Select) or len(query.selects) != 1:
                return None
            left, right = self._side(scope, condition.this), self._yielded(inner, query.selects[0].alias_or_name)
        else:
            return None
        return None if left is None or right is None else (left, right)

    def _side(self, scope: Scope, expression: exp.Expr) -> _Side | None:
        """Resolve an expression to one place; None when it is not simple, or reads several places."""
        if not all(isinstance(node, _SIMPLE) for node in expression.walk()):
            return None
        copied = exp.paren(expression.copy(), copy=False)
        places: dict[int, exp.Table] = {}
        columns = list(zip(expression.find_all(exp.Column), copied.find_all(exp.Column), strict=True))
        for column, replaced in columns:
            found = self._column(scope, column)
            if found is None:
                return None
            places[id(found.place)] = found.place
            replaced.replace(exp.maybe_parse(found.text, dialect=self._dialect))
        if len(places) != 1:
            return None
        is_strict = copied.find(exp.Coalesce) is None
        return _Side(next(iter(places.values())), copied.this.sql(self._dialect), is_strict)

    def _column(self, scope: Scope, column: exp.Column) -> _Side | None:
        around: Scope | None = scope
        while around is not None:
            source = around.sources.get(column.table)
            if isinstance(source, exp.Table):
                name = exp.to_identifier(column.name, quoted=True)
                return _Side(source, exp.Column(this=name).sql(self._dialect)) if source.db else None
            if source is not None:
                return self._yielded(source, column.name)
            around = around.parent if around.is_subquery else None
        return None

    def _yielded(self, scope: Scope, name: str) -> _Side | None:
        """Trace an output column of a subquery; None when its value there depends on rows with another value."""
        query = scope.expression
        if not isinstance(query, exp.Select) or any(query.args.get(part) for part in ("limit", "offset")):
            return None
        distinct = query.args.get("distinct")
        yielded = next((item for item in query.selects if item.alias_or_name == name), None)
        if yielded is None or (distinct is not None and distinct.args.get("on") is not None):
            return None
        inner = yielded.unalias()
        group = query.args.get("group")
        if group is not None and (inner not in group.expressions or (len(group.args) > 1 and _has_sets(group))):
            return None
        own = [node for node in query.walk() if node.parent_select is query]
        windows = [node for node in own if isinstance(node, exp.Window)]
        if any(inner not in (window.args.get("partition_by") or ()) for window in windows):
            return None
        inside = {id(part) for window in windows for part in window.walk()}
        if group is None and any(is_aggregate(node) and id(node) not in inside for node in own):
            return None
        return self._side(scope, inner)

    def _read_twice(self) -> Iterator[TableName]:
        """Yield the lookups of common table expressions that several queries read: one join of them says too little."""
        read = [item for scope in self._scopes for _, item in scope.selected_sources.values()]
        counts = Counter(id(item) for item in read if isinstance(item, Scope))
        for item in read:
            if counts[id(item)] > 1:
                yield from self._lookups_of(item)

    def _paths(self) -> dict[int, Path]:
        """Return the shortest path to every place, from any place that reads a driving source."""
        starts = [key for key, place in self._places.items() if _name(place) in self._driving]
        reached = {key: Path(_name(self._places[key]), ()) for key in starts}
        todo = deque(starts)
        while todo:
            here = todo.popleft()
            for there, left, right in self._edges.get(here, ()):
                if there not in reached:
                    before = reached[here]
                    hop = Hop(left, _name(self._places[there]), right)
                    reached[there] = Path(before.source, (*before.hops, hop))
                    todo.append(there)
        return reached

    def _origins(self) -> dict[str, str]:
        root = self._scopes[-1]
        if len(self._driving) != 1 or not isinstance(root.expression, exp.Select):
            return {}
        found = {}
        for item in root.expression.selects:
            side = self._side(root, item.unalias())
            if side is not None and _name(side.place) in self._driving:
                found[item.alias_or_name.lower()] = side.text
        return found

    def _dropping(self) -> Iterator[TableName]:
        for scope in self._scopes:
            query = scope.expression
            if not isinstance(query, exp.Select) or not self._drives(scope):
                continue
            preserved = _preserved(query)
            where = query.args.get("where")
            named = {column.table for column in where.find_all(exp.Column)} if where is not None else set()
            for alias, source in scope.sources.items():
                is_read = alias in scope.selected_sources
                if is_read and not self._drives(source) and (alias not in preserved or alias in named):
                    yield from self._lookups_of(source)
            for inner in scope.subquery_scopes:
                if where is not None and any(node is inner.expression for node in where.walk()):
                    yield from self._lookups_of(inner)

    def _drives(self, source: Scope | exp.Expr) -> bool:
        if isinstance(source, Scope):
            return any(self._drives(item) for _, item in source.selected_sources.values()) or any(
                self._drives(item) for item in source.set_operation_scopes
            )
        return isinstance(source, exp.Table) and _name(source) in self._driving

    def _lookups_of(self, source: Scope | exp.Expr) -> Iterator[TableName]:
        if isinstance(source, Scope):
            for _, item in source.selected_sources.values():
                yield from self._lookups_of(item)
            for inner in (*source.set_operation_scopes, *source.subquery_scopes):
                yield from self._lookups_of(inner)
        elif isinstance(source, exp.Table) and source.db and _name(source) not in self._driving:
            yield _name(source)


def _has_sets(group: exp.Group) -> bool:
    return any(group.args.get(part) for part in ("grouping_sets", "cube", "rollup", "all", "totals"))


def _preserved(query: exp.Select) -> set[str]:
    """Return the tables whose missing rows drop no row of the tables before them: those of a LEFT JOIN."""
    return {join.alias_or_name for join in query.args.get("joins") or () if join.side.upper() in ("LEFT", "FULL")}


def _join_conditions(query: exp.Select) -> Iterator[exp.Expr]:
    """Yield the conditions of joins; the ON of an outer join says nothing about two other tables."""
    for join in query.args.get("joins") or ():
        for condition in _conjuncts(join.args["on"]) if join.args.get("on") is not None else ():
            if not join.side or any(column.table == join.alias_or_name for column in condition.find_all(exp.Column)):
                yield condition


def _where_conditions(query: exp.Select) -> Iterator[exp.Expr]:
    where = query.args.get("where")
    if where is not None:
        yield from _conjuncts(where.this)


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    for part in condition.flatten() if isinstance(condition, exp.And) else (condition,):
        bare = part.unnest()
        if isinstance(bare, exp.And):
            yield from _conjuncts(bare)
        else:
            yield bare


def _name(place: exp.Table) -> TableName:
    return TableName(place.db.lower(), place.name.lower())
