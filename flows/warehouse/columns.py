"""Columns and types from the warehouse: implements `metadata_sync.analysis.protocols.WarehouseColumns`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flows.warehouse.connection import Warehouse, confine, first_line, open_warehouse
from flows.warehouse.kept import Kept
from flows.warehouse.lake.folder import LakeFolder, Listing, list_folder, source_folder
from flows.warehouse.lake.footers import FooterMemory
from flows.warehouse.lake.shape import LakeColumns, LakeFooters, known_shape
from flows.warehouse.profile import Profile, load_profile
from flows.warehouse.table_columns import columns_of_tables, type_kinds
from metadata_sync.errors import HardRunError, SoftRunError
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, SourceRow, type_text
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.rows.vocabulary import SourceKind
from metadata_sync.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from metadata_sync.analysis.protocols import WarehouseColumns
    from metadata_sync.database.journals.entries import SourceShape


Shapes = Callable[[], Mapping[str, "SourceShape"]]


def open_columns(
    project: Project, settings: Settings, shapes: Shapes = dict, session: Kept[Warehouse] | None = None
) -> WarehouseColumns:
    """Return the columns of the environment's warehouse; it connects at the first call.

    Args:
        project: The project.
        settings: Its settings.
        shapes: Returns the columns of lake sources as runs have accepted them.
        session: The session of a server, shared with others; None: one of its own.

    Raises:
        ConfigurationError: When settings and profiles.yml contradict each other.
    """
    profile = load_profile(project, settings)
    connect = partial(open_warehouse, profile, wait_seconds=settings.lock_wait_seconds)
    if profile.is_embedded:
        return DuckDBColumns(project, connect, shapes, profile.values)
    return PostgresColumns(profile, session or Kept(connect))


class DuckDBColumns:
    """Columns on the embedded warehouse: lake folders are read as files, SELECTs are bound in an in-memory database.

    Args:
        project: The project, for relative locations.
        connect: Opens the warehouse for reading, for sources that are tables.
        shapes: Returns the columns of lake sources as runs have accepted them.
        profile: The profile's target, which may hold credentials for S3.
    """

    dialect = "duckdb"

    def __init__(
        self,
        project: Project,
        connect: Callable[[], Warehouse],
        shapes: Shapes = dict,
        profile: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._project = project
        self._accepted = Kept(lambda: _Accepted(shapes()))
        self._left_out: dict[SourceRow, tuple[str, ...]] = {}
        self._warehouse = Kept(connect)
        self._binder = Kept(_Binder)
        self._files = Kept(partial(LakeFooters, {}, FooterMemory(project.state_dir / "footers"), profile))

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Keep connections open between calls; see `WarehouseColumns.connected`."""
        with self._warehouse.keep(), self._binder.keep(), self._files.keep(), self._accepted.keep():
            yield

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:
        """Return the columns of a source; see `WarehouseColumns.source_columns`."""
        if source.kind is SourceKind.LAKE and source.location:
            folder = source_folder(self._project, source)
            found = self.lake_columns(folder, list_folder(folder), source)
            self._left_out[source] = tuple(reason for fault in found.faults if (reason := fault.reason_for(None)))
            return found.columns
        return _table_columns(self._warehouse, source.source_schema, source.source_table)

    def left_out(self, source: SourceRow) -> tuple[str, ...]:
        """Return why files of a source are left out; see `WarehouseColumns.left_out`."""
        return self._left_out.get(source, ())

    def lake_columns(self, folder: LakeFolder, listing: Listing, source: SourceRow) -> LakeColumns:
        """Return the columns of a source's listed files, and those that do not fit; see `LakeFooters.look_at`."""
        with self._accepted.use() as accepted:
            shape = accepted.shapes.get(source.key)
        known = known_shape(source, None if shape is None else shape.columns, {} if shape is None else shape.damaged)
        with self._files.use() as files:
            return files.look_at(folder, listing, source.incremental_key, known)

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:
        """Return the columns of sources that are tables; see `WarehouseColumns.columns_of_tables`."""
        tables = {row.name: row.name for row in sources if row.kind is SourceKind.WAREHOUSE}
        return _many_tables(self._warehouse, tables)

    def type_kinds(self, types: Collection[str]) -> Mapping[str, str]:  # noqa: ARG002 - of the protocol
        """Return nothing: DuckDB's types say what they are; see `WarehouseColumns.type_kinds`."""
        return {}

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        """Return the output columns of a SELECT; see `WarehouseColumns.describe`."""
        with self._binder.use() as binder:
            return binder.describe(select, tables)


class _Accepted:
    """The columns of lake sources as runs have accepted them, read once while connections are kept."""

    def __init__(self, shapes: Mapping[str, SourceShape]) -> None:
        self.shapes = shapes

    def close(self) -> None:
        self.shapes = {}


class _Binder:
    """An in-memory database with empty tables, to bind SELECTs. It can read no file."""

    def __init__(self) -> None:
        import duckdb

        self._connection = duckdb.connect(":memory:")
        confine(self._connection, places=())
        self._tables: dict[TableName, tuple[Column, ...]] = {}

    def close(self) -> None:
        self._connection.close()

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        """Return the output columns of a SELECT over tables with these columns; see `WarehouseColumns.describe`."""
        import duckdb

        try:
            for name, columns in tables.items():
                if self._tables.get(name) != columns:
                    _create_empty(self._connection, name, columns)
                    self._tables[name] = columns
            kinds = [statement.type for statement in self._connection.extract_statements(select)]
            if len(kinds) != 1 or kinds[0] not in (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI):  # a PIVOT
                raise ValueError("it is not one SELECT to the warehouse's own parser")
            return _describe_select(self._connection, select)
        except duckdb.Error as error:
            raise ValueError(first_line(error)) from error


class PostgresColumns:
    """Columns on PostgreSQL or Redshift: the server binds SELECTs over empty subselects.

    Args:
        profile: The target.
        session: A read-only session.
    """

    def __init__(self, profile: Profile, session: Kept[Warehouse]) -> None:
        self.dialect = profile.dialect
        self._warehouse = session

    def connected(self) -> AbstractContextManager[None]:
        """Keep the session open between calls; see `WarehouseColumns.connected`."""
        return self._warehouse.keep()

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:
        """Return the columns of a source; see `WarehouseColumns.source_columns`."""
        return _table_columns(self._warehouse, source.external_schema or source.source_schema, source.source_table)

    def left_out(self, source: SourceRow) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's
        """Return nothing: the server reads the files of its external tables."""
        return ()

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:
        """Return the columns of sources that are tables; see `WarehouseColumns.columns_of_tables`."""
        places = {row.name: TableName(row.external_schema or row.source_schema, row.source_table) for row in sources}
        return _many_tables(self._warehouse, places)

    def type_kinds(self, types: Collection[str]) -> Mapping[str, str]:
        """Return what types are that only the server knows; see `WarehouseColumns.type_kinds`."""
        if not types or self.dialect != "postgres":
            return {}
        try:
            with self._warehouse.use() as warehouse:
                return type_kinds(warehouse, types)
        except SoftRunError:
            return {}

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        """Return the output columns of a SELECT; see `WarehouseColumns.describe`."""
        from flows.warehouse.connection import PostgresWarehouse

        try:
            with self._warehouse.use() as warehouse:
                assert isinstance(warehouse, PostgresWarehouse)
                return warehouse.describe(_over_empty_tables(select, tables, self.dialect))
        except HardRunError as error:
            raise ValueError(error.message) from error


def table_columns(warehouse: Warehouse, schema: str, table: str) -> tuple[Column, ...]:
    """Return the columns of a table in order; empty when the table does not exist.

    Raises:
        RunError: When the warehouse cannot be reached.
    """
    name = TableName(schema, table)
    return columns_of_tables(warehouse, [name]).get(name, ())


def _table_columns(kept: Kept[Warehouse], schema: str, table: str) -> tuple[Column, ...] | None:
    try:
        with kept.use() as warehouse:
            columns = table_columns(warehouse, schema, table)
    except SoftRunError:
        return None
    if not columns:
        raise ValueError(f"table {schema}.{table} does not exist in the warehouse")
    return columns


def _many_tables(kept: Kept[Warehouse], places: Mapping[TableName, TableName]) -> dict[TableName, tuple[Column, ...]]:
    """Return the columns of tables by the names of sources; empty when the warehouse cannot be reached now."""
    try:
        with kept.use() as warehouse:
            found = columns_of_tables(warehouse, places.values())
    except SoftRunError:
        return {}
    return {name: found[place] for name, place in places.items() if place in found}


def _create_empty(connection: duckdb.DuckDBPyConnection, name: TableName, columns: tuple[Column, ...]) -> None:
    schema, table = quote_identifier(name.schema), quote_identifier(name.table)
    definitions = ", ".join(f"{quote_identifier(column.name)} {column.type}" for column in columns)
    connection.execute(f"create schema if not exists {schema}")
    connection.execute(f"create or replace table {schema}.{table} ({definitions})")


def _describe_select(connection: duckdb.DuckDBPyConnection, select: str) -> tuple[Column, ...]:
    relation = connection.sql(select.strip().rstrip(";"))
    return tuple(
        Column(name=name, type=type_text(str(type_), "duckdb"))
        for name, type_ in zip(relation.columns, relation.types, strict=True)
    )


def _over_empty_tables(select: str, tables: Mapping[TableName, tuple[Column, ...]], dialect: str) -> str:
    """Replace each table by a subselect of typed nulls, so that the SELECT can be bound without the tables."""
    from metadata_sync.sql import parse_select
    from metadata_sync.sql.rewrite import replace_tables

    parsed, problems = parse_select(select, dialect)
    if parsed is None or problems:
        raise ValueError("it is not one SELECT")
    nulls = {
        name: ", ".join(f"cast(null as {column.type}) as {quote_identifier(column.name)}" for column in columns)
        for name, columns in tables.items()
    }
    empty = {name: f"(select {columns or 'null as sluice_nothing'} where false)" for name, columns in nulls.items()}
    return f"select * from (\n{replace_tables(parsed, empty)}\n) as sluice_source limit 0"  # noqa: S608 - a checked SELECT
