"""The part of its sources that a target reads in a backfill, as chunks; or why the target is excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.gate.extent import measure
from flows.gate.facts import Action, Decision, Reason
from flows.warehouse.chunks import ChunkSize, KeySpan, cut, cut_by_count
from flows.warehouse.connection import Warehouse
from metadata_sync.errors import RunError
from metadata_sync.loads import Window
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.resolve import ResolvedDependency, resolve_dependencies
from metadata_sync.rows.vocabulary import Increment, LoadType

_STAYS_OUT = (Action.HOLD, Action.SKIP)


@dataclass(frozen=True, slots=True)
class BackfillRange:
    """The requested range of keys.

    Attributes:
        start: Least key; None: from the beginning.
        end: Greatest key; None: the current watermark.
        size: Size of a chunk; None: by rows_per_chunk.
        rows_per_chunk: Approximate number of rows per chunk.
        is_whole: Read everything, also of sources that no window can be cut of: each of them is one chunk.
    """

    start: str | None
    end: str | None
    size: ChunkSize | None
    rows_per_chunk: int
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class ExcludedTarget:
    """A target that is not backfilled, and why."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Slices:
    """The chunks of a target, one window each, and how many rows its sources have there; None: not counted."""

    chunks: tuple[Window, ...]
    row_count: int | None = None


class Cutter:
    """Cuts the driving sources of targets into chunks.

    Args:
        project: The project, for relative lake locations.
        warehouse: Read-only connection.
        rows: All rows.
        key_range: The requested range of keys.
    """

    def __init__(self, project: Project, warehouse: Warehouse, rows: ControlRows, key_range: BackfillRange) -> None:
        self._project = project
        self._warehouse = warehouse
        self._rows = rows
        self._key_range = key_range

    def cut(
        self, row: TransformationRow, decision: Decision, planned: Sequence[Window] | None
    ) -> Slices | ExcludedTarget:
        """Return the chunks of one target, or why it is excluded.

        Args:
            row: The transformation.
            decision: The gate's decision on a forced run.
            planned: Chunks of an earlier attempt, which are kept; None: there was none.

        Returns:
            The chunks, source after source. With increment `groups`, a load reads the other sources for the
            groups that the window touches.
        """
        reason = _exclusion_reason(row, self._rows, decision, is_whole=self._key_range.is_whole)
        if reason is not None:
            return ExcludedTarget(str(row.name), reason)
        if planned is not None:
            return Slices(tuple(planned))
        read_up_to = {item.source: item.watermark for item in decision.evidence}
        keyed = _keyed(row, self._rows)
        chunks: list[Window] = []
        row_count = 0
        for item in keyed:
            end = self._key_range.end or read_up_to.get(str(item.name))
            try:
                spans, count = ((), 0) if end is None else self._spans(item, end)
            except RunError as error:
                return ExcludedTarget(
                    str(row.name), f"{item.name} cannot be read by {item.incremental_key}: {error.message}"
                )
            except ValueError as error:
                return ExcludedTarget(str(row.name), str(error))
            chunks += [Window(str(item.name), span.start, span.end) for span in spans]
            row_count += count
        if self._key_range.is_whole:
            chunks += [Window(name, None, end) for name, end in _whole_sources(row, self._rows, decision)]
        if self._key_range.is_whole and row.load_type is not LoadType.SCD2:
            chunks.reverse()  # only the last event of a key is stored, so it is derived first
        if chunks:
            return Slices(tuple(chunks), row_count or None)
        sources = ", ".join(str(item.name) for item in keyed)
        bounds = f"from {self._key_range.start or 'the beginning'} to {self._key_range.end or 'the current watermark'}"
        return ExcludedTarget(str(row.name), f"{sources} has no rows {bounds}")

    def _spans(self, item: ResolvedDependency, end: str) -> tuple[Sequence[KeySpan], int]:
        source = self._rows.source(item.name)
        assert source is not None, "an unmanaged dependency with a key is a source"
        assert item.incremental_key is not None, "the dependency has a key"
        key_range = self._key_range
        extent = measure(self._project, self._warehouse, source, item.incremental_key, start=key_range.start, end=end)
        if extent is None:
            return (), 0
        if key_range.size is None:
            spans = cut_by_count(extent.low, extent.high, extent.row_count, key_range.rows_per_chunk)
        else:
            spans = cut(extent.low, extent.high, key_range.size)
        return spans, extent.row_count


def _whole_sources(row: TransformationRow, rows: ControlRows, decision: Decision) -> list[tuple[str, str | None]]:
    """Return the driving sources that no window can be cut of, each with what was read of it."""
    keyed = {str(item.name) for item in _keyed(row, rows)}
    return [(item.source, item.newest) for item in decision.evidence if item.source not in keyed]


def _exclusion_reason(row: TransformationRow, rows: ControlRows, decision: Decision, *, is_whole: bool) -> str | None:
    if decision.action in _STAYS_OUT and decision.reason is not Reason.LEASE_HELD:  # its chunks wait for the holder
        return decision.message
    if not any(item.watermark is not None for item in decision.evidence):
        return f"it was never loaded: its first run loads its whole history (`sluice run {row.pipeline_id}`)"
    if row.increment is Increment.FULL:
        return f"every run reads its sources in full: use `sluice run {row.pipeline_id} --force`"
    if not _keyed(row, rows) and not is_whole:
        managed = ", ".join(str(item.name) for item in resolve_dependencies(row, rows) if item.is_driving)
        return (
            f"it reads {managed}: its next run loads the rows that the backfill changes there, and a changed SELECT "
            f"is restated without --from and --to (`sluice restate {row.name}`)"
        )
    return None


def _keyed(row: TransformationRow, rows: ControlRows) -> list[ResolvedDependency]:
    return [
        item
        for item in resolve_dependencies(row, rows)
        if item.is_driving and not item.is_managed and item.incremental_key is not None
    ]
