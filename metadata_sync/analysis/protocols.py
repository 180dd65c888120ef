"""What the control plane asks of a warehouse; `flows.warehouse.columns` implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from metadata_sync.rows.model import Column, SourceRow
from metadata_sync.rows.names import TableName


class WarehouseColumns(Protocol):
    """Columns and types, as the warehouse sees them."""

    @property
    def dialect(self) -> str:
        """The warehouse's SQL, as sqlglot names it: `duckdb`, `postgres` or `redshift`."""
        ...

    def connected(self) -> AbstractContextManager[None]:
        """Return a context in which the connection of one question is kept for the next.

        Outside of it each question connects by itself, and leaves no lock behind.
        """
        ...

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:
        """Return the columns of a source, in order.

        Args:
            source: The row that names the table or the lake folder.

        Returns:
            Its columns; None when nobody can tell now: the warehouse is not reachable.

        Raises:
            ValueError: When it is plain that the source cannot be read: the lake folder is missing or empty, its files
                have different schemas, the table does not exist. The text says which and where.
        """
        ...

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:
        """Return the columns of many sources that are tables, in few questions.

        Args:
            sources: Any; those that are no tables, or are not there, or cannot be asked now, are left out.
        """
        ...

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        """Return the output columns and types of a SELECT over empty tables.

        Args:
            select: One plain SELECT in the warehouse's dialect, with `schema.table` names.
            tables: Columns of every table that the SELECT reads.

        Returns:
            The SELECT's columns, in order, with types in the warehouse's words.

        Raises:
            ValueError: When the warehouse cannot bind the SELECT; the text is its explanation.
            SoftRunError: When the warehouse is not reachable.
        """
        ...
