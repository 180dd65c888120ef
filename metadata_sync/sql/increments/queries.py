"""SELECTs, set operations and common table expressions: from the relations that they read to what they yield."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from sqlglot import exp

from metadata_sync.rows.names import TableName
from metadata_sync.sql.increments.expressions import Expressions
from metadata_sync.sql.increments.filters import filter_scope
from metadata_sync.sql.increments.grouping import check_distinct, check_group, grouped_by, pivoted
from metadata_sync.sql.increments.joins import from_clause, relation_of_scope
from metadata_sync.sql.increments.refusals import Refusals
from metadata_sync.sql.increments.relation import OPAQUE, OpenTable, Relation, Symbol, Value
from metadata_sync.sql.increments.rule import IncrementRule, canonical, source_column
from metadata_sync.sql.increments.scope import Item, Scope
from metadata_sync.sql.increments.syntax import conjuncts, own_nodes, unknown_clauses
from metadata_sync.sql.parse import ParsedSelect, folded, resolve_cte

_MOST_ROUNDS: Final = 20
"""Rounds over a recursive query; each forgets at least one column, and few queries need three."""


class Queries:
    """Derives the relation of each query of one SELECT.

    Attributes:
        named: Name of a column, of this SELECT or of one inside it → what is called so.
        equal: What joins require to be equal.
        scopes: SELECT, by id → its names and values.
        sides: What is left of the side of joins, by id, when conditions drop the rows that they fill with NULL.
        compared: Correlated query, by id → the expressions of the SELECT around it that it requires to be its group.

    Args:
        select: The SELECT.
        rule: What its row asks for.
        refusals: Takes what does not suit.
    """

    MIXED: Final = "rows that each load reads stand beside rows of which a load reads a part"

    def __init__(self, select: ParsedSelect, rule: IncrementRule, refusals: Refusals) -> None:
        self.rule = rule
        self.expressions = Expressions(self)
        self.sides: dict[int, str] = {}
        self.scopes: dict[int, Scope] = {}
        self.named: dict[str, list[Symbol]] = {}
        self.equal: list[tuple[Symbol, Symbol]] = []
        self.compared: dict[int, list[tuple[exp.Expr, frozenset[int]]]] = {}
        self._refusals = refusals
        self._reads = {id(read.node): read.name for read in select.reads}
        self._known: dict[tuple[int, int], Relation] = {}
        self._ctes: dict[int, Relation] = {}

    def refuse(self, node: exp.Expr, what: str, *, needs_full: bool = False, word: str = "", why: str = "") -> None:
        """Refuse a construct; see `Refusals.add`."""
        self._refusals.add(node, what, needs_full=needs_full, word=word, why=why)

    def refuse_if_driven(self, scope: Scope, node: exp.Expr, what: str) -> None:
        """Refuse a construct above a driving source."""
        if scope.is_driven:
            self.refuse(node, what)

    def is_stored(self, node: exp.Table) -> bool:
        """Tell whether an item of FROM is a table of the warehouse or lake."""
        return id(node) in self._reads

    def is_whole_group(self, values: Iterable[Value]) -> bool:
        """Tell whether rows that agree in some values are of one group."""
        return self.rule.determined_by(values) >= set(self.rule.positions)

    def group_names(self) -> str:
        """Return the groups of the driving sources for a message."""
        named = (f"({', '.join(texts)}), the group of {name}" for name, texts in self.rule.driving.items())
        return " or ".join(dict.fromkeys(named))

    def item(self, node: exp.Expr, outer: Scope) -> Scope:
        """Return one LATERAL item of FROM as a scope."""
        relation = self.relation_of(node, outer)
        return Scope(
            self.rule,
            outer,
            [Item(node.alias_or_name.lower(), relation)],
            {},
            {},
            relation.is_driven,
            relation.is_mixed,
        )

    def relation_of(self, node: exp.Expr, outer: Scope | None) -> Relation:
        """Return what a query or an item of FROM yields.

        Args:
            node: The query, table, subquery or function.
            outer: What a correlated query may name.
        """
        key = (id(node), id(outer))
        if key not in self._known:
            self._known[key] = self._relation(node, outer)
        return self._known[key]

    def _relation(self, node: exp.Expr, outer: Scope | None) -> Relation:
        if isinstance(node, exp.Select):
            return self._select(node, outer)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, outer)
        if isinstance(node, exp.Subquery):
            return self._subquery(node, outer)
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return self._pivots(node, self._table(node))
        if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Query):
            return self._aliased(node, self.relation_of(node.this, outer))
        return self._function(node, outer)

    def _function(self, node: exp.Expr, outer: Scope | None) -> Relation:
        """UNNEST, VALUES, a table function: rows that are made of values, of the row on the left or of constants."""
        scope = Scope(self.rule, outer)
        parts = [
            part for part in node.iter_expressions() if not isinstance(part, exp.TableAlias | exp.Join | exp.Lateral)
        ]
        self.expressions.check(parts, scope, node)
        if (
            outer is not None
            and outer.is_driven
            and not isinstance(node, exp.Values | exp.Unnest | exp.Table | exp.Lateral)
        ):
            self.refuse(node, f"reads from {type(node).__name__.upper()}")
        return self._aliased(node, Relation({}, rest=OpenTable((id(node),), None)))

    def _subquery(self, node: exp.Subquery, outer: Scope | None) -> Relation:
        relation = self.relation_of(node.this, outer)
        if relation.is_driven:
            for what in unknown_clauses(node):
                self.refuse(node, what)
            self._check_limit(node)
        return self._pivots(node, relation if node.args.get("pivots") else self._aliased(node, relation))

    def _pivots(self, node: exp.Expr, relation: Relation) -> Relation:
        for pivot in node.args.get("pivots") or []:
            relation = self._aliased(pivot, pivoted(self, relation, pivot))
        return relation

    @staticmethod
    def _aliased(node: exp.Expr, relation: Relation) -> Relation:
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
        return relation.renamed([column.name.lower() for column in columns or []])

    def _table(self, node: exp.Table) -> Relation:
        name = self._reads.get(id(node))
        if name is not None:
            relation = self._stored(node, name)
            if relation.is_driven:
                for what in unknown_clauses(node):
                    self.refuse(node, what)
        else:
            cte = resolve_cte(node)
            relation = Relation({}, rest=OpenTable((id(node),), None)) if cte is None else self._cte(cte)
            relation = relation.as_instance(id(node))
        return self._aliased(node, relation)

    def _stored(self, node: exp.Table, name: TableName) -> Relation:
        instance = (id(node),)
        known = self.rule.columns.get(name)
        names = [column.lower() for column in known or ()]
        if known is None:
            parts = self.rule.groups.get(name, ())
            names = [column.strip('"') for part in parts for column in sorted(part.columns)]
        columns = {
            column: self._source_value(instance, name, column) if names.count(column) == 1 or known is None else OPAQUE
            for column in names
        }
        rest = OpenTable(instance, name) if known is None else None
        return Relation(columns, name in self.rule.driving, rest=rest)

    def _source_value(self, instance: tuple[int], table: TableName, column: str) -> Value:
        node = source_column(column)
        text = canonical(node, self.rule.dialect)
        return Value(self.rule.carried_by(table, text), Symbol(instance, table, text, node))

    def _cte(self, cte: exp.CTE) -> Relation:
        if id(cte) not in self._ctes:
            query = cte.this
            is_recursive = isinstance(query, exp.Union) and any(
                table.name.lower() == folded(cte.args["alias"].this) and resolve_cte(table) is cte
                for table in query.expression.find_all(exp.Table)
                if not table.args.get("db") and isinstance(table.this, exp.Identifier)
            )
            if is_recursive:
                self._recursion(cte, query)
            else:
                self._ctes[id(cte)] = self._aliased(cte, self.relation_of(query, None))
            if self._ctes[id(cte)].is_driven:
                for what in [*unknown_clauses(cte), *unknown_clauses(cte.parent or cte)]:
                    self.refuse(cte, what)
        return self._ctes[id(cte)]

    def _recursion(self, cte: exp.CTE, query: exp.Union) -> None:
        """Find what is true of the rows of each round: what the first has, as far as each further round keeps it."""
        assumed = self._aliased(cte, self.relation_of(query.this, None))
        self._refusals.mute()
        for _ in range(_MOST_ROUNDS):
            self._ctes[id(cte)] = assumed
            found = self._without_memory(query, cte)
            if found == assumed:
                break
            assumed = found
        self._refusals.unmute()
        self._ctes[id(cte)] = self._without_memory(query, cte)

    def _without_memory(self, query: exp.Union, cte: exp.CTE) -> Relation:
        self._known.clear()
        return self._aliased(cte, self.relation_of(query, None))

    def _set_operation(self, node: exp.SetOperation, outer: Scope | None) -> Relation:
        left, right = self.relation_of(node.this, outer), self.relation_of(node.expression, outer)
        columns = self._matched(node, left, right)
        rest = None if left.rest is None and right.rest is None else OpenTable((id(node),), None)
        is_driven = left.is_driven or right.is_driven
        if not is_driven:
            return Relation(columns, rest=rest)
        for what in unknown_clauses(node):
            self.refuse(node, what)
        self._check_limit(node)
        is_mixed = left.is_mixed or right.is_mixed
        if isinstance(node, exp.Union):
            is_mixed = is_mixed or left.is_driven != right.is_driven
            if not self.rule.by_groups and not self.rule.is_keyed and (is_mixed or node.args.get("distinct")):
                word = "UNION, which removes duplicates (UNION ALL does not)" if node.args.get("distinct") else ""
                self.refuse(node, f"uses {word or 'a UNION ALL with rows of a lookup'}", word="union")
            return Relation(columns, is_driven, is_mixed, rest)
        return self._difference(node, left, right, Relation(columns, is_driven, is_mixed, rest))

    def _difference(self, node: exp.SetOperation, left: Relation, right: Relation, found: Relation) -> Relation:
        """EXCEPT and INTERSECT: of a lookup they filter; of two driven parts they keep to a group."""
        is_except = isinstance(node, exp.Except)
        word = type(node).__name__.upper()
        if self.rule.by_groups:
            whole = self.is_whole_group(found.columns.values()) if left.is_driven and right.is_driven else True
            carried = left if left.is_driven else right
            if found.is_mixed or not whole or not self.is_whole_group(carried.columns.values()):
                self.refuse(node, f"uses {word} without {self.group_names()}", word=word)
        elif (left.is_driven and right.is_driven) or not node.args.get("distinct") or not self.rule.is_keyed:
            self.refuse(node, f"uses {word} on the driving source", word=word)
        if is_except and right.is_driven and not left.is_driven:
            self.refuse(node, f"has the driving source on the right of {word}", word=word)
        one_side = left if left.is_driven else right
        if left.is_driven != right.is_driven and not node.args.get("by_name"):
            values = list(one_side.columns.values())
            names = list(found.columns)
            if left.rest is None and right.rest is None:
                return replace(found, columns=dict(zip(names, values, strict=False)))
        return found

    def _matched(self, node: exp.SetOperation, left: Relation, right: Relation) -> dict[str, Value]:
        """Return the columns of a set operation, by position or by name, with what is true in both parts."""
        if left.rest is not None or right.rest is not None:
            names = set(left.columns) & set(right.columns)
            if node.args.get("by_name") or left.rest == right.rest:
                return {name: self._united(node, left.columns[name], right.columns[name]) for name in sorted(names)}
            return self._matched_open(node, left, right)
        if node.args.get("by_name"):
            pairs = [
                (name, left.columns.get(name), right.columns.get(name)) for name in {**left.columns, **right.columns}
            ]
            return {name: OPAQUE if not one or not two else self._united(node, one, two) for name, one, two in pairs}
        if len(left.columns) != len(right.columns):  # a repeated name
            return dict.fromkeys(left.columns, OPAQUE)
        pairs_ = zip(left.columns.items(), right.columns.values(), strict=True)
        united = {}
        for (name, one), two in pairs_:
            by_driven = isinstance(node, exp.Union) and left.is_driven != right.is_driven
            united[name] = (one if left.is_driven else two) if by_driven else self._united(node, one, two)
        return united

    def _matched_open(self, node: exp.SetOperation, left: Relation, right: Relation) -> dict[str, Value]:
        """Both parts are `select *` of tables with the same, unknown columns: names stand at the same places."""
        if left.rest is None or right.rest is None or left.rest.table is None or left.rest.table != right.rest.table:
            return dict.fromkeys(left.columns, OPAQUE)
        names = set(left.columns) & set(right.columns)
        return {name: self._united(node, left.columns[name], right.columns[name]) for name in sorted(names)}

    @staticmethod
    def _united(node: exp.SetOperation, one: Value, two: Value) -> Value:
        """Return what is true of a column of both parts; they are one reading of their table from here on."""
        first, second = one.symbol, two.symbol
        symbol = None
        if first is not None and second is not None and (first.table, first.text) == (second.table, second.text):
            symbol = replace(first, instance=(id(node), first.instance, second.instance))
        return replace(one.both(two), symbol=symbol)

    def _select(self, query: exp.Select, outer: Scope | None) -> Relation:
        scope = self.scopes[id(query)] = from_clause(self, query, outer)
        scope.aliases = {item.alias.lower(): item.this for item in query.expressions if isinstance(item, exp.Alias)}
        self._narrow(query, scope)
        filter_scope(self, query, scope)
        if scope.is_driven:
            for what in unknown_clauses(query):
                self.refuse(query, what)
        sets = grouped_by(query)
        self.expressions.check(_own_expressions(query), scope, query)
        if scope.is_driven:
            self._check_limit(query)
            if sets is not None:
                check_group(self, query, scope, sets)
            if query.args.get("distinct"):
                check_distinct(self, query, scope)
        columns, rest = self._projected(query, scope, sets)
        return Relation(columns, scope.is_driven, scope.is_mixed, rest)

    def _narrow(self, query: exp.Select, scope: Scope) -> None:
        """Note that a correlated query reads the group of the row around it: it sees the same rows in each load."""
        if not (scope.is_driven and self.rule.by_groups and scope.outer is not None) or scope.is_mixed:
            return
        found: set[int] = set()
        for inner, around, with_null in self._correlated(query, scope):
            found |= inner.carries & (scope.value(around).carries if with_null else scope.value(around).matches)
            if scope.depths(around) == {1}:
                self.compared.setdefault(id(query), []).append((around, inner.carries))
        if found == set(self.rule.positions):
            scope.is_driven = False
            for item in scope.items:
                item.relation = item.relation.as_lookup()
            scope.merged = {name: Value(symbol=value.symbol) for name, value in scope.merged.items()}
            scope.pairs = {}

    @staticmethod
    def _correlated(query: exp.Select, scope: Scope) -> Iterator[tuple[Value, exp.Expr, bool]]:
        """Yield a value of a query, the expression around it that it must equal, and whether NULL equals NULL."""
        for condition in conjuncts(query.args.get("where")):
            if not isinstance(condition, exp.EQ | exp.NullSafeEQ) or condition.find(exp.Query) is not None:
                continue
            for inner, around in ((condition.this, condition.expression), (condition.expression, condition.this)):
                if scope.depths(inner) == {0} and scope.depths(around) and 0 not in scope.depths(around):
                    yield scope.value(inner), around, isinstance(condition, exp.NullSafeEQ)

    def _check_limit(self, query: exp.Expr) -> None:
        for clause in ("limit", "offset"):
            if query.args.get(clause):
                what = "uses LIMIT or OFFSET on the driving source"
                word = clause if clause == "offset" or isinstance(query.args[clause], exp.Limit) else "fetch"
                self.refuse(query.args[clause], what, needs_full=True, word=word)

    def _projected(
        self, query: exp.Select, scope: Scope, sets: list[list[exp.Expr]] | None
    ) -> tuple[dict[str, Value], OpenTable | None]:
        columns: dict[str, Value] = {}
        rest: OpenTable | None = None
        always = None
        if sets is not None and len(sets) > 1:
            always = set.intersection(*({part.unalias().sql().lower() for part in one} for one in sets))
        for projection in query.expressions:
            found, more = self._columns_of(projection, scope)
            rest = more or rest
            for name, value in found.items():
                given = value
                if always is not None and projection.unalias().sql().lower() not in always:
                    given = OPAQUE
                columns[name] = columns[name].both(given) if name in columns else given
                self.named.setdefault(name, []).extend([value.symbol] if value.symbol is not None else [])
        return columns, rest

    def _columns_of(self, projection: exp.Expr, scope: Scope) -> tuple[dict[str, Value], OpenTable | None]:
        if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
            items = [item for item in scope.items if item.alias == projection.table.lower()]
            return self._starred(projection.this, replace(scope, items=items, merged={}), scope)
        if isinstance(projection, exp.Star):
            return self._starred(projection, scope, scope)
        if _yields_several(projection):
            return {}, OpenTable((id(projection),), None)
        name = projection.alias_or_name.lower() or f" {id(projection)}"
        return {name: scope.value(projection)}, None

    @staticmethod
    def _starred(star: exp.Star, part: Scope, scope: Scope) -> tuple[dict[str, Value], OpenTable | None]:
        relation = relation_of_scope(part)
        left_out = {column.name.lower() for column in star.args.get("except_") or []}
        columns = {name: value for name, value in relation.columns.items() if name not in left_out}
        for item in star.args.get("replace") or []:
            columns[item.alias.lower()] = scope.value(item)
        for item in star.args.get("rename") or []:
            columns[item.alias.lower()] = columns.pop(item.this.name.lower(), OPAQUE)
        return columns, relation.rest


def _yields_several(projection: exp.Expr) -> bool:
    """Tell whether an expression stands for any number of columns, as `columns(*)` does and `count(*)` does not."""
    return any(
        isinstance(node, exp.Columns) or (isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count))
        for node in own_nodes(projection)
    )


def _own_expressions(query: exp.Select) -> list[exp.Expr]:
    """Return the expressions of a SELECT itself: not its WITH, its FROM and its joins."""
    found = [*query.expressions]
    for name in ("distinct", "where", "group", "having", "qualify", "order"):
        clause = query.args.get(name)
        if clause is not None:
            found += clause.iter_expressions()
    return found
