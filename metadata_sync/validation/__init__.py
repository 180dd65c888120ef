"""Everything that can be wrong with the rows and their SELECTs, found in one go."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.protocols import WarehouseColumns
from metadata_sync.errors import Fault
from metadata_sync.project import Project
from metadata_sync.rows.lookups import stale_notes
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.validation.consequences import DATA_RULES
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
        return _faults(Catalog(rows, project, columns), only)


def find_faults_and_notes(
    rows: ControlRows, project: Project, columns: WarehouseColumns
) -> tuple[tuple[Fault, ...], tuple[tuple[TableName, str], ...]]:
    """Check all rows and SELECTs, and say what valid rows lose through files of the lake and through their lookups.

    Args:
        rows: All rows of an environment.
        project: Where the SELECTs are.
        columns: The warehouse. What it cannot tell now is not checked.

    Returns:
        The faults as `find_faults` finds them; and sources and targets, each with one sentence on files that are left
        out, rows that go stale or that a join leaves out, in the order of the rows. None when a row has a fault.
    """
    with columns.connected():
        catalog = Catalog(rows, project, columns)
        faults = _faults(catalog)
        is_readable = all(fault.rule in DATA_RULES for fault in faults)
        return faults, (*_file_warnings(catalog), *_lookup_warnings(catalog)) if is_readable else ()


def _faults(catalog: Catalog, only: Collection[TableName] | None = None) -> tuple[Fault, ...]:
    return (*row_faults(catalog.rows, catalog.project), *select_faults(catalog, only))


def _file_warnings(catalog: Catalog) -> Iterator[tuple[TableName, str]]:
    for source in catalog.rows.sources:
        reasons = catalog.left_out(source)
        if reasons:
            count = f"{len(reasons)} file{'s' if len(reasons) > 1 else ''}"
            yield source.name, f"{count} cannot be read, or not by all readers, until written again: {reasons[0]}"


def _lookup_warnings(catalog: Catalog) -> Iterator[tuple[TableName, str]]:
    for row in catalog.rows.transformations:
        lookups = {TableName.parse(item.table): item for item in row.dependencies if not item.driving}
        for _, sentence in stale_notes(row):
            yield row.name, sentence
        undeclared = [name for name, item in lookups.items() if not item.may_drop]
        for name in sorted(catalog.lookups(row).dropping.intersection(undeclared) if undeclared else ()):
            yield (
                row.name,
                f"the SELECT leaves out driving rows without a row in {name}; each load says how many. Declare "
                "may_drop: true on it if that is meant, or use a LEFT JOIN",
            )
