"""Groups that are named by a column of the output: `recompute_by: [day]` of `date_trunc('day', landed_at) as day`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metadata_sync.rows.names import TableName, is_expression
from metadata_sync.rows.resolve import recompute_columns
from metadata_sync.rows.vocabulary import Increment

if TYPE_CHECKING:
    from metadata_sync.analysis.catalog import Catalog
    from metadata_sync.rows.model import TransformationRow


def group_aliases(row: TransformationRow, catalog: Catalog) -> dict[str, dict[TableName, str]]:
    """Return the output columns that `recompute_by` may name → driving source → the expression over it.

    Only without `recompute_key`: with it, `recompute_by` names columns of the source alone.

    Args:
        row: The transformation.
        catalog: Rows, files and the warehouse's columns.
    """
    from metadata_sync.sql.increments.aliases import aliased_expressions

    texts = {text for item in row.driving for text in item.recompute_by if not is_expression(text)}
    if row.increment is not Increment.GROUPS or row.recompute_key or not texts:
        return {}
    analysis = catalog.analysis(row)
    if analysis.select is None or analysis.problems:
        return {}
    driving = [name for name in analysis.select.tables if str(name) in {item.table for item in row.driving}]
    found = aliased_expressions(analysis.select, driving, catalog.known_columns(analysis.select))
    return {name: one for name, one in found.items() if name in texts}


def with_groups(row: TransformationRow, catalog: Catalog) -> TransformationRow:
    """Return a row whose `recompute_by` holds expressions over its sources in place of aliases of the output.

    Args:
        row: The transformation.
        catalog: Rows, files and the warehouse's columns.
    """
    aliases = group_aliases(row, catalog)
    if not aliases:
        return row
    dependencies = []
    for item in row.dependencies:
        table = TableName.parse(item.table)
        meant = tuple(aliases.get(name, {}).get(table, name) for name in item.recompute_by)
        dependencies.append(item.model_copy(update={"recompute_by": meant}))
    return row.model_copy(update={"dependencies": tuple(dependencies), "recompute_key": recompute_columns(row)})
