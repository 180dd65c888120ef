"""The extent of a source: its least and greatest keys, and the number of rows between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flows.gate.probe import source_relation
from flows.warehouse.bounds import Bound, parse_bound
from flows.warehouse.chunks import KeySpan, cut_by_count
from flows.warehouse.connection import Warehouse, as_text
from flows.warehouse.lake.view import LakeView
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.names import quote_identifier

_COUNTS_A_QUERY: Final = 200
_ROUNDS: Final = 5
"""How often a span that holds too many rows is cut again; rows of one key value cannot be cut."""
_TOLERANCE: Final = 2
"""A span is cut again when it holds this many times the rows of a chunk."""


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
    project: Project,
    warehouse: Warehouse,
    source: SourceRow,
    key: str,
    *,
    start: str | None,
    end: str | None,
    lake: LakeView | None = None,
) -> Extent | None:
    """Measure the rows of a source from start to end, both inclusive.

    Args:
        project: The project, for relative lake locations.
        warehouse: Read-only connection.
        source: The source.
        key: Its incremental key.
        start: Least key; None: from the beginning.
        end: Greatest key; None: to the end.
        lake: Tells which files of the source can be read; None: all are.

    Returns:
        The extent, or None when there are no rows.

    Raises:
        RunError: When the warehouse cannot answer, also when a bound has another type than the key.
        ValueError: When the key is neither a time nor an integer.
    """
    column = quote_identifier(key)
    relation = source_relation(project, warehouse.dialect, source, lake)
    bounds = [(sign, bound) for sign, bound in ((">=", start), ("<=", end)) if bound is not None]
    limits = [f"{column} {sign} '{parse_bound(bound)}'" for sign, bound in bounds]
    query = (
        f"select {as_text(f'min({column})')}, {as_text(f'max({column})')}, count(*) from {relation} "
        f"where {' and '.join([f'{column} is not null', *limits])}"
    )
    ((low, high, row_count),) = warehouse.query(query)
    return None if low is None else Extent(parse_bound(low), parse_bound(high), int(row_count))


def cut_evenly(
    project: Project,
    warehouse: Warehouse,
    source: SourceRow,
    key: str,
    extent: Extent,
    *,
    rows_per_chunk: int,
    lake: LakeView | None = None,
) -> tuple[KeySpan, ...]:
    """Cut an extent into spans of about the given number of rows, also where rows lie unevenly.

    The rows of equal spans are counted by one query; spans with too many rows are cut again, and spans with few are
    joined with their neighbours.

    Args:
        project: The project, for relative lake locations.
        warehouse: Read-only connection.
        source: The source.
        key: Its incremental key.
        extent: Its extent, from `measure`.
        rows_per_chunk: Rows per span.
        lake: Tells which files of the source can be read; None: all are.

    Raises:
        RunError: When the warehouse cannot answer.
    """

    def count(spans: Sequence[KeySpan]) -> list[int]:
        return _count_rows(
            warehouse, source_relation(project, warehouse.dialect, source, lake), quote_identifier(key), spans
        )

    def cut(part: Extent, rounds: int) -> list[tuple[KeySpan, int]]:
        spans = cut_by_count(part.low, part.high, part.row_count, rows_per_chunk)
        if len(spans) == 1 or not rounds:
            return [(span, part.row_count // len(spans)) for span in spans]
        found: list[tuple[KeySpan, int]] = []
        for span, row_count in zip(spans, count(spans), strict=True):
            if row_count > _TOLERANCE * rows_per_chunk:
                inner = Extent(parse_bound(span.start or ""), parse_bound(span.end), row_count)
                found += cut(inner, rounds - 1)
            else:
                found.append((span, row_count))
        return found

    return tuple(_joined(cut(extent, _ROUNDS), rows_per_chunk))


def _joined(spans: Sequence[tuple[KeySpan, int]], rows_per_chunk: int) -> list[KeySpan]:
    """Join neighbours as long as they hold no more rows than one chunk may."""
    joined: list[tuple[KeySpan, int]] = []
    for span, row_count in spans:
        last = joined[-1] if joined else None
        if last is not None and last[1] + row_count <= rows_per_chunk:
            joined[-1] = (KeySpan(last[0].start, span.end), last[1] + row_count)
        else:
            joined.append((span, row_count))
    return [span for span, _ in joined]


def _count_rows(warehouse: Warehouse, relation: str, column: str, spans: Sequence[KeySpan]) -> list[int]:
    counts: list[int] = []
    for first in range(0, len(spans), _COUNTS_A_QUERY):
        some = spans[first : first + _COUNTS_A_QUERY]
        limits = f"{column} >= '{some[0].start}' and {column} <= '{some[-1].end}'"
        cases = [
            f"count(case when {column} >= '{span.start}' and {column} <= '{span.end}' then 1 end)" for span in some
        ]
        ((*found,),) = warehouse.query(f"select {', '.join(cases)} from {relation} where {limits}")
        counts += [int(value) for value in found]
    return counts
