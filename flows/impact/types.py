"""Types that no load takes: a table stands with a column of one type, and its SELECT yields another one from now on.

A load refuses that before it writes (`metadata_sync.sync.column_lists`). A plan and a build say so before the merge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from metadata_sync.analysis.catalog import Catalog
from metadata_sync.rows.model import Column, ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.sync.column_lists import list_changes, refused_types, taken_lists, with_lists

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.analysis.protocols import WarehouseColumns
    from metadata_sync.project import Project


def standing_lists(context: Context) -> ControlRows:
    """Return the targets whose columns Sluice took from their SELECTs, with these columns."""
    rows = context.store.usable_rows()
    taken = taken_lists(rows, context.store.framework_written(rows), context.store.declared())
    return rows.model_copy(update={"transformations": tuple(row for row in rows.transformations if row.name in taken)})


def lists_now(
    rows: ControlRows,
    project: Project,
    known: WarehouseColumns,
    standing: ControlRows,
    names: Collection[TableName],
) -> dict[TableName, tuple[Column, ...]]:
    """Return the columns that SELECTs would yield, as far as they are known.

    Args:
        rows: All rows as they are to be.
        project: The project with the SELECTs as they are to be.
        known: The columns of the warehouse.
        standing: See `standing_lists`.
        names: The targets that are asked about.
    """
    taken = {row.name for row in standing.transformations}
    catalog = Catalog(with_lists(rows, dict.fromkeys(taken, ())), project, known)
    asked = [row for row in catalog.rows.transformations if row.name in taken.intersection(names)]
    found = ((row.name, catalog.target_columns(row)) for row in asked)
    return {name: columns for name, columns in found if columns is not None}


def refusals(
    standing: ControlRows, lists: Mapping[TableName, tuple[Column, ...]], dialect: str
) -> dict[TableName, tuple[str, ...]]:
    """Return why loads would be refused, by target: the words of the load itself.

    Args:
        standing: See `standing_lists`.
        lists: Target → the columns that its SELECT would yield.
        dialect: The warehouse's dialect.
    """
    found = refused_types(standing, list_changes(standing, lists), dialect)
    return {name: tuple(f"{fault.message} {fault.remedy}" for fault in faults) for name, faults in found.items()}
