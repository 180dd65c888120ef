"""The questions of metadata_sync to a warehouse; `flows.warehouse.columns` implements the protocol."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from metadata_sync.rows.model import Column, SourceRow
from metadata_sync.rows.names import TableName


class WarehouseColumns(Protocol):
    """Columns and types of a warehouse."""

    @property
    def dialect(self) -> str:
        """The warehouse's SQL, as sqlglot names it: `duckdb`, `postgres` or `redshift`."""
        ...

    def connected(self) -> AbstractContextManager[None]:
        """Return a context in which calls share one connection.

        Outside of it each call opens and closes its own connection, so that no lock remains.
        """
        ...

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:
        """Return the columns of a source, in order.

        Args:
            source: The row that names the table or the lake folder.

        Returns:
            Its columns; None when the warehouse cannot be reached.

        Raises:
            ValueError: When the source cannot be read: the lake folder is missing or empty, its files have different
                schemas, or the table does not exist. The text gives the reason and the place.
        """
        ...

    def left_out(self, source: SourceRow) -> tuple[str, ...]:
        """Return why files of a lake source are left out, a sentence for each; empty when all are read or not known.

        Args:
            source: A source whose columns were read: what that found is the answer.
        """
        ...

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:
        """Return the columns of many sources that are tables, in few queries.

        Args:
            sources: Any sources; lake folders, missing tables and tables that cannot be read now are left out.
        """
        ...

    def type_kinds(self, types: Collection[str]) -> Mapping[str, str]:
        """Return what types are that only the warehouse knows: enum, composite, range, extension, builtin or missing.

        Args:
            types: Names of types; left out of the answer when the warehouse cannot be asked now.
        """
        ...

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        """Return the output columns and types of a SELECT over empty tables.

        Args:
            select: One plain SELECT in the warehouse's dialect, with `schema.table` names.
            tables: Columns of every table that the SELECT reads.

        Returns:
            The SELECT's columns, in order, with the warehouse's type names.

        Raises:
            ValueError: When the warehouse cannot bind the SELECT; the text is the warehouse's message.
            SoftRunError: When the warehouse is not reachable.
        """
        ...
