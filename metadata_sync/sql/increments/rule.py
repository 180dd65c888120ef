"""What a row asks of its SELECT: the increment mode, the driving sources and their groups."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.increments.relation import Value


@dataclass(frozen=True)
class IncrementRule:
    """How a target reads its sources.

    Attributes:
        increment: The mode.
        driving: Driving source → its `recompute_by`, columns or expressions over its columns.
        output_group: Output columns that carry the group, by position (`recompute_key`); empty: not checked.
        is_keyed: Whether the target has a business key, under which equal rows are one.
        range_key: Output column that an append without a business key is replaced by; None: there is none.
        columns: Table → its columns, as far as they are known.
        dialect: The warehouse's SQL.
        team_functions: Functions that the team allows; nobody knows whether they work row by row.
    """

    increment: Increment
    driving: Mapping[TableName, Sequence[str]]
    output_group: Sequence[str] = ()
    is_keyed: bool = True
    range_key: str | None = None
    columns: Mapping[TableName, Sequence[str]] = field(default_factory=dict)
    dialect: str = "duckdb"
    team_functions: Collection[str] = ()

    @property
    def by_groups(self) -> bool:
        """Whether a load reads whole groups."""
        return self.increment is Increment.GROUPS

    @property
    def names_each_part(self) -> bool:
        """Whether each driving source's group has as many parts as the output; other rules tell when it has not."""
        return all(len(texts) == len(self.output_group) for texts in self.driving.values())

    @cached_property
    def groups(self) -> Mapping[TableName, tuple[GroupPart, ...]]:
        """The parts of each driving source's group. `rows` has none, or the key of the range that a load replaces."""
        if not self.by_groups:
            key = [] if self.range_key is None else [self.range_key]
            return {name: tuple(GroupPart.parse(text, self.dialect) for text in key) for name in self.driving}
        return {
            name: tuple(GroupPart.parse(text, self.dialect) for text in texts) for name, texts in self.driving.items()
        }

    @property
    def positions(self) -> range:
        """Positions of the group."""
        return range(max((len(parts) for parts in self.groups.values()), default=0))

    def carried_by(self, table: TableName, text: str) -> frozenset[int]:
        """Positions of the group that an expression over a table's columns is."""
        parts = self.groups.get(table, ())
        return frozenset(place for place, part in enumerate(parts) if part.text == text)

    def determined_by(self, values: Iterable[Value]) -> set[int]:
        """Positions of the group that some values determine: they carry it, or hold each column that it is made of."""
        found: set[int] = set()
        held: dict[tuple[object, ...], tuple[TableName, set[str]]] = {}
        for value in values:
            found |= value.carries
            if value.symbol is not None:
                held.setdefault(value.symbol.instance, (value.symbol.table, set()))[1].add(value.symbol.text)
        for table, texts in held.values():
            for place, part in enumerate(self.groups.get(table, ())):
                if part.columns and part.columns <= texts:
                    found.add(place)
        return found


@dataclass(frozen=True, slots=True)
class GroupPart:
    """One position of `recompute_by`: its canonical text, and the columns that it is made of."""

    text: str
    columns: frozenset[str]

    @classmethod
    def parse(cls, text: str, dialect: str) -> GroupPart:
        """Read a column's name or an expression.

        >>> GroupPart.parse("region", "duckdb")
        GroupPart(text='"region"', columns=frozenset({'"region"'}))
        """
        try:
            node: exp.Expr = sqlglot.parse_one(text, dialect=dialect)
        except SqlglotError:
            node = exp.column(text)
        plain = node.transform(_plain_column)
        names = frozenset(column.sql(dialect) for column in plain.find_all(exp.Column))
        return cls(canonical(plain, dialect), names)


def group_columns(text: str, dialect: str = "postgres") -> set[str]:
    """Return the columns of one position of `recompute_by`.

    >>> sorted(group_columns("date_trunc('day', coalesce(landed_at, Sent_At))"))
    ['landed_at', 'sent_at']
    """
    return {column.strip('"') for column in GroupPart.parse(text, dialect).columns}


def source_column(name: str) -> exp.Column:
    """Return a column of a table as canonical texts name it."""
    return exp.column(exp.to_identifier(name.lower(), quoted=True))


def canonical(node: exp.Expr, dialect: str) -> str:
    """Return the text of an expression, the same for each way to write it that differs in form only."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node.sql(dialect, comments=False)


def _plain_column(node: exp.Expr) -> exp.Expr:
    return source_column(node.name) if isinstance(node, exp.Column) else node
