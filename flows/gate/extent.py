"""The extent of a source: its least and greatest keys, and the number of rows between them."""

from __future__ import annotations

from dataclasses import dataclass

from flows.gate.probe import source_relation
from flows.warehouse.bounds import Bound, parse_bound
from flows.warehouse.connection import Warehouse
from flows.warehouse.sql import as_text, quoted
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow


@dataclass(frozen=True, slots=True)
class Extent:
    """Rows of a source between two keys.

    Attributes:
        low: Least key.
        high: Greatest key.
        row_count: Rows between them, both inclusive.
    """

    low: Bound
    high: Bound
    row_count: int


def measure(
    project: Project, warehouse: Warehouse, source: SourceRow, key: str, *, start: str | None, end: str | None
) -> Extent | None:
    """Measure the rows of a source from start to end, both inclusive.

    Args:
        project: The project, for relative lake locations.
        warehouse: Read-only connection.
        source: The source.
        key: Its incremental key.
        start: Least key; None: from the beginning.
        end: Greatest key; None: to the end.

    Returns:
        The extent, or None when there are no rows.

    Raises:
        RunError: When the warehouse cannot answer, also when a bound has another type than the key.
        ValueError: When the key is neither a time nor an integer.
    """
    column = quoted(key)
    relation = source_relation(project, warehouse.dialect, source)
    bounds = [(sign, bound) for sign, bound in ((">=", start), ("<=", end)) if bound is not None]
    limits = [f"{column} {sign} '{parse_bound(bound)}'" for sign, bound in bounds]
    query = (
        f"select {as_text(f'min({column})')}, {as_text(f'max({column})')}, count(*) from {relation} "
        f"where {' and '.join([f'{column} is not null', *limits])}"
    )
    ((low, high, row_count),) = warehouse.query(query)
    return None if low is None else Extent(parse_bound(low), parse_bound(high), int(row_count))
