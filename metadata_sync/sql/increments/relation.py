"""What the proof knows of a query: whether a driving source feeds it, and which columns carry the source's group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from sqlglot import exp

from metadata_sync.rows.names import TableName

Instance: TypeAlias = tuple[object, ...]
"""One reading of a table: a table that is read twice has two."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value as an expression over the columns of one reading of a table.

    Attributes:
        instance: The reading.
        table: The table.
        text: The expression as canonical SQL.
        node: The expression.
    """

    instance: Instance
    table: TableName
    text: str
    node: exp.Expr = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A column or expression.

    Attributes:
        carries: Positions of `recompute_by` whose value it is, in every row.
        or_null: Positions whose value it is, or else NULL: an outer join found no row.
        symbol: What it is in terms of a table's columns, if that is known.
    """

    carries: frozenset[int] = frozenset()
    symbol: Symbol | None = None
    or_null: frozenset[int] = frozenset()

    @property
    def matches(self) -> frozenset[int]:
        """Positions whose value it is in each row in which it equals something."""
        return self.carries | self.or_null

    def both(self, other: Value) -> Value:
        """Return what is true of a value that is either of two."""
        symbol = self.symbol if self.symbol == other.symbol else None
        return Value(self.carries & other.carries, symbol, self.matches & other.matches)


OPAQUE: Final = Value()
"""A value of which nothing is known."""


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table whose columns are not known; `table` is None when nothing is known of the values either."""

    instance: Instance
    table: TableName | None


@dataclass(frozen=True, slots=True)
class Relation:
    """The rows of a query or table.

    Attributes:
        columns: Known columns by lower-case name, in order.
        is_driven: Whether a load reads a part of them only.
        is_mixed: Whether rows that a load always reads are among them.
        rest: More columns than those known, or None.
    """

    columns: Mapping[str, Value]
    is_driven: bool = False
    is_mixed: bool = False
    rest: OpenTable | None = None

    def renamed(self, names: Sequence[str]) -> Relation:
        """Return the relation under a list of column names, which may be shorter."""
        if not names:
            return self
        if self.rest is not None:  # nobody knows the order of the columns
            return replace(self, columns=dict.fromkeys(names, OPAQUE), rest=OpenTable((), None))
        old = list(self.columns.items())
        kept = [(names[place] if place < len(names) else name, value) for place, (name, value) in enumerate(old)]
        return replace(self, columns=dict(kept))

    def as_instance(self, reading: object) -> Relation:
        """Return the relation as another reading of it: values of two readings are never of the same row."""
        columns = {name: _moved(value, reading) for name, value in self.columns.items()}
        rest = self.rest and OpenTable((reading, *self.rest.instance), self.rest.table)
        return replace(self, columns=columns, rest=rest)

    def without_values(self) -> Relation:
        """Return the relation as an outer join yields it, which may have put NULL into its values."""
        rest = self.rest and OpenTable(self.rest.instance, None)
        columns = {name: Value(or_null=value.matches) for name, value in self.columns.items()}
        return replace(self, columns=columns, rest=rest)

    def as_lookup(self) -> Relation:
        """Return the relation as one that does not depend on what a load reads."""
        columns = {name: Value(symbol=value.symbol) for name, value in self.columns.items()}
        return replace(self, columns=columns, is_driven=False, is_mixed=False)


def _moved(value: Value, reading: object) -> Value:
    symbol = value.symbol
    if symbol is None:
        return value
    return replace(value, symbol=replace(symbol, instance=(reading, *symbol.instance)))
