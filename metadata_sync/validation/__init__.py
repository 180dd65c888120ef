"""Everything that can be wrong with the rows and their SELECTs, found in one go."""

from __future__ import annotations

from collections.abc import Collection

from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.protocols import WarehouseColumns
from metadata_sync.errors import Fault
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.validation.row_rules import row_faults
from metadata_sync.validation.select_rules import select_faults


def find_faults(
    rows: ControlRows, project: Project, columns: WarehouseColumns, only: Collection[TableName] | None = None
) -> tuple[Fault, ...]:
    """Check all rows of an environment and the SELECTs they name.

    Args:
        rows: All rows.
        project: Where the SELECTs are.
        columns: The warehouse. What it cannot tell now is not checked.
        only: Targets whose SELECTs are checked; all by default. Rows are always checked together.

    Returns:
        Every fault, in the order of tables and rows.
    """
    with columns.connected():
        return (*row_faults(rows, project), *select_faults(Catalog(rows, project, columns), only))
