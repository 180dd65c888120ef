"""What names mean inside one SELECT: the columns of its tables, its aliases, and those of the query around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from metadata_sync.sql.spark.kinds import UNKNOWN, Kind
from metadata_sync.sql.spark.value import Refusal, Value

if TYPE_CHECKING:
    from metadata_sync.sql.spark.expressions import Expressions


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a query or table.

    Attributes:
        name: As it is spelled.
        kind: Its type; None: one that Spark does not have.
        written: The type as the warehouse writes it.
    """

    name: str
    kind: Kind | None
    written: str = ""


@dataclass(slots=True)
class Relation:
    """An item of FROM.

    Attributes:
        alias: Its name, as it is spelled.
        columns: Its columns, in order.
    """

    alias: str
    columns: tuple[Output, ...]

    def find(self, name: str) -> list[Output]:
        """Return its columns of a name."""
        return [column for column in self.columns if column.name.lower() == name.lower()]


@dataclass
class Scope:
    """Names of one SELECT.

    Attributes:
        ctes: Common table expressions that it sees: their columns and their names on Spark, by name.
        outer: The scope around a subquery.
        relations: The items of FROM.
        merged: What a column of USING or of a natural join stands for.
        hidden: Aliases whose merged columns a star leaves out.
        aliases: The expressions of aliases that may be named.
        prefers_alias: Whether a name means an alias before it means a column.
        is_correlated: Whether a name was found outside.
    """

    ctes: Mapping[str, tuple[str, tuple[Output, ...]]] = field(default_factory=dict)
    outer: Scope | None = None
    relations: list[Relation] = field(default_factory=list)
    merged: dict[str, Value] = field(default_factory=dict)
    hidden: set[tuple[str, str]] = field(default_factory=set)
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    prefers_alias: bool = False
    is_correlated: bool = False

    def column(self, node: exp.Column, translator: Expressions) -> Value:
        """Translate the name of a column.

        Raises:
            Refusal: When it has no meaning here, or several.
        """
        found = self._qualified(node) if node.table else self._plain(node, translator)
        if found is not None:
            return found
        if self.outer is not None:
            value = self.outer.column(node, translator.sub(self.outer))
            self.is_correlated = True
            return value
        message = "could not be resolved: it is no column of a table here"
        raise Refusal(node, message, "Name a column of a table in FROM, with the table's alias.")

    def _qualified(self, node: exp.Column) -> Value | None:
        if node.args.get("db") is not None:
            raise Refusal(node, "names a schema", "Give the table an alias and use that.")
        for relation in self.relations:
            if relation.alias.lower() == node.table.lower():
                columns = relation.find(node.name)
                if columns:
                    return _one(node, relation, columns)
        return None

    def _plain(self, node: exp.Column, translator: Expressions) -> Value | None:
        name = node.name.lower()
        alias = self.aliases.get(name)
        columns = [(relation, relation.find(name)) for relation in self.relations if relation.find(name)]
        if alias is not None and columns and self.prefers_alias and not _is_same(alias, name):
            raise Refusal(node, "is a column and an alias", "Name the column with its table, or rename the alias.")
        if name in self.merged:
            return self.merged[name]
        if len(columns) > 1:
            raise Refusal(node, "is in several tables", "Name it with its table's alias.")
        if columns:
            return _one(node, *columns[0])
        if alias is None:
            return None
        earlier = {known: item for known, item in self.aliases.items() if item is not alias}
        return translator.sub(_with_aliases(self, earlier)).value(alias)

    def star(self, alias: str | None = None) -> Iterator[tuple[str, exp.Column]]:
        """Return the columns that `*` or `alias.*` stands for.

        Args:
            alias: The table of `alias.*`; None: all of them.
        """
        for relation in self.relations:
            if alias is not None and relation.alias.lower() != alias.lower():
                continue
            for column in relation.columns:
                name = column.name.lower()
                if alias is None and (relation.alias.lower(), name) in self.hidden:
                    continue
                table = None if alias is None and name in self.merged else relation.alias
                yield column.name, exp.column(column.name, table=table)


def _with_aliases(scope: Scope, aliases: dict[str, exp.Expr]) -> Scope:
    return Scope(scope.ctes, scope.outer, scope.relations, scope.merged, scope.hidden, aliases)


def _is_same(alias: exp.Expr, name: str) -> bool:
    return isinstance(alias, exp.Column) and alias.name.lower() == name


def _one(node: exp.Column, relation: Relation, columns: list[Output]) -> Value:
    if len(columns) > 1:
        raise Refusal(node, f"names one of several columns of {relation.alias}", "Give each another name.")
    (column,) = columns
    if column.kind is None:
        raise Refusal(node, f"is {column.written}, a type that Spark does not have", "Do not read it on Spark.")
    if column.kind == UNKNOWN:
        raise Refusal(node, None)
    return Value(reference(column.name, relation.alias), column.kind)


def reference(name: str, table: str | None = None) -> exp.Column:
    """Return the name of a column for Spark, in quotes."""
    quoted = None if table is None else exp.to_identifier(table, quoted=True)
    return exp.column(exp.to_identifier(name, quoted=True), table=quoted)
