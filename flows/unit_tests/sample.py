"""Read a few rows that belong together: of the driving source some histories, of every other table what joins them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flows.unit_tests.select import SelectOnRows, duckdb_select, duckdb_type, not_portable
from flows.warehouse.connection import as_text, union_all
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.sql.columns_read import names_read
from metadata_sync.sql.lookups import Hop, LookupJoins, lookup_joins

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.connection import Warehouse
    from metadata_sync.analysis.catalog import Catalog
    from metadata_sync.rows.model import TransformationRow
    from metadata_sync.sql import ParsedSelect

POOL_ROWS: Final = 2_000
"""How many rows of the driving source are looked at."""
_PER_KEY: Final = 4
_OF_HISTORIES: Final = 14
_TRIES: Final = 5
_PLAIN: Final = ("boolean", "tinyint", "smallint", "integer", "bigint", "hugeint")

Rows = list[dict[str, Any]]


@dataclass
class Sample:
    """Rows that belong together.

    Attributes:
        text: The SELECT in DuckDB's SQL.
        driving: The table whose rows were chosen first.
        types: Table → column → type in DuckDB.
        warehouse_types: The same, in the warehouse's words.
        rows: Table → rows.
        joins: How the SELECT joins its tables.
        notes: What a person should know of the choice.
    """

    text: str
    driving: TableName
    types: dict[TableName, dict[str, str]]
    warehouse_types: dict[TableName, dict[str, str]]
    rows: dict[TableName, Rows]
    joins: LookupJoins
    notes: list[str] = field(default_factory=list)


class Sampler:
    """Reads the sample of one target.

    Args:
        context: Project and environment.
        catalog: Rows, SELECTs and columns.
        row: The target.
        select: Its SELECT.
        warehouse: A read-only connection.
        limit: The most rows of a table.
    """

    def __init__(
        self,
        context: Context,
        catalog: Catalog,
        row: TransformationRow,
        select: ParsedSelect,
        warehouse: Warehouse,
        *,
        limit: int,
    ) -> None:
        from flows.warehouse.lake.variable import lake_view

        self._context = context
        self._catalog = catalog
        self._row = row
        self._select = select
        self._warehouse = warehouse
        self._limit = limit
        self._lake = lake_view(context, catalog.rows)
        self._warehouse_types = {name: self._columns(name) for name in select.tables}
        self._types = {name: self._duckdb_types(name) for name in select.tables}

    def read(self) -> Sample:
        """Read the sample; its rows pass the SELECT, unless it lets none of the first ones pass.

        Raises:
            ConfigurationError: When a table has no columns or the driving source no rows, or no row passes the SELECT.
        """
        driving = TableName.parse(self._row.driving[0].table) if self._row.driving else self._select.tables[0]
        names = {name: tuple(types) for name, types in self._types.items()}
        joins = lookup_joins(self._select, [driving], names) or LookupJoins()
        pool = self._query(driving, POOL_ROWS)
        if not pool:
            raise ConfigurationError(
                f"{driving} has no rows in environment {self._context.settings.environment!r}, "
                f"so nothing of {self._row.name} can be frozen.",
                "Land or load some rows, or name another environment: SLUICE_ENVIRONMENT=…",
            )
        text = duckdb_select(self._select.text, self._select.dialect, self._row.name, self._types)
        sample = Sample(text, driving, self._types, self._warehouse_types, {}, joins)
        engine = SelectOnRows(sample.text, self._row.name, self._types)
        chooser = _Chooser(self._row, joins, pool, self._limit)
        for chosen in chooser.tries():
            sample.rows, sample.notes = {driving: chosen}, []
            self._add_joined(sample, engine)
            engine.fill(sample.rows)
            if engine.result():
                return sample
        raise ConfigurationError(
            f"None of the first {len(pool):,} rows of {driving} passes the SELECT of {self._row.name}.",
            "Write the test by hand: docs/daily-work/tests.md shows the form.",
        )

    def _columns(self, name: TableName) -> dict[str, str]:
        """Return the columns of a table that the SELECT, the row or the key of its upstream names."""
        columns = self._catalog.table_columns(name)
        if columns is None:
            reason = self._catalog.source_refusal(source) if (source := self._catalog.rows.source(name)) else None
            raise ConfigurationError(
                f"The columns of {name} are unknown: {reason or 'it is not there yet, or cannot be reached'}.",
                f"Land or load it first; `sluice validate` tells more of {self._row.name}.",
            )
        read = names_read(self._select)
        if read is None:
            return {column.name: column.type for column in columns}
        kept = read | self._named(name)
        found = {column.name: column.type for column in columns if column.name.lower() in kept}
        return found or {column.name: column.type for column in columns[:1]}

    def _named(self, name: TableName) -> set[str]:
        source, upstream = self._catalog.rows.source(name), self._catalog.rows.transformation(name)
        words: list[str | None] = [source.incremental_key] if source else []
        for item in self._row.dependencies:
            if item.table == str(name):
                words += [item.incremental_key, *item.recompute_by, *([self._row.incremental_key] if source else [])]
        if upstream is not None:
            words += upstream.business_key
            words += ["valid_from"] if upstream.load_type.value == "scd2" else []
        return {word.lower() for word in words if word}

    def _duckdb_types(self, name: TableName) -> dict[str, str]:
        dialect = self._warehouse.dialect
        found = {column: duckdb_type(type_, dialect) for column, type_ in self._warehouse_types[name].items()}
        for column, type_ in found.items():
            if type_ is None or "blob" in type_:
                written = self._warehouse_types[name][column]
                raise not_portable(self._row.name, f"{name}.{column} is {written}, which a test file cannot hold")
        return {column: type_ for column, type_ in found.items() if type_ is not None}

    def _relation(self, name: TableName) -> str:
        from flows.gate.probe import source_relation

        source = self._catalog.rows.source(name)
        if source is not None:
            return source_relation(self._context.project, self._warehouse.dialect, source, self._lake)
        return f"{quote_identifier(self._context.profile.physical_schema(name.schema))}.{quote_identifier(name.table)}"

    def _query(self, name: TableName, limit: int) -> Rows:
        return self._fetch(name, f"select {self._shown(name)} from {self._relation(name)} limit {limit}")  # noqa: S608 - names are quoted

    def _query_each(self, name: TableName, conditions: Sequence[str], limit: int) -> Rows:
        """Return rows for each of some conditions, by one statement."""
        begin = f"select {self._shown(name)} from {self._relation(name)} where"  # noqa: S608 - names are quoted
        return self._fetch(name, union_all([f"({begin} {condition} limit {limit})" for condition in conditions]))

    def _fetch(self, name: TableName, query: str) -> Rows:
        return [dict(zip(self._types[name], row, strict=True)) for row in self._warehouse.query(query)]

    def _shown(self, name: TableName) -> str:
        return ", ".join(
            quote_identifier(column) if type_ in _PLAIN else as_text(quote_identifier(column))
            for column, type_ in self._types[name].items()
        )

    def _add_joined(self, sample: Sample, engine: SelectOnRows) -> None:
        """Add to the driving rows what they join, table by table along the joins."""
        for name in self._select.tables:
            if name == sample.driving:
                continue
            paths = sample.joins.paths.get(name, ())
            for path in paths:
                left = path.source
                for hop in path.hops:
                    self._add_matching(sample, engine, left, hop)
                    left = hop.table
            if not sample.rows.get(name):
                sample.rows[name] = self._query(name, self._limit)
                if sample.rows[name] and not paths:
                    sample.notes.append(f"how {name} is joined is unknown: its rows were taken as they came")

    def _add_matching(
        self,
        sample: Sample,
        engine: SelectOnRows,
        left: TableName,
        hop: Hop,
    ) -> None:
        wanted: dict[tuple[str | None, ...], None] = {}
        for row in sample.rows.get(left, []):
            values = tuple(engine.value_of(text, left, row) for text in hop.left)
            if None not in values:
                wanted[values] = None
        known = sample.rows.setdefault(hop.table, [])
        room = self._limit - len(known)
        conditions = [
            " and ".join(f"({text}) = {_literal(value)}" for text, value in zip(hop.right, values, strict=True))
            for values in list(wanted)[: self._limit]
        ]
        if room > 0 and conditions:
            found = self._query_each(hop.table, conditions, max(1, room // len(conditions)))
            known += [row for row in found if row not in known][:room]


class _Chooser:
    """Chooses rows of the driving source: histories of a few keys, then single rows of others."""

    def __init__(self, row: TransformationRow, joins: LookupJoins, pool: Rows, limit: int) -> None:
        columns = [joins.origins.get(name, "").strip('"') for name in row.business_key]
        self._key = columns if columns and all(name in pool[0] for name in columns) else list(pool[0])
        self._pool = pool
        self._limit = limit

    def tries(self) -> Iterable[Rows]:
        """Yield choices; each next one leaves out the rows of those before."""
        left = self._pool
        for _ in range(_TRIES):
            if not left:
                return
            chosen = self._choose(left)
            yield chosen
            left = [row for row in left if row not in chosen]

    def _choose(self, pool: Rows) -> Rows:
        by_key: dict[tuple[Any, ...], Rows] = defaultdict(list)
        for row in pool:
            key = tuple(row[name] for name in self._key)
            if None not in key and row not in by_key[key]:
                by_key[key].append(row)
        groups = sorted(by_key.values(), key=len, reverse=True)
        chosen: Rows = []
        for group in groups:
            if len(group) > 1 and len(chosen) < min(_OF_HISTORIES, self._limit - 1):
                chosen += _spread(group, min(_PER_KEY, self._limit - len(chosen)))
        singles = [group[0] for group in groups if group[0] not in chosen]
        return [*chosen, *singles[: self._limit - len(chosen)]] or pool[: self._limit]


def _spread(rows: Sequence[Mapping[str, Any]], count: int) -> Rows:
    """Return rows from the beginning to the end of a list."""
    if len(rows) <= count:
        return [dict(row) for row in rows]
    step = (len(rows) - 1) / max(count - 1, 1)
    return [dict(rows[round(place * step)]) for place in range(count)]


def _literal(value: str | None) -> str:
    assert value is not None
    return "'" + value.replace("'", "''") + "'"
