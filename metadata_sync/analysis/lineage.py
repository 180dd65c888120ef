"""Lineage of tables and columns, from the rows' dependencies and the SELECTs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from metadata_sync.analysis.catalog import Catalog
from metadata_sync.errors import ConfigurationError
from metadata_sync.problems import did_you_mean
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.sql.lineage import ColumnName, column_lineage

Thing = TableName | ColumnName
"""A node of the graph."""


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One edge of the graph.

    Attributes:
        of: The derived table or column.
        reads: The table or column that it is derived from.
        depth: Distance in edges from the start, from 1.
    """

    of: Thing
    reads: Thing
    depth: int


class Lineage:
    """The graph of tables and columns of an environment.

    Args:
        catalog: Rows, SELECTs and columns.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._rows = {row.name: row for row in catalog.rows.transformations}
        self._columns: dict[TableName, Mapping[str, tuple[ColumnName, ...]] | None] = {}

    @property
    def tables(self) -> frozenset[TableName]:
        """All tables of the rows."""
        return frozenset({*self._rows, *(row.name for row in self._catalog.rows.sources)})

    def find(self, text: str) -> Thing:
        """Return the table or column that `schema.table` or `schema.table.column` names.

        Raises:
            ConfigurationError: When it does not exist.
        """
        schema, _, rest = text.partition(".")
        table, _, column = rest.partition(".")
        name = TableName(schema, table)
        if name not in self.tables:
            known = [str(item) for item in sorted(self.tables)]
            raise ConfigurationError(
                f"No row names the table {schema}.{table}.",
                did_you_mean(str(name), known) or f"There are: {', '.join(known) or 'none'}.",
            )
        if not column:
            return name
        columns = [item.name for item in self._catalog.table_columns(name) or ()]
        if columns and column not in columns:
            raise ConfigurationError(
                f"{name} has no column {column!r}.",
                did_you_mean(column, columns) or f"It has: {', '.join(columns)}.",
            )
        return ColumnName(name, column)

    def upstream(self, thing: Thing) -> tuple[LineageStep, ...]:
        """Return everything that a table or column is derived from, nearest first."""
        return tuple(_walk(thing, self._reads, LineageStep))

    def downstream(self, thing: Thing) -> tuple[LineageStep, ...]:
        """Return everything that is derived from a table or column, nearest first."""
        return tuple(_walk(thing, self._read_by, lambda found, other, depth: LineageStep(other, found, depth)))

    def unresolved(self, things: Iterable[TableName]) -> tuple[TableName, ...]:
        """Return the tables whose SELECT could not be traced by column."""
        return tuple(sorted(name for name in set(things) if name in self._rows and self._traced(name) is None))

    def _reads(self, thing: Thing) -> tuple[Thing, ...]:
        if isinstance(thing, ColumnName):
            return (self._traced(thing.table) or {}).get(thing.column, ())
        row = self._rows.get(thing)
        return () if row is None else _dependencies(row)

    def _read_by(self, thing: Thing) -> tuple[Thing, ...]:
        if isinstance(thing, TableName):
            return tuple(name for name, row in sorted(self._rows.items()) if thing in _dependencies(row))
        return self._readers.get(thing, ())

    @cached_property
    def _readers(self) -> Mapping[ColumnName, tuple[ColumnName, ...]]:
        readers: dict[ColumnName, list[ColumnName]] = {}
        for name in sorted(self._rows):
            for column, sources in (self._traced(name) or {}).items():
                for source in sources:
                    readers.setdefault(source, []).append(ColumnName(name, column))
        return {source: tuple(found) for source, found in readers.items()}

    def _traced(self, name: TableName) -> Mapping[str, tuple[ColumnName, ...]] | None:
        row = self._rows.get(name)
        if row is None:
            return None
        if name not in self._columns:
            self._columns[name] = self._trace(row)
        return self._columns[name]

    def _trace(self, row: TransformationRow) -> Mapping[str, tuple[ColumnName, ...]] | None:
        select = self._catalog.analysis(row).select
        if select is None:
            return None
        tables = {name: [item.name for item in self._catalog.table_columns(name) or ()] for name in select.tables}
        return column_lineage(select, {name: columns for name, columns in tables.items() if columns})


def _dependencies(row: TransformationRow) -> tuple[TableName, ...]:
    return tuple(sorted(TableName.parse(item.table) for item in row.dependencies))


def _walk(
    start: Thing,
    neighbours: Callable[[Thing], Iterable[Thing]],
    step: Callable[[Thing, Thing, int], LineageStep],
) -> Iterator[LineageStep]:
    """Walk breadth first; each node and each edge is visited once."""
    seen, layer, depth = {start}, [start], 1
    while layer:
        following: list[Thing] = []
        for found in layer:
            for other in neighbours(found):
                yield step(found, other, depth)
                if other not in seen:
                    seen.add(other)
                    following.append(other)
        layer, depth = following, depth + 1
