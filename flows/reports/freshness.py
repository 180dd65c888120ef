"""Which tables are late: targets by their last load, sources by the newest row that the gate has seen.

Pure: computed from rows, the last loads and the gate's last decisions. A row's limit is its `freshness_minutes`.
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
    """Whether a table is read or loaded."""

    SOURCE = "source"
    TARGET = "target"


class FreshnessState(StrEnum):
    """The age of a table compared with the limit of its row."""

    FRESH = "fresh"
    """Within the limit, or the row sets no limit."""
    STALE = "stale"
    NEVER = "never loaded"
    """A target without a load, or a source of which the gate has seen no row."""
    OFF = "switched off"
    """The row or the pipeline is inactive; for a source: those of all its readers."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old one table is.

    Attributes:
        table: Its name, `schema.table`.
        kind: Whether it is read or loaded.
        pipeline_ids: A target's pipeline, or the pipelines that read a source.
        is_active: Whether an active pipeline loads or reads it.
        newest_at: When it was last loaded, or when its newest row arrived, UTC; None: never.
        age_seconds: Since then; None: never.
        expected_seconds: The part of the age on days of its row's `calendar`, when new data is expected.
        allowed_seconds: The limit; None: no limit.
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
        """Its age compared with its limit."""
        if not self.is_active:
            return FreshnessState.OFF
        if self.expected_seconds is None:
            return FreshnessState.NEVER
        is_stale = self.allowed_seconds is not None and self.expected_seconds > self.allowed_seconds
        return FreshnessState.STALE if is_stale else FreshnessState.FRESH

    @property
    def is_late(self) -> bool:
        """Whether it calls for an alert: stale, or never loaded although its row sets a limit."""
        is_missing = self.state is FreshnessState.NEVER and self.allowed_seconds is not None
        return is_missing or self.state is FreshnessState.STALE


def measure_freshness(
    rows: ControlRows, loads: LatestLoads, decisions: Iterable[DecisionEntry], now: datetime
) -> tuple[Freshness, ...]:
    """Return the age of every table, targets before sources, each by name.

    A target's age counts from the last load that wrote rows; a load without new rows does not count. A source's age
    counts from its newest incremental key, which is when the row arrived. For a source without an incremental key or
    with an integer key it counts from the last load that read the source.

    Args:
        rows: The environment's rows.
        loads: The last loads of each target.
        decisions: The last decision on each target, with its evidence on sources.
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
    """Return when the newest row of each source arrived, according to loads and to the gate."""
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
    """Return a bound as an instant; None for an integer, a change token or an open bound."""
    if bound is None:
        return None
    try:
        position = parse_bound(bound).position
    except ValueError:
        return None
    return None if isinstance(position, int) else position
