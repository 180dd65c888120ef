"""Columns without a warehouse: nothing is known, so that only what rows and SELECTs say by themselves is checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from metadata_sync.errors import SoftRunError
from metadata_sync.rows.model import Column, SourceRow
from metadata_sync.rows.names import TableName


class OfflineColumns:
    """Answers like a warehouse and a lake that cannot be reached; see `WarehouseColumns`.

    Args:
        dialect: The warehouse's SQL.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect

    def connected(self) -> AbstractContextManager[None]:
        """Return a context in which nothing is connected."""
        return nullcontext()

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:  # noqa: ARG002 - the protocol's
        """Return None: not known now."""
        return None

    def left_out(self, source: SourceRow) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's
        """Return nothing."""
        return ()

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def type_kinds(self, types: Collection[str]) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Return nothing."""
        return {}

    def describe(
        self,
        select: str,  # noqa: ARG002 - the protocol's
        tables: Mapping[TableName, tuple[Column, ...]],  # noqa: ARG002 - the protocol's
    ) -> tuple[Column, ...]:
        """Refuse.

        Raises:
            SoftRunError: Always.
        """
        raise SoftRunError("Nothing is asked offline.", "Run it without --offline.")
