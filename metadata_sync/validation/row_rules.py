"""What can be wrong with rows by themselves, without looking into a SELECT or a warehouse. One rule, one function."""

from __future__ import annotations

from metadata_sync.errors import Fault
from metadata_sync.project import Project
from metadata_sync.rows import ControlRows


def row_faults(rows: ControlRows, project: Project) -> tuple[Fault, ...]:
    """x."""
    return ()
