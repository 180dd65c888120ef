"""Which events of a target its source still holds: only those may leave when a restatement does not yield them.

A source that is updated in place holds the last state of each row, so it does not yield the events of earlier states
any more, whatever the SELECT. The history of an SCD2 target is made of them. An event may leave only when the source
holds the row that it came from: a row with the event's key and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.warehouse.bounds import parse_bound
from metadata_sync.rows.names import quote_identifier
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import Increment, LoadType

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.definition import Definition
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


@dataclass(frozen=True, slots=True)
class EventOrigins:
    """Where the keys and times of a target's events stand in its driving source.

    Attributes:
        source: The source as a relation.
        key: Its incremental key, quoted; None: it has none.
        branches: For each branch of the SELECT: the columns of the key and the event time, as terms over the source.
    """

    source: str
    key: str | None
    branches: tuple[str, ...]

    def held_sql(self, windows: Sequence[Window] | None) -> str:
        """Return a query of the keys and times of the events whose rows the source holds.

        Args:
            windows: Only rows of these windows; None: all rows.
        """
        source = self.source
        if windows is not None and self.key is not None:
            spans = " or ".join(f"({_span(self.key, window)})" for window in windows)
            source = f"(select * from {self.source} where {spans}) as derived_again"
        return " union ".join(f"select {terms} from {source}" for terms in self.branches)


def find_origins(
    context: Context, rows: ControlRows, row: TransformationRow, built_as: Definition
) -> EventOrigins | None:
    """Trace the key and the event time of a target to its driving source.

    Args:
        context: The project with the SELECT.
        rows: The environment's rows.
        row: The target's row, with `increment: rows`.
        built_as: How the target is built: its key and its event time.

    Returns:
        None when these are not made of the columns of one driving source alone, so that nothing tells which row an
        event came from.
    """
    from metadata_sync.analysis.catalog import Catalog
    from metadata_sync.analysis.select_file import read_select
    from metadata_sync.sql import parse_select
    from metadata_sync.sql.lineage import source_expressions

    driving = [item for item in resolve_dependencies(row, rows) if item.is_driving]
    dialect = context.profile.dialect
    text = read_select(row, context.project)
    select = parse_select(text, dialect)[0] if isinstance(text, str) else None
    if select is None or len(driving) != 1:
        return None
    (item,) = driving
    tables = Catalog(rows, context.project, context.columns).known_columns(select)
    names = (*built_as.key, built_as.order[0])
    types = {column.name: column.type for column in row.column_list}
    branches = tuple(
        ", ".join(_typed(branch[name].sql(dialect), types.get(name), dialect, quote_identifier(name)) for name in names)
        for branch in source_expressions(select, item.name, names, tables)
    )
    if not branches:
        return None
    key = None if item.incremental_key is None else quote_identifier(item.incremental_key)
    return EventOrigins(_relation(context, rows, item), key, branches)


def _typed(expression: str, wanted: str | None, dialect: str, name: str) -> str:
    """Return an expression as the target stores it; a value that does not cast was rejected by the load."""
    if wanted is None:
        return f"{expression} as {name}"
    return f"{'try_cast' if dialect == 'duckdb' else 'cast'}({expression} as {wanted}) as {name}"


def _relation(context: Context, rows: ControlRows, item: ResolvedDependency) -> str:
    from flows.gate.probe import source_relation

    source = rows.source(item.name)
    if source is None or item.is_managed:
        schema = context.profile.physical_schema(item.name.schema)
        return f"{quote_identifier(schema)}.{quote_identifier(item.name.table)}"
    return source_relation(context.project, context.profile.dialect, source)


def _span(key: str, window: Window) -> str:
    bounds = ((">=", window.start), ("<=", window.end))
    return " and ".join(f"{key} {sign} '{parse_bound(bound)}'" for sign, bound in bounds if bound is not None)
