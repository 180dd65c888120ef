"""Queries: SELECT with its clauses, set operations, common table expressions and joins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName
from metadata_sync.sql.parse import folded
from metadata_sync.sql.spark.aggregates import _AGGREGATES
from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.expressions import Expressions, Place, common_kind
from metadata_sync.sql.spark.joins import Joiner
from metadata_sync.sql.spark.kinds import NULL, UNKNOWN, VARCHAR, Kind
from metadata_sync.sql.spark.scope import Output, Relation, Scope, reference
from metadata_sync.sql.spark.value import REMEDY, Refusal, Value, cast

_SELECT_PARTS: Final = frozenset(
    [
        "expressions",
        "distinct",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "windows",
        "qualify",
        "order",
        "with_",
        "kind",
        "hint",
    ]
)
_SIDE: Final = "sluice_side"
_INNER: Final = "sluice_inner"
_KEEP: Final = "sluice_is_kept"
Source = Callable[[TableName, str], exp.Expr]
"""Returns the view of a source, as an item of FROM with an alias."""


@dataclass
class Made:
    """A translated query.

    Attributes:
        sql: The query for Spark.
        columns: Its columns.
        is_correlated: Whether it reads a row around it.
    """

    sql: exp.Query
    columns: tuple[Output, ...]
    is_correlated: bool = False


@dataclass
class Queries:
    """Translates the queries of one row.

    Attributes:
        dialect: The warehouse's SQL.
        tables: Columns of every table with their types.
        source: Returns the view of a source.
        problems: What cannot be translated.
    """

    dialect: str
    tables: Mapping[TableName, tuple[Output, ...]]
    source: Source
    problems: list[Problem] = field(default_factory=list)
    cte_names: set[str] = field(default_factory=set)

    def query(self, node: exp.Expr, scope: Scope) -> Made:
        """Translate a query.

        Args:
            node: The query.
            scope: What it sees: common table expressions, and the scope around it.

        Raises:
            Refusal: When its form is not proved to mean the same on Spark.
        """
        scope = Scope(scope.ctes, scope.outer)
        ctes, scope = self._with(node, scope)
        if isinstance(node, exp.Select):
            made = self._select(node, scope)
        elif isinstance(node, exp.SetOperation):
            made = self._set_operation(node, scope)
        elif isinstance(node, exp.Subquery) and not _others(node, "this alias with_"):
            made = self.query(node.this, scope)
        elif isinstance(node, exp.Values):
            made = self._values(node, scope)
        else:
            raise Refusal(node, "is a query that is not known to mean the same on Spark")
        if ctes:
            inner = made.sql.args.get("with_")
            found = [*ctes, *(inner.expressions if inner is not None else [])]
            made.sql.set("with_", exp.With(expressions=found))
        return made

    def subquery(self, query: exp.Expr, scope: Scope) -> tuple[exp.Query, list[Kind], bool]:
        """Translate a query inside an expression; see `expressions.Queries`."""
        inner = query.unnest() if isinstance(query, exp.Subquery) else query
        made = self.query(inner, Scope(scope.ctes, outer=scope))
        is_plain = isinstance(inner, exp.Select) and not any(inner.args.get(part) for part in ("group", "having"))
        is_plain = is_plain and not any(inner.find_all(*_AGGREGATES, exp.Window))
        if made.is_correlated and not is_plain:
            raise Refusal(query, "groups rows and reads the row outside of it, which Spark does not do", "Join it.")
        return made.sql, [column.kind or UNKNOWN for column in made.columns], made.is_correlated

    def _with(self, node: exp.Expr, scope: Scope) -> tuple[list[exp.CTE], Scope]:
        with_ = node.args.get("with_")
        if with_ is None:
            return [], scope
        if with_.args.get("recursive") and any(_reads(cte.this, cte.alias) for cte in with_.expressions):
            raise Refusal(with_, "is recursive, which Spark does not have", "Land the steps, or use engine: warehouse.")
        known, ctes = dict(scope.ctes), []
        for cte in with_.expressions:
            made = self.query(cte.this, Scope(known, scope.outer))
            names = [column.name for column in cte.args["alias"].args.get("columns") or []]
            columns = renamed(made.columns, names, cte)
            name = self._free_name(cte.alias)
            alias = exp.TableAlias(
                this=exp.to_identifier(name, quoted=True),
                columns=[exp.to_identifier(column.name, quoted=True) for column in columns],
            )
            ctes.append(exp.CTE(this=made.sql, alias=alias))
            known[cte.alias.lower()] = (name, columns)
        return ctes, Scope(known, scope.outer)

    def _free_name(self, name: str) -> str:
        """Return a name for Spark that no other common table expression and no view has."""
        free, taken = name, {view.model_name.lower() for view in self.tables} | self.cte_names
        while free.lower() in taken:
            free = f"{free}_{len(self.cte_names)}"
        self.cte_names.add(free.lower())
        return free

    def _select(self, node: exp.Select, scope: Scope) -> Made:
        self._check_clauses(node)
        joins = Joiner(self, scope, self.dialect)
        from_ = joins.from_(node)
        windows = {item.name.lower(): item for item in node.args.get("windows") or []}
        translator = Expressions(self.dialect, scope, self, windows=windows, problems=self.problems)
        made = exp.Select(from_=from_, joins=joins.made)
        if joins.made or from_ is not None:
            joins.finish(translator)
        items = self._projection(node, scope)
        values = self._values_of(items, scope, translator)
        if scope.is_correlated:
            reason = "reads the row outside of it in SELECT or ON, where Spark does not take it"
            raise Refusal(node, reason, "Name the outer columns in WHERE only, or join.")
        self._conditions(node, items, values, made, translator)
        names = [name for name, _ in items]
        kinds = [value.kind for value in values]
        kept = self._kept(node, scope, translator)
        made.set("expressions", _aliased(names, [value.sql for value in values]))
        columns = tuple(Output(name, kind) for name, kind in zip(names, kinds, strict=True))
        sql = _where_kept(made, names, kept, bool(node.args.get("distinct")))
        return Made(sql, columns, scope.is_correlated)

    def _check_clauses(self, node: exp.Select) -> None:
        distinct, odd = node.args.get("distinct"), _others(node, " ".join(_SELECT_PARTS))
        if distinct is not None and distinct.args.get("on") is not None:
            raise Refusal(distinct, "keeps rows by order, which Spark does not have", "Use QUALIFY row_number() … = 1.")
        if odd:
            what = ", ".join(name.strip("_").upper() for name in odd)
            raise Refusal(node, f"uses {what}, which is not known to mean the same on Spark", _LIMIT_REMEDY)
        if node.args.get("kind") is not None:
            raise Refusal(node, "yields structs, which is not known to mean the same on Spark")

    def _projection(self, node: exp.Select, scope: Scope) -> list[tuple[str, exp.Expr]]:
        """Return the name and the expression of each column, stars expanded."""
        items: list[tuple[str, exp.Expr]] = []
        for place, item in enumerate(node.expressions, start=1):
            star = item.this if isinstance(item, exp.Column) and isinstance(item.this, exp.Star) else item
            if isinstance(star, exp.Star):
                items += self._star(star, item.table if star is not item else None, scope)
            elif isinstance(item, exp.Alias):
                items.append((item.alias, item.this))
            elif isinstance(item, exp.Subquery) and item.alias:
                items.append((item.alias, exp.Subquery(this=item.this.copy())))
            else:
                items.append((item.name if isinstance(item, exp.Column) else f"sluice_column_{place}", item))
        return items

    def _star(self, star: exp.Star, alias: str | None, scope: Scope) -> list[tuple[str, exp.Expr]]:
        odd = _others(star, "except_ replace")
        if odd:
            raise Refusal(star, f"has {' and '.join(odd)}", "Name the columns.")
        left_out = {item.name.lower() for item in star.args.get("except_") or []}
        replaced = {item.alias.lower(): item.this for item in star.args.get("replace") or []}
        found = [(name, column) for name, column in scope.star(alias) if name.lower() not in left_out]
        lower = [name.lower() for name, _ in found]
        if len(set(lower)) < len(lower) and scope.relations:
            twice = next(name for name in lower if lower.count(name) > 1)
            raise Refusal(star, f"yields {twice} more than once", "Name the columns that are needed.")
        return [(name, replaced.get(name.lower(), column)) for name, column in found]

    def _values_of(self, items: Sequence[tuple[str, exp.Expr]], scope: Scope, translator: Expressions) -> list[Value]:
        """Translate the columns; each may name the aliases before it."""
        values = []
        for name, item in items:
            values.append(translator.collect(item, Place(has_queries=True)))
            scope.aliases.setdefault(name.lower(), item)
        return values

    def _conditions(
        self,
        node: exp.Select,
        items: Sequence[tuple[str, exp.Expr]],
        values: Sequence[Value],
        made: exp.Select,
        translator: Expressions,
    ) -> None:
        where, having = node.args.get("where"), node.args.get("having")
        if where is not None:
            place = Place("WHERE", is_condition=True, has_queries=True)
            made.set("where", exp.Where(this=translator.condition(where.this, place)))
        translator = translator.sub(translator.scope)
        translator.scope.prefers_alias = True
        group = node.args.get("group")
        if group is not None:
            made.set("group", self._group(group, items, values, translator))
        if having is not None:
            made.set("having", exp.Having(this=translator.condition(having.this, Place("HAVING"))))

    def _group(
        self,
        group: exp.Group,
        items: Sequence[tuple[str, exp.Expr]],
        values: Sequence[Value],
        translator: Expressions,
    ) -> exp.Group | None:
        odd = _others(group, "expressions all")
        if group.args.get("all"):
            keys = [value.sql for (_, item), value in zip(items, values, strict=True) if not _is_aggregated(item)]
            return exp.Group(expressions=[_key(key) for key in keys]) if keys else None
        made = []
        for item in group.expressions:
            if odd or isinstance(item, exp.Rollup | exp.Cube | exp.GroupingSets):
                reason = "groups by several sets, which Spark does differently without rows"
                self.problems.append(Refusal(item, reason, "Write UNION ALL of the groupings.").problem)
            elif isinstance(item, exp.Literal) and not item.is_string and int(str(item.this)) <= len(values):
                made.append(_key(values[int(str(item.this)) - 1].sql))
            else:
                made.append(_key(translator.collect(item, Place("GROUP BY")).sql))
        return exp.Group(expressions=made)

    def _kept(self, node: exp.Select, scope: Scope, translator: Expressions) -> exp.Expr | None:
        qualify = node.args.get("qualify")
        if qualify is None:
            return None
        return translator.sub(scope).condition(qualify.this, Place())

    def _set_operation(self, node: exp.SetOperation, scope: Scope) -> Made:
        odd = _others(node, "this expression distinct with_ order")
        if odd:
            what = " and ".join(name.strip("_").replace("_", " ") for name in odd)
            raise Refusal(node, f"uses {what}, which Spark does not do alike", "Name the columns of both in one order.")
        left, right = self.query(node.this, scope), self.query(node.expression, scope)
        if len(left.columns) != len(right.columns):
            raise Refusal(node, "joins queries of different numbers of columns", "Name the same number of columns.")
        columns = tuple(
            Output(one.name, _meeting(one, other, node)) for one, other in zip(left.columns, right.columns, strict=True)
        )
        sides = [_as_side(side, columns, node) for side in (left, right)]
        operation = type(node)(this=sides[0], expression=sides[1], distinct=bool(node.args.get("distinct")))
        return Made(operation, columns, left.is_correlated or right.is_correlated)

    def _values(self, node: exp.Values, scope: Scope) -> Made:
        """Write VALUES as SELECTs, one a row, of one type a column."""
        translator = Expressions(self.dialect, scope, self, problems=self.problems)
        rows = [translator.values(row.expressions) for row in node.expressions]
        kinds = []
        for column in zip(*rows, strict=True):
            kind = common_kind(column, node)
            kinds.append(VARCHAR if kind == NULL and column[0].text is not None else kind)
        names = [column.name for column in (node.args.get("alias") or exp.TableAlias()).args.get("columns") or []]
        names += [f"col{place}" for place in range(len(names), len(kinds))]
        selects = [
            exp.Select(expressions=_aliased(names, [convert(v, k, node) for v, k in zip(row, kinds, strict=True)]))
            for row in rows
        ]
        made: exp.Query = selects[0]
        for one in selects[1:]:
            made = exp.Union(this=made, expression=one, distinct=False)
        return Made(made, tuple(Output(name, kind) for name, kind in zip(names, kinds, strict=True)))

    def relation(self, node: exp.Expr, scope: Scope) -> tuple[exp.Expr, Relation]:
        """Translate an item of FROM.

        Args:
            node: The item.
            scope: What the query sees.

        Raises:
            Refusal: When Spark does not read it alike.
        """
        alias_node = node.args.get("alias")
        names = [column.name for column in (alias_node.args.get("columns") or [])] if alias_node is not None else []
        if isinstance(node, exp.Table) and not _others(node, "this db alias joins") and _is_name(node.this):
            return self._table(node, names, scope)
        if isinstance(node, exp.Values) or (isinstance(node, exp.Subquery) and not _others(node, "this alias joins")):
            inner = node if isinstance(node, exp.Values) else node.this
            made = self.query(inner, Scope(scope.ctes, None))
            alias = node.alias or f"sluice_item_{len(scope.relations) + 1}"
            columns = renamed(made.columns, names, node)
            return _subquery(made, alias, columns), Relation(alias, columns)
        what = type(node).__name__.upper()
        reason = f"reads {what} in FROM, which is not known to mean the same on Spark"
        raise Refusal(node, reason, "Read tables, subqueries and common table expressions.")

    def _table(self, node: exp.Table, names: Sequence[str], scope: Scope) -> tuple[exp.Expr, Relation]:
        alias = node.alias or node.name
        if not node.args.get("db"):
            found = scope.ctes.get(node.name.lower())
            if found is None:
                raise Refusal(node, "is no table with a schema", "Write schema.table.")
            columns = renamed(found[1], names, node)
            item: exp.Expr = exp.Table(this=exp.to_identifier(found[0], quoted=True))
        else:
            name = TableName(folded(node.args["db"]), folded(node.this))
            if name not in self.tables:
                raise Refusal(node, "has no known columns", "Run `sluice sync` first.")
            columns = renamed(self.tables[name], names, node)
            if not names:
                return self.source(name, alias), Relation(alias, columns)
            item = self.source(name, alias)
            item.args["alias"].set("columns", None)
        item.set("alias", _table_alias(alias, columns if names else ()))
        return item, Relation(alias, columns)


_LIMIT_REMEDY: Final = "Choose rows by row_number() and QUALIFY, or use engine: warehouse."


def renamed(columns: Sequence[Output], names: Sequence[str], node: exp.Expr) -> tuple[Output, ...]:
    """Return columns with the first ones named otherwise."""
    if len(names) > len(columns):
        raise Refusal(node, "names more columns than there are", REMEDY)
    new = [Output(name, column.kind, column.written) for name, column in zip(names, columns, strict=False)]
    return (*new, *columns[len(names) :])


def _table_alias(alias: str, columns: Sequence[Output]) -> exp.TableAlias:
    made = [exp.to_identifier(column.name, quoted=True) for column in columns]
    return exp.TableAlias(this=exp.to_identifier(alias, quoted=True), columns=made or None)


def _subquery(made: Made, alias: str, columns: Sequence[Output]) -> exp.Subquery:
    return exp.Subquery(this=made.sql, alias=_table_alias(alias, columns))


def _aliased(names: Sequence[str], values: Sequence[exp.Expr]) -> list[exp.Expr]:
    return [
        exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))
        for name, value in zip(names, values, strict=True)
    ]


def _where_kept(made: exp.Select, names: Sequence[str], kept: exp.Expr | None, is_distinct: bool) -> exp.Select:
    """Write QUALIFY as a condition of a query around it; DISTINCT comes after both."""
    distinct = exp.Distinct() if is_distinct else None
    if kept is None:
        made.set("distinct", distinct)
        return made
    inner = [f"sluice_{place}" for place in range(len(names))]
    made.set("expressions", [*_aliased(inner, [item.this for item in made.expressions]), *_aliased([_KEEP], [kept])])
    return exp.Select(
        expressions=_aliased(names, [reference(name, _INNER) for name in inner]),
        distinct=distinct,
        from_=exp.From(this=made.subquery(_INNER)),
        where=exp.Where(this=reference(_KEEP, _INNER)),
    )


def _as_side(side: Made, columns: Sequence[Output], node: exp.Expr) -> exp.Expr:
    """Return one side of a set operation, its columns cast to the common types."""
    names = [f"sluice_{place}" for place in range(len(columns))]
    values = [
        convert(Value(reference(name, _SIDE), own.kind or UNKNOWN), column.kind or UNKNOWN, node)
        for name, own, column in zip(names, side.columns, columns, strict=True)
    ]
    inner = _subquery(side, _SIDE, [Output(name, None) for name in names])
    return exp.Select(expressions=_aliased([item.name for item in columns], values), from_=exp.From(this=inner))


def _meeting(one: Output, other: Output, node: exp.Expr) -> Kind:
    """Return the type that columns of a set operation meet in: beside text everything is text."""
    kinds = [one.kind or UNKNOWN, other.kind or UNKNOWN]
    if UNKNOWN in kinds:
        raise Refusal(node, None)
    if VARCHAR in kinds and NULL not in kinds:
        return VARCHAR
    return common_kind([Value(exp.null(), kind) for kind in kinds], node)


def _key(key: exp.Expr) -> exp.Expr:
    """Return a key of GROUP BY; a number that is written out would be the place of a column."""
    return cast(key, "INT") if isinstance(key, exp.Literal) and not key.is_string else key.copy()


def _is_aggregated(item: exp.Expr) -> bool:
    return any(not isinstance(found.parent, exp.Window) for found in item.find_all(*_AGGREGATES)) or any(
        item.find_all(exp.Window)
    )


def _is_name(node: exp.Expr) -> bool:
    return isinstance(node, exp.Identifier)


def _reads(query: exp.Expr, name: str) -> bool:
    return any(not table.db and table.name.lower() == name.lower() for table in query.find_all(exp.Table))


def _others(node: exp.Expr, known: str) -> list[str]:
    """Return the parts of a node that nobody reads."""
    names = known.split()
    return sorted(name for name, part in node.args.items() if part not in (None, [], False) and name not in names)
