"""Which pipelines are late: since the first tick of their schedule without a decision, until a run has decided.

The newest tick proves nothing: with an SLA longer than the schedule's interval it is never old enough, and with a
shorter one each tick would end the lateness of the one before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from flows.gate.facts import Action, Reason
from flows.upkeep.ticks import due_after, last_due, ticks_between

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database import DecisionEntry
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import ControlRows, PipelineRow

NO_RUN_AFTER: Final = timedelta(minutes=5)
"""Ticks without a run are reported no sooner: a busy machine starts runs late."""
_MISSED_TICKS: Final = 2
_REFUSED: Final = frozenset({Reason.LEASE_HELD, Reason.UPSTREAM_RUNNING})
_OLDER_DECISIONS: Final = 200


@dataclass(frozen=True, slots=True)
class Delay:
    """A pipeline that was due, and on which no run has decided since.

    Attributes:
        pipeline: Its row.
        due: The first tick without a decision, UTC.
        targets: The targets that no run has decided on since then, or whose load has not ended.
        missed_count: Ticks since then, that one included.
        is_running: Whether a run holds one of the targets.
    """

    pipeline: PipelineRow
    due: datetime
    targets: tuple[str, ...]
    missed_count: int
    is_running: bool

    def is_late(self, now: datetime) -> bool:
        """Whether the pipeline has missed its SLA."""
        minutes = self.pipeline.sla_minutes
        return bool(minutes) and now > self.due + timedelta(minutes=minutes or 0)

    def is_standing_still(self, now: datetime) -> bool:
        """Whether no run came for two ticks."""
        return not self.is_running and self.missed_count >= _MISSED_TICKS and now - self.due >= NO_RUN_AFTER

    @property
    def state(self) -> str:
        """What a run has done since it was due, in a few words."""
        return "its run has not ended" if self.is_running else "no run has finished it since"


def delays(
    context: Context, rows: ControlRows, loads: LatestLoads, now: datetime, only: Collection[str] = ()
) -> Iterator[Delay]:
    """Yield the active pipelines that were due and are not done.

    Args:
        context: Control database.
        rows: The environment's rows.
        loads: The last loads of each target.
        now: UTC.
        only: The pipelines to look at; empty: all.
    """
    store = context.store
    asked = [row for row in rows.transformations if row.pipeline_id in only] if only else None
    targets = None if asked is None else {str(row.name) for row in asked}
    decisions = {entry.target: entry for entry in store.last_decisions(targets)}
    changes = store.timing_changes(None if asked is None else {*only, *(row.key for row in asked)})
    leased = {lease.target for lease in store.leases() if not lease.is_expired}
    for pipeline in rows.pipelines:
        if not (pipeline.is_active and pipeline.schedule) or (only and pipeline.pipeline_id not in only):
            continue
        due: dict[str, datetime] = {}
        for row in rows.transformations:
            if row.pipeline_id == pipeline.pipeline_id and row.is_active:
                target = str(row.name)
                settled = _settled_at(context, target, decisions.get(target), loads)
                since = (*changes.get(pipeline.pipeline_id, ()), *changes.get(row.key, ()))
                tick = _first_tick(pipeline, settled, [change for change in since if change <= now], now)
                if tick is not None and tick <= now:
                    due[target] = tick
        if due:
            first = min(due.values())
            count = 1 + len(ticks_between(pipeline.schedule, pipeline.timezone, first, now))
            yield Delay(pipeline, first, tuple(due), count, is_running=bool(leased & due.keys()))


def _first_tick(
    pipeline: PipelineRow, settled_at: datetime | None, changes: Sequence[datetime], now: datetime
) -> datetime | None:
    """Return the first tick after the last decision and the last change of the schedule or the switch."""
    assert pipeline.schedule is not None, "only scheduled pipelines are late"
    known = [*changes, *([settled_at] if settled_at else [])]
    if known:
        return due_after(pipeline.schedule, pipeline.timezone, max(known))
    return last_due(pipeline.schedule, pipeline.timezone, now)


def _settled_at(context: Context, target: str, last: DecisionEntry | None, loads: LatestLoads) -> datetime | None:
    """Return when a run last decided on a target and finished what it decided."""
    if last is None:
        return None
    finished = {(entry.target, entry.run_id) for entry in loads.newest}
    if _is_settled(last, is_finished=(target, last.run_id) in finished):
        return last.decided_at
    older = context.store.latest_decisions(target, limit=_OLDER_DECISIONS)[1:]
    for entry in older:
        if _is_settled(entry, is_finished=context.store.load_at(target, entry.run_id) is not None):
            return entry.decided_at
    return None


def _is_settled(decision: DecisionEntry, *, is_finished: bool) -> bool:
    """Tell whether a decision ends the wait: a refused run decided nothing, and a load may be still on its way."""
    if decision.reason in _REFUSED:
        return False
    return decision.action != Action.RUN or is_finished
