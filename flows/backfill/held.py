"""Which events of a target its source still holds: only those may leave when a restatement does not yield them.

A source that is updated in place holds the last state of each row, so it does not yield the events of earlier states
any more, whatever the SELECT. The history of an SCD2 target is made of them. An event may leave only when the source
holds the row that it came from: a row with the event's key and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.warehouse.bounds import parse_bound
from flows.warehouse.connection import quoted
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import Increment, LoadType

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.load_log import Definition
    from metadata_sync.loads import Window
    from metadata_sync.rows.model import ControlRows, TransformationRow
    from metadata_sync.rows.resolve import ResolvedDependency


def can_prune(row: TransformationRow, *, is_whole: bool) -> bool:
    """Whether events that a restatement does not yield can leave at all.

    Args:
        row: The target's row.
        is_whole: Whether the restatement reads everything. Of a key, SCD1 and append keep the last event only: when
            that one leaves, an earlier one takes its place, and a window may not hold it.
    """
    return is_whole or (row.load_type is LoadType.SCD2 and row.increment is Increment.ROWS)


def held_sql(
    context: Context, rows: ControlRows, row: TransformationRow, built_as: Definition, windows: Sequence[Window] | None
) -> str | None:
    """Return a query of the keys and times of the events whose rows the driving source holds.

    Args:
        context: The project with the SELECT.
        rows: The environment's rows.
        row: The target's row, with `increment: rows`.
        built_as: How the target is built: its key and its event time.
        windows: The windows that were derived again; None: everything.

    Returns:
        A query that yields the columns of the key and the event time; None when these are not made of the columns of
        one driving source alone, so that nothing tells which row an event came from.
    """
    from metadata_sync.analysis.catalog import Catalog
    from metadata_sync.analysis.select_file import read_select
    from metadata_sync.sql import parse_select
    from metadata_sync.sql.lineage import source_expressions

    driving = [item for item in resolve_dependencies(row, rows) if item.is_driving]
    text = read_select(row, context.project)
    select = parse_select(text, context.profile.dialect)[0] if isinstance(text, str) else None
    if select is None or len(driving) != 1:
        return None
    catalog = Catalog(rows, context.project, context.columns)
    tables = {name: [column.name for column in catalog.table_columns(name) or ()] for name in select.tables}
    names = (*built_as.key, built_as.order[0])
    branches = source_expressions(select, driving[0].name, names, tables)
    types = {column.name: column.type for column in row.column_list}
    dialect = context.profile.dialect
    source = _source(context, rows, driving[0], windows)
    queries = []
    for branch in branches:
        terms = [_typed(branch[name].sql(dialect), types.get(name), dialect, quoted(name)) for name in names]
        queries.append(f"select {', '.join(terms)} from {source}")
    return " union ".join(queries) or None


def _typed(expression: str, wanted: str | None, dialect: str, name: str) -> str:
    """Return an expression as the target stores it; a value that does not cast was rejected by the load."""
    if wanted is None:
        return f"{expression} as {name}"
    return f"{'try_cast' if dialect == 'duckdb' else 'cast'}({expression} as {wanted}) as {name}"


def _source(context: Context, rows: ControlRows, item: ResolvedDependency, windows: Sequence[Window] | None) -> str:
    from flows.gate.probe import source_relation

    source = rows.source(item.name)
    if source is None or item.is_managed:
        relation = f"{quoted(context.profile.physical_schema(item.name.schema))}.{quoted(item.name.table)}"
    else:
        relation = source_relation(context.project, context.profile.dialect, source)
    if windows is None or item.incremental_key is None:
        return relation
    key = quoted(item.incremental_key)
    spans = [
        " and ".join(
            f"{key} {sign} '{parse_bound(bound)}'"
            for sign, bound in ((">=", window.start), ("<=", window.end))
            if bound is not None
        )
        for window in windows
    ]
    return f"(select * from {relation} where {' or '.join(f'({span})' for span in spans)}) as derived_again"
