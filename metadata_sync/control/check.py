"""Check the files of control rows and their SELECTs, without applying them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metadata_sync.control.bundle import Bundle, read_project
from metadata_sync.errors import Fault
from metadata_sync.rows.names import TableName
from metadata_sync.validation import find_faults_and_notes
from metadata_sync.validation.consequences import without_consequences

if TYPE_CHECKING:
    from metadata_sync.analysis.protocols import WarehouseColumns
    from metadata_sync.project import Project


@dataclass(frozen=True, slots=True)
class CheckedFiles:
    """What checking the files found.

    Attributes:
        bundle: The rows, with the faults of the files themselves.
        found: Faults of rows and SELECTs that do not follow from those of the files.
        notes: Target and sentence on what is not wrong but worth knowing.
    """

    bundle: Bundle
    found: tuple[Fault, ...]
    notes: tuple[tuple[TableName, str], ...]

    @property
    def faults(self) -> list[Fault]:
        """All faults, each with its file and line."""
        return self.bundle.located([*self.bundle.faults, *self.found])


def check_files(project: Project, environment: str, columns: WarehouseColumns) -> CheckedFiles:
    """Read and check all files of control rows.

    Args:
        project: The project.
        environment: The environment whose overrides apply.
        columns: The columns of the warehouse, or `OfflineColumns`.
    """
    bundle = read_project(project, environment)
    found, notes = find_faults_and_notes(bundle.rows, project, columns)
    own = without_consequences(found, bundle.faults, bundle.unreadable, has_unread_files=bundle.has_unread_files)
    return CheckedFiles(bundle, tuple(own), tuple(notes))
