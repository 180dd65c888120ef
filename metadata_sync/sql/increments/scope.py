"""Names and values inside one SELECT: which column a name means, and what is known of an expression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from metadata_sync.sql.increments.relation import OPAQUE, Relation, Symbol, Value
from metadata_sync.sql.increments.rule import IncrementRule, canonical, source_column
from metadata_sync.sql.increments.syntax import unknown_expression


@dataclass
class Item:
    """A table, subquery or function of FROM, under its alias."""

    alias: str
    relation: Relation

    def value(self, name: str) -> Value | None:
        """Return a column's value; None: it has no such column."""
        found = self.relation.columns.get(name)
        rest = self.relation.rest
        if found is not None or rest is None:
            return found
        if rest.table is None:
            return OPAQUE
        return Value(symbol=Symbol(rest.instance, rest.table, source_column(name).sql(), source_column(name)))


@dataclass
class Scope:
    """What stands in FROM, and the SELECT around it.

    Attributes:
        rule: The rule of the row.
        outer: The scope around a subquery, whose columns it may read.
        items: What stands in FROM.
        merged: Columns that USING made one of two.
        pairs: Two columns of a full join, one of which holds the group in each row.
        is_driven: Whether a load reads a part of the rows only.
        is_mixed: Whether rows that a load always reads are among them.
        aliases: Names that the SELECT gives to expressions.
        filtered_by: Subqueries of WHERE that keep or drop rows and need no further look, by id.
    """

    rule: IncrementRule
    outer: Scope | None = None
    items: list[Item] = field(default_factory=list)
    merged: dict[str, Value] = field(default_factory=dict)
    pairs: dict[frozenset[str], frozenset[int]] = field(default_factory=dict)
    is_driven: bool = False
    is_mixed: bool = False
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    filtered_by: set[int] = field(default_factory=set)

    def values(self) -> Iterator[Value]:
        """All values that are known of the rows."""
        yield from self.merged.values()
        for item in self.items:
            yield from item.relation.columns.values()

    def resolve(self, column: exp.Column, *, with_aliases: bool = True) -> tuple[Value, int]:
        """Return what a column's name means, and how many scopes further out it stands."""
        found = self._own(column, with_aliases=with_aliases)
        if found is not None:
            return found, 0
        if self.outer is None:
            return OPAQUE, 0
        value, depth = self.outer.resolve(column)
        return value, depth + 1

    def _own(self, column: exp.Column, *, with_aliases: bool) -> Value | None:
        name, table = column.name.lower(), column.table.lower()
        if table:
            item = next((item for item in self.items if item.alias == table), None)
            return None if item is None else item.value(name) or OPAQUE
        if name in self.merged:
            return self.merged[name]
        found = [item.relation.columns[name] for item in self.items if name in item.relation.columns]
        if not found and with_aliases and name in self.aliases:
            return self.value(self.aliases[name], with_aliases=False)
        found = found or [value for item in self.items if (value := item.value(name)) is not None]
        return OPAQUE if len(found) > 1 else next(iter(found), None)

    def depths(self, node: exp.Expr) -> set[int]:
        """How far out the columns of an expression stand."""
        return {self.resolve(column)[1] for column in node.find_all(exp.Column)}

    def gain(self, node: exp.Expr, carries: frozenset[int]) -> None:
        """Note that a column has the value of a group in all rows that a join or filter leaves."""
        if not isinstance(node, exp.Column) or not carries:
            return
        name, table = node.name.lower(), node.table.lower()
        if not table and name in self.merged:
            self.merged[name] = replace(self.merged[name], carries=self.merged[name].carries | carries)
        for item in self.items:
            value = item.value(name)
            if value is not None and table in {"", item.alias}:
                columns = {**item.relation.columns, name: replace(value, carries=value.carries | carries)}
                item.relation = replace(item.relation, columns=columns)

    def value(self, node: exp.Expr, *, with_aliases: bool = True) -> Value:
        """Return what is known of an expression."""
        node = node.unalias()
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, exp.Column) and not node.is_star:
            return self.resolve(node, with_aliases=with_aliases)[0]
        if isinstance(node, exp.Max | exp.Min | exp.AnyValue) and isinstance(node.this, exp.Column):
            return Value(self.resolve(node.this, with_aliases=False)[0].carries)  # the same in all rows of a group
        if isinstance(node, exp.Coalesce):
            positions = self.pairs.get(frozenset(item.sql().lower() for item in [node.this, *node.expressions]))
            if positions:
                return Value(positions)
            found = self._first_known([node.this, *node.expressions], with_aliases=with_aliases)
            if found.matches:
                return found
        return self._computed(node, with_aliases=with_aliases)

    def _first_known(self, nodes: Sequence[exp.Expr], *, with_aliases: bool) -> Value:
        """Return what is known of COALESCE.

        Each value is the group or NULL, so the result is; when it is NULL, the one that is always the group is NULL.
        """
        values = [self.value(node, with_aliases=with_aliases) for node in nodes]
        matches = frozenset.intersection(*(value.matches for value in values))
        carries = matches & frozenset.union(*(value.carries for value in values))
        return Value(carries, or_null=matches - carries)

    def _computed(self, node: exp.Expr, *, with_aliases: bool) -> Value:
        known: dict[str, Symbol] = {}
        for part in node.walk():
            if isinstance(part, exp.Query | exp.Window | exp.AggFunc | exp.Star | exp.Lambda):
                return OPAQUE
            if unknown_expression(part, self.rule.dialect, self.rule.team_functions):
                return OPAQUE
            if isinstance(part, exp.Column):
                symbol = self.resolve(part, with_aliases=with_aliases)[0].symbol
                if symbol is None:
                    return OPAQUE
                known[part.sql()] = symbol
        first = next(iter(known.values()), None)
        if first is None or any(symbol.instance != first.instance for symbol in known.values()):
            return OPAQUE
        plain = node.transform(lambda part: known[part.sql()].node.copy() if isinstance(part, exp.Column) else part)
        text = canonical(plain, self.rule.dialect)
        return Value(self.rule.carried_by(first.table, text), Symbol(first.instance, first.table, text, plain))
