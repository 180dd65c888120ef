"""Files that some or all readers of a lake source leave out, and why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from flows.warehouse.lake.folder import LakeFile


@dataclass(frozen=True, slots=True)
class FileFault:
    """One file that does not fit its source.

    Attributes:
        file: The file.
        error: Why nobody can read it; empty: only readers of some columns leave it out.
        conflicts: Column in lower case → how its type differs from that of the other files.
    """

    file: LakeFile
    error: str = ""
    conflicts: Mapping[str, str] = field(default_factory=dict)

    def reason_for(self, columns: Collection[str] | None) -> str | None:
        """Return why a reader leaves the file out; None: the file is read.

        Args:
            columns: The columns that it reads, in lower case; None: all.
        """
        if self.error:
            return f"{self.file.name}: {self.error}"
        found = [text for column, text in self.conflicts.items() if columns is None or column in columns]
        return f"{self.file.name} has {' and '.join(found)}" if found else None
