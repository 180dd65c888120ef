"""Which transformations faults stop: the rows with faults, and the rows that depend on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from metadata_sync.errors import Fault
    from metadata_sync.rows.model import ControlRow, ControlRows, SourceRow, TransformationRow
    from metadata_sync.rows.names import TableName

COLUMNS_UNKNOWN: Final = "columns_unknown"
"""Rule of a fault that is not the row's: the warehouse could not be reached for a SELECT's columns."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Faults by row.

    Attributes:
        by_row: Control table and key → its faults.
    """

    by_row: Mapping[tuple[str, str], tuple[Fault, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Self:
        """Group faults by row."""
        found: dict[tuple[str, str], tuple[Fault, ...]] = {}
        for fault in faults:
            key = fault.table, fault.key
            found[key] = (*found.get(key, ()), fault)
        return cls(found)

    def faults_of(self, row: ControlRow | None) -> tuple[Fault, ...]:
        """Return the faults of a row."""
        return () if row is None else self.by_row.get((row.control_table, row.key), ())

    def sources_of(self, row: TransformationRow, rows: ControlRows) -> tuple[SourceRow, ...]:
        """Return the sources with faults that a transformation reads."""
        if not self.by_row:
            return ()
        read = {item.table for item in row.dependencies}
        return tuple(source for source in rows.sources if source.key in read and self.faults_of(source))

    def stops(self, row: TransformationRow, rows: ControlRows) -> bool:
        """Tell whether faults of a transformation, its pipeline or its sources prevent its load."""
        return bool(self.faults_of(row) or self.faults_of(rows.pipeline(row.pipeline_id)) or self.sources_of(row, rows))

    def stopped(self, targets: Iterable[TransformationRow], rows: ControlRows) -> frozenset[TableName]:
        """Return those of the targets that faults prevent from loading."""
        return frozenset(row.name for row in targets if self.stops(row, rows))
