"""Whom faults stop: the row that is at fault, and the transformations that cannot do without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from metadata_sync.errors import Fault
from metadata_sync.rows.model import ControlRow, ControlRows, SourceRow, TransformationRow

COLUMNS_UNKNOWN: Final = "columns_unknown"
"""Rule of the fault that is nobody's: the warehouse could not tell a SELECT's columns."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Faults by the row that they are of.

    Attributes:
        by_row: Control table and key → its faults.
    """

    by_row: Mapping[tuple[str, str], tuple[Fault, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Self:
        """Sort faults by row."""
        found: dict[tuple[str, str], tuple[Fault, ...]] = {}
        for fault in faults:
            key = fault.table, fault.key
            found[key] = (*found.get(key, ()), fault)
        return cls(found)

    def faults_of(self, row: ControlRow | None) -> tuple[Fault, ...]:
        """Return what is wrong with a row itself."""
        return () if row is None else self.by_row.get((row.control_table, row.key), ())

    def sources_of(self, row: TransformationRow, rows: ControlRows) -> tuple[SourceRow, ...]:
        """Return the sources at fault that a transformation reads."""
        if not self.by_row:
            return ()
        read = {item.table for item in row.dependencies}
        return tuple(source for source in rows.sources if source.key in read and self.faults_of(source))

    def stops(self, row: TransformationRow, rows: ControlRows) -> bool:
        """Whether a transformation cannot be loaded: it, its pipeline or a source that it reads is at fault."""
        return bool(self.faults_of(row) or self.faults_of(rows.pipeline(row.pipeline_id)) or self.sources_of(row, rows))
