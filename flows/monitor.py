"""Monitoring: what no run can say of itself. Runs that died, pipelines that are late, alerts that still wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from flows.aftermath import conclude
from flows.alerts import deliver_or_log
from flows.crashes import mark_crashes
from flows.incidents import Finding, held_up
from flows.survey import utc_now
from metadata_sync.database.settlement import Settlement
from metadata_sync.incident import Alert, Incident, IncidentKind

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.rows import ControlRows, PipelineRow

_WATCHED: Final = frozenset({IncidentKind.SLA})


@dataclass(frozen=True, slots=True)
class Watch:
    """What a look has found.

    Attributes:
        crashed: Runs that ended without a word since the last look.
        late: Pipelines that are not done in time.
        open: All incidents that are open now.
    """

    crashed: tuple[str, ...]
    late: tuple[str, ...]
    open: tuple[Incident, ...]


def monitor(context: Context, *, clock: Callable[[], datetime] = utc_now) -> Watch:
    """Look for what no run can say of itself, open and close incidents, and send what waits in the outbox.

    Args:
        context: The project; neither dbt nor the warehouse is asked.
        clock: Tells the current instant, with its zone.

    Raises:
        StoreError: When the control database cannot be reached.
    """
    now = clock()
    rows = context.store.read_rows()
    crashed = mark_crashes(context, rows, now)
    late = tuple(_late_pipelines(context, rows, now))

    def decide(known: Sequence[Incident]) -> tuple[Sequence[Incident], Sequence[Alert]]:
        met = {(finding.kind, finding.subject) for finding in late}
        over = [
            item for item in known if item.is_open and item.kind in _WATCHED and (item.kind, item.subject) not in met
        ]
        return conclude(context, rows, known, late, over, run_id=None, now=now)

    context.store.settle(Settlement(judge=decide))
    deliver_or_log(context, now=clock)
    return Watch(crashed, tuple(finding.subject for finding in late), context.store.incidents())


def last_due(pipeline: PipelineRow, now: datetime) -> datetime | None:
    """Return when a pipeline was last due, UTC; None when it has no schedule."""
    from croniter import croniter

    if not pipeline.schedule:
        return None
    local = now.astimezone(ZoneInfo(pipeline.timezone))
    due: datetime = croniter(pipeline.schedule, local).get_prev(datetime)
    return due.astimezone(UTC)


def _late_pipelines(context: Context, rows: ControlRows, now: datetime) -> Iterator[Finding]:
    for pipeline in rows.pipelines:
        due = last_due(pipeline, now) if pipeline.is_active and pipeline.sla_minutes else None
        if due is None or now <= due + timedelta(minutes=pipeline.sla_minutes or 0):
            continue
        targets = [
            str(row.name) for row in rows.transformations if row.pipeline_id == pipeline.pipeline_id and row.is_active
        ]
        missing = tuple(target for target in targets if not _is_settled(context, target, due))
        if missing:
            yield Finding(
                kind=IncidentKind.SLA,
                subject=pipeline.pipeline_id,
                failure_class=None,
                message=f"Due at {due:%Y-%m-%d %H:%M} UTC, {pipeline.sla_minutes} minutes allowed: not done yet.",
                targets=missing,
                held_up=held_up(missing, rows),
                pipeline_ids=(pipeline.pipeline_id,),
                is_hard=True,
            )


def _is_settled(context: Context, target: str, since: datetime) -> bool:
    """Whether a run has decided on a target since an instant, and ended what it then began."""
    decisions = context.store.latest_decisions(target, limit=1)
    if not decisions or decisions[0].decided_at < since:
        return False
    return decisions[0].action != "run" or any(
        entry.target == target and entry.run_id == decisions[0].run_id for entry in context.store.latest_loads()
    )
