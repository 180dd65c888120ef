"""How much a source holds between two keys: what cutting it into chunks starts from. One small query per source."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from flows.bounds import Bound, parse_bound
from flows.probes import source_relation
from flows.warehouse import Warehouse
from metadata_sync.project import Project
from metadata_sync.rows import SourceRow


@dataclass(frozen=True, slots=True)
class Extent:
    """Rows of a source between two keys.

    Attributes:
        low: Least key there is.
        high: Greatest key there is.
        row_count: Rows between them, both included.
    """

    low: Bound
    high: Bound
    row_count: int


def measure(
    project: Project, warehouse: Warehouse, source: SourceRow, key: str, *, start: str | None, end: str | None
) -> Extent | None:
    """Look what a source holds from start to end, both included.

    Args:
        project: Where relative lake locations begin.
        warehouse: Read-only connection.
        source: The source.
        key: Its incremental key.
        start: Least key of interest; None: from the beginning.
        end: Greatest key of interest; None: to the end.

    Returns:
        None when there is no row.

    Raises:
        RunError: When the warehouse cannot answer, also when a bound is of another type than the key.
        ValueError: When the key holds neither times nor integers.
    """
    column = exp.column(exp.to_identifier(key, quoted=True))
    query = exp.select(
        exp.cast(exp.Min(this=column.copy()), "text"),
        exp.cast(exp.Max(this=column.copy()), "text"),
        exp.Count(this=exp.Star()),
    ).from_(source_relation(project, warehouse.dialect, source))
    query = query.where(exp.Not(this=exp.Is(this=column.copy(), expression=exp.null())))
    if start is not None:
        query = query.where(exp.GTE(this=column.copy(), expression=exp.Literal.string(start)))
    if end is not None:
        query = query.where(exp.LTE(this=column.copy(), expression=exp.Literal.string(end)))
    ((low, high, row_count),) = warehouse.query(query)
    return None if low is None else Extent(parse_bound(low), parse_bound(high), int(row_count))
