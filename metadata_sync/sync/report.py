"""The result of a sync."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metadata_sync.errors import Fault
    from metadata_sync.rows.names import TableName
    from metadata_sync.sync.column_lists import ListChange


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The result of a sync; paths are relative to the folder of generated files.

    Attributes:
        written: Files created or changed.
        removed: Files that no row requires any more.
        unchanged: Files without changes.
        drifted: With `check`: files that would be written or removed.
        filled: Column lists taken from SELECTs, by target, for the first time or anew; the caller stores them.
        faults: With `keep_going`: faults of rows and SELECTs whose files were not changed.
        texts: Hash of the text that was written into a file, by its path; empty for a file that was removed.
    """

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    filled: Mapping[TableName, ListChange] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, compare=False)
