"""First loads in chunks: which targets a run loads by chunks, because one load of their source would be too large.

`prepare` finds them, the run loads the first or next chunk of each, and `flows.backfill.first_loads` goes on after it.
A first load that ended early stands in `backfill_log`; the next run finds it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from flows.gate.extent import Extent, cut_evenly, measure
from flows.gate.facts import Action, Decision
from flows.gate.first_load import FirstLoad, first_load_of, with_progress
from flows.warehouse.bounds import latest_accepted, parse_bound
from flows.warehouse.load_log import read_loads, read_state
from metadata_sync.database.journals.entries import BackfillEntry
from metadata_sync.errors import RunError
from metadata_sync.loads import Watermark, Window
from metadata_sync.rows.resolve import ResolvedDependency, history_start, resolve_dependencies
from metadata_sync.rows.vocabulary import Engine, Increment

if TYPE_CHECKING:
    from datetime import datetime

    from flows.context import Context
    from flows.gate.gather import Gate
    from flows.warehouse.connection import Warehouse
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import TransformationRow

_TELLING_ROWS: Final = 100_000
"""Loads of fewer rows say nothing about speed: most of their time is the start of dbt."""


@dataclass(frozen=True, slots=True)
class FirstLoads:
    """The first loads in chunks of a run.

    Attributes:
        by_target: Target → its first load; only those that are not done.
        decisions: The gate's decisions; those on these targets say that chunks are loaded.
    """

    by_target: Mapping[str, FirstLoad]
    decisions: tuple[Decision, ...]


def find_first_loads(
    context: Context, gate: Gate, decisions: Sequence[Decision], loads: LatestLoads, now: datetime
) -> FirstLoads:
    """Find the selected targets whose first load is under way in chunks, or begins so.

    Only the sources of targets that were never loaded are measured, each by one query.

    Args:
        context: Settings and control database.
        gate: The open gate.
        decisions: Its decisions, in the order of its targets.
        loads: The last loads of each target.
        now: The current instant.
    """
    begun = _begun(context, gate.warehouse, gate.state.watermarks)
    found: dict[str, FirstLoad] = {}
    told: list[Decision] = []
    for row, decision in zip(gate.targets, decisions, strict=True):
        first: FirstLoad | str | None = begun.get(decision.target)
        if first is None and _is_new(row, decision, gate):
            first = _Cut(context, gate, row, now).first_load()
        if isinstance(first, FirstLoad):
            first = replace(first, rows_per_second=rows_per_second(first.target, loads))
            found[first.target] = first
        note = first.sentence if isinstance(first, FirstLoad) else first
        is_said = note is not None and decision.action in (Action.RUN, Action.WAIT)
        told.append(replace(decision, message=f"{decision.message}; {note}", is_large=True) if is_said else decision)
    return FirstLoads(found, tuple(told))


def begin_first_load(context: Context, first: FirstLoad, requested_by: str) -> None:
    """Write a first load to `backfill_log` before its first chunk, in place of an attempt that loaded nothing."""
    store, now = context.store, context.now()
    _close_others(context, first, "A first load with other chunks took its place.")
    store.begin_backfill(
        BackfillEntry(
            backfill_id=first.backfill_id,
            subject=first.target,
            range_start="",
            range_end=None,
            chunk_size=None,
            chunks={first.target: first.chunks},
            requested_by=requested_by,
            started_at=now,
            backfill_order=first.order,
            row_count=first.row_count,
            done_count=0,
        )
    )


def end_first_load(context: Context, first: FirstLoad) -> None:
    """Write to `backfill_log` that a first load is done."""
    _close_others(context, first, "Another attempt finished this first load.")
    context.store.note_chunks(first.backfill_id, first.done)
    context.store.end_backfill(first.backfill_id, context.now(), None)


def look_again(context: Context, warehouse: Warehouse, first: FirstLoad) -> FirstLoad:
    """Count again which chunks the warehouse holds: another run may have loaded some meanwhile."""
    from metadata_sync.rows.names import TableName

    name = TableName.parse(first.target)
    watermarks = read_state(warehouse, context.profile, [name], [name]).watermarks
    return with_progress(first, watermarks, _logged(context, warehouse, first))


def _begun(
    context: Context, warehouse: Warehouse, watermarks: Mapping[tuple[str, str], Watermark]
) -> dict[str, FirstLoad]:
    """Return the first loads that loaded at least one chunk and are not done."""
    found: dict[str, FirstLoad] = {}
    loaded = {target for target, _ in watermarks}
    for entry in context.store.unfinished_first_loads():
        if entry.subject not in loaded or entry.subject in found:
            continue  # nothing of it is loaded: the source is measured again
        first = first_load_of(entry, entry.subject)
        try:
            first = with_progress(first, watermarks, _logged(context, warehouse, first))
        except ValueError:  # the key has another type now: the rest is loaded at once
            continue
        found[first.target] = first
    return found


def _logged(context: Context, warehouse: Warehouse, first: FirstLoad) -> frozenset[Window]:
    if first.is_oldest_first:
        return frozenset()
    loads = read_loads(warehouse, context.profile, run_id=first.backfill_id)
    return frozenset(window for load in loads for window in load.windows)


def _close_others(context: Context, first: FirstLoad, reason: str) -> None:
    for entry in context.store.unfinished_first_loads():
        if entry.subject == first.target and entry.backfill_id != first.backfill_id:
            context.store.end_backfill(entry.backfill_id, context.now(), reason)


def _is_new(row: TransformationRow, decision: Decision, gate: Gate) -> bool:
    """Whether the target was never loaded, may be loaded in this run, and runs in the warehouse."""
    if decision.action not in (Action.RUN, Action.WAIT):
        return False
    if decision.choice is not None and decision.choice.engine is Engine.SPARK:
        return False
    driving = [item for item in resolve_dependencies(row, gate.rows) if item.is_driving]
    return bool(driving) and all((str(row.name), str(item.name)) not in gate.state.watermarks for item in driving)


class _Cut:
    """Cuts the first load of one target."""

    def __init__(self, context: Context, gate: Gate, row: TransformationRow, now: datetime) -> None:
        self._context = context
        self._gate = gate
        self._row = row
        self._budget = context.settings.first_load_rows
        self._now = now

    def first_load(self) -> FirstLoad | str | None:
        """Return the first load in chunks, why a large one is loaded at once, or None when it is small."""
        driving = [item for item in resolve_dependencies(self._row, self._gate.rows) if item.is_driving]
        if not self._budget or any(item.is_managed or item.incremental_key is None for item in driving):
            return None
        try:
            extents = {item: extent for item in driving if (extent := self._measure(item)) is not None}
            largest = max((extent.row_count for extent in extents.values()), default=0)
            is_cut = largest > self._budget and self._row.increment is not Increment.FULL
            parts = [self._chunks(item, extent) for item, extent in extents.items()] if is_cut else []
        except (RunError, ValueError):  # the load itself says what is wrong with the source or its key
            return None
        if largest <= self._budget:
            return None
        if self._row.increment is Increment.FULL:
            return (
                f"{largest:,} rows, more than SLUICE_FIRST_LOAD_ROWS, are loaded at once: increment `full` reads its "
                "sources in full with every load"
            )
        return FirstLoad(
            backfill_id=f"first-load-{self._now:%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}",
            target=str(self._row.name),
            order=self._row.backfill_order,
            chunks=self._ordered(parts),
            row_count=sum(extent.row_count for extent in extents.values()),
            is_new=True,
        )

    def _measure(self, item: ResolvedDependency) -> Extent | None:
        """Measure what a load of the source would read; rows of the future wait until their time has come."""
        source, gate = self._gate.rows.source(item.name), self._gate
        if source is None or item.incremental_key is None:
            return None
        query = partial(
            measure,
            *(self._context.project, gate.warehouse, source, item.incremental_key),
            start=history_start(self._row),
            lake=gate.lake,
        )
        extent = query(end=None)
        if extent is None:
            return None
        limit = latest_accepted(extent.high.kind, self._now, item.max_skew_minutes)
        if limit is None or not extent.high.is_later_than(limit):
            return extent
        return query(end=str(limit))

    def _chunks(self, item: ResolvedDependency, extent: Extent) -> list[Window]:
        """Cut a source. As in any other load, a chunk reads the lookback below the watermark again."""
        source, gate = self._gate.rows.source(item.name), self._gate
        assert source is not None, "it was measured"
        assert item.incremental_key is not None, "it was measured"
        spans = cut_evenly(
            *(self._context.project, gate.warehouse, source, item.incremental_key, extent),
            rows_per_chunk=self._budget,
            lake=gate.lake,
        )
        chunks: list[Window] = []
        for span in spans:
            start = span.start
            if chunks and item.lookback_minutes and self._row.backfill_order.is_ascending:
                start = str(parse_bound(chunks[-1].end or "").earlier_by(item.lookback_minutes))
            chunks.append(Window(str(item.name), start, span.end))
        return chunks

    def _ordered(self, parts: Sequence[Sequence[Window]]) -> tuple[Window, ...]:
        """Return the chunks in the order of their loads; newest first, the newest chunk of each source leads."""
        if self._row.backfill_order.is_ascending:
            return tuple(chunk for part in parts for chunk in part)
        older = (chunk for part in parts for chunk in reversed(part[:-1]))
        return (*(part[-1] for part in parts), *older)


def rows_per_second(target: str, loads: LatestLoads) -> float | None:
    """Return rows per second of the target's last load, else of the last large loads of all targets."""
    large = [
        entry
        for entry in loads.successful
        if entry.rows is not None and entry.rows.read >= _TELLING_ROWS and entry.seconds > 0
    ]
    telling = [entry for entry in large if entry.target == target] or large
    seconds = sum(entry.seconds for entry in telling)
    return sum(entry.rows.read for entry in telling if entry.rows is not None) / seconds if seconds else None
