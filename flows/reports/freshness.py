"""Which tables are late: targets by their last load, sources by the newest row that was seen of them.

Pure: from rows, the last loads and the last decisions of the gate. What a row allows is its `freshness_minutes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from flows.warehouse.bounds import parse_bound
from metadata_sync.rows.calendar import EVERY_DAY, parse_calendar, time_on
from metadata_sync.rows.resolve import resolve_dependencies

if TYPE_CHECKING:
    from metadata_sync.database.journals.entries import DecisionEntry, LatestLoads
    from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow


class TableKind(StrEnum):
    """What a table is to Sluice."""

    SOURCE = "source"
    TARGET = "target"


class FreshnessState(StrEnum):
    """How a table stands against what its row allows."""

    FRESH = "fresh"
    """Not older than its row allows, or its row allows any age."""
    STALE = "stale"
    NEVER = "never loaded"
    """A target without a load, or a source of which no row was ever seen."""
    OFF = "switched off"
    """Its row or pipeline is; of a source: those of all its readers."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old one table is.

    Attributes:
        table: Its name, `schema.table`.
        kind: Whether it is read or loaded.
        pipeline_ids: Of a target its pipeline, of a source those that read it.
        is_active: Somebody loads it, or reads it.
        newest_at: When it was last loaded, or when its newest row arrived, UTC; None: never.
        age_seconds: Since then; None: never.
        expected_seconds: The part of that on days on which something new is expected at all: its row's `calendar`.
        allowed_seconds: How old it may be; None: as old as it likes.
    """

    table: str
    kind: TableKind
    pipeline_ids: tuple[str, ...]
    is_active: bool
    newest_at: datetime | None
    age_seconds: float | None
    expected_seconds: float | None
    allowed_seconds: float | None

    @property
    def state(self) -> FreshnessState:
        """How it stands."""
        if not self.is_active:
            return FreshnessState.OFF
        if self.expected_seconds is None:
            return FreshnessState.NEVER
        is_stale = self.allowed_seconds is not None and self.expected_seconds > self.allowed_seconds
        return FreshnessState.STALE if is_stale else FreshnessState.FRESH

    @property
    def is_late(self) -> bool:
        """Whether somebody should hear of it: stale, or never loaded though its row sets a limit."""
        is_missing = self.state is FreshnessState.NEVER and self.allowed_seconds is not None
        return is_missing or self.state is FreshnessState.STALE


def measure_freshness(
    rows: ControlRows, loads: LatestLoads, decisions: Iterable[DecisionEntry], now: datetime
) -> tuple[Freshness, ...]:
    """Say how old every table is, targets before sources, each by name.

    A load that finds nothing new is no load: a target's age counts from the last one that wrote. A source's counts from
    its newest incremental key, for that is when the row arrived; of a source without one, or with integers, from the
    last load that read it.

    Args:
        rows: The environment's rows.
        loads: The last loads of each target.
        decisions: The last one on each target; what they saw of sources counts.
        now: The current instant.
    """
    active = {pipeline.pipeline_id for pipeline in rows.pipelines if pipeline.is_active}
    loaded = {entry.target: entry.finished_at for entry in loads.successful}
    arrived = _arrivals(loads, decisions)
    uses: dict[str, list[tuple[str, bool]]] = {}
    for row in rows.transformations:
        driving = [item for item in resolve_dependencies(row, rows) if item.is_driving and not item.is_managed]
        for table in (row.key, *(str(item.name) for item in driving)):
            uses.setdefault(table, []).append((row.pipeline_id, row.is_active and row.pipeline_id in active))

    def measured(
        row: SourceRow | TransformationRow, kind: TableKind, newest_at: datetime | None, calendar: str | None = None
    ) -> Freshness:
        used_by = uses.get(row.key, [])
        return Freshness(
            table=row.key,
            kind=kind,
            pipeline_ids=tuple(dict.fromkeys(name for name, _ in used_by)),
            is_active=any(is_active for _, is_active in used_by),
            newest_at=newest_at,
            age_seconds=None if newest_at is None else max(0.0, (now - newest_at).total_seconds()),
            expected_seconds=None if newest_at is None else time_on(_days(calendar), newest_at, now).total_seconds(),
            allowed_seconds=None if row.freshness_minutes is None else row.freshness_minutes * 60.0,
        )

    targets = (measured(row, TableKind.TARGET, loaded.get(row.key)) for row in rows.transformations)
    sources = (measured(row, TableKind.SOURCE, arrived.get(row.key), row.calendar) for row in rows.sources)
    return (*sorted(targets, key=_by_name), *sorted(sources, key=_by_name))


def _days(calendar: str | None) -> frozenset[int]:
    return EVERY_DAY if calendar is None else parse_calendar(calendar)


def _by_name(item: Freshness) -> str:
    return item.table


def _arrivals(loads: LatestLoads, decisions: Iterable[DecisionEntry]) -> dict[str, datetime]:
    """Return when the newest row of each source arrived, as far as loads and the gate have seen it."""
    newest: dict[str, datetime] = {}
    for source, instant in (*_read(loads), *_seen(decisions)):
        newest[source] = max(instant, newest.get(source, instant))
    return newest


def _read(loads: LatestLoads) -> Iterator[tuple[str, datetime]]:
    for entry in loads.successful:
        for window in entry.windows:
            yield window.source, _instant(window.end) or entry.finished_at


def _seen(decisions: Iterable[DecisionEntry]) -> Iterator[tuple[str, datetime]]:
    for decision in decisions:
        for evidence in decision.evidence.get("sources", ()):
            instant = _instant(evidence.get("newest"))
            if instant is not None:
                yield evidence["source"], instant


def _instant(bound: str | None) -> datetime | None:
    """Return a bound as an instant; None when it is an integer, a change token, or open."""
    if bound is None:
        return None
    try:
        position = parse_bound(bound).position
    except ValueError:
        return None
    return None if isinstance(position, int) else position
