"""Which part of its sources a target reads in a backfill, cut into chunks; or why a backfill makes no sense for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.backfill.chunks import ChunkSize, Span, cut, cut_by_count
from flows.gate.facts import Action, Decision, Reason
from flows.gate.probe import source_relation
from flows.warehouse.bounds import Bound, parse_bound
from flows.warehouse.connection import Warehouse
from flows.warehouse.sql import as_text, quoted
from metadata_sync.errors import RunError
from metadata_sync.loads import Window
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.resolve import ResolvedDependency, resolve_dependencies
from metadata_sync.rows.vocabulary import Increment

_STAYS_OUT = (Action.HOLD, Action.SKIP)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The keys that are asked for.

    Attributes:
        start: Least key; None: from the beginning.
        end: Greatest key; None: what runs have read.
        size: Of one chunk; None: by rows_per_chunk.
        rows_per_chunk: About so many rows go into one chunk.
    """

    start: str | None
    end: str | None
    size: ChunkSize | None
    rows_per_chunk: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that is not backfilled, and why."""

    target: str
    reason: str


class Cutter:
    """Cuts what targets read of their driving sources.

    Args:
        project: Where relative lake locations begin.
        warehouse: Read-only connection.
        rows: All rows.
        stretch: What is asked.
    """

    def __init__(self, project: Project, warehouse: Warehouse, rows: ControlRows, stretch: Stretch) -> None:
        self._project = project
        self._warehouse = warehouse
        self._rows = rows
        self._stretch = stretch

    def cut(
        self, row: TransformationRow, decision: Decision, planned: Sequence[Window] | None
    ) -> tuple[Window, ...] | LeftOut:
        """Cut what one target reads.

        Args:
            row: The transformation.
            decision: The gate's, when somebody insists.
            planned: Chunks of an earlier attempt, which are kept; None: there was none.

        Returns:
            One window per chunk, source after source: with groups the others are read for the groups that it touches.
        """
        reason = _makes_no_sense(row, self._rows, decision)
        if reason is not None:
            return LeftOut(str(row.name), reason)
        if planned is not None:
            return tuple(planned)
        read_up_to = {item.source: item.watermark for item in decision.evidence}
        keyed = _keyed(row, self._rows)
        chunks: list[Window] = []
        for item in keyed:
            end = self._stretch.end or read_up_to.get(str(item.name))
            try:
                spans = () if end is None else self._spans(item, end)
            except RunError as error:
                return LeftOut(str(row.name), f"{item.name} cannot be read by {item.incremental_key}: {error.message}")
            except ValueError as error:
                return LeftOut(str(row.name), str(error))
            chunks += [Window(str(item.name), span.start, span.end) for span in spans]
        if chunks:
            return tuple(chunks)
        sources = ", ".join(str(item.name) for item in keyed)
        bounds = f"from {self._stretch.start or 'the beginning'} to {self._stretch.end or 'what runs have read'}"
        return LeftOut(str(row.name), f"{sources} holds nothing {bounds}")

    def _spans(self, item: ResolvedDependency, end: str) -> Sequence[Span]:
        source = self._rows.source(item.name)
        assert source is not None, "a keyed dependency that is not managed is a source"
        assert item.incremental_key is not None, "it is keyed"
        stretch = self._stretch
        extent = measure(self._project, self._warehouse, source, item.incremental_key, start=stretch.start, end=end)
        if extent is None:
            return ()
        if stretch.size is None:
            return cut_by_count(extent.low, extent.high, extent.row_count, stretch.rows_per_chunk)
        return cut(extent.low, extent.high, stretch.size)


def _makes_no_sense(row: TransformationRow, rows: ControlRows, decision: Decision) -> str | None:
    if decision.action in _STAYS_OUT and decision.reason is not Reason.LEASE_HELD:  # its chunks wait for the holder
        return decision.message
    if not any(item.watermark is not None for item in decision.evidence):
        return f"it was never loaded: its first run loads all of its history (`sluice run {row.pipeline_id}`)"
    if row.increment is Increment.FULL:
        return f"every run reads all of its sources: `sluice run {row.pipeline_id} --force` does"
    if not _keyed(row, rows):
        managed = ", ".join(str(item.name) for item in resolve_dependencies(row, rows) if item.is_driving)
        return f"it reads {managed}, and its next run finds what changed there"
    return None


def _keyed(row: TransformationRow, rows: ControlRows) -> list[ResolvedDependency]:
    return [
        item
        for item in resolve_dependencies(row, rows)
        if item.is_driving and not item.is_managed and item.incremental_key is not None
    ]


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
