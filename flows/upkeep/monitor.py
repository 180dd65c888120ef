"""Monitoring: crashed and hanging runs, late pipelines, stale tables, pending alerts, orphaned clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from flows.engine.recovery import mark_crashes
from flows.incidents.incident import MONITORED, SCHEDULE, WORK_POOL, Finding, held_up
from flows.incidents.overrides import tell_overrides
from flows.incidents.settle import deliver_or_log, settle_incidents
from flows.reports.freshness import Freshness, TableKind, measure_freshness
from flows.upkeep.lateness import Delay, delays
from flows.warehouse.lake.formats.copies import remove_unused
from metadata_sync.incident import Incident, IncidentKind
from metadata_sync.text import duration_text

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database import Lease
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import ControlRows, PipelineRow

_EXPLAINS: Final = frozenset({IncidentKind.LOAD, IncidentKind.HOLD, IncidentKind.SHARED})
HANGS_AFTER_SLAS: Final = 3
"""A run that holds a target for this many times its pipeline's SLA counts as hanging."""
HANGS_WITHOUT_SLA: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """What one call of the monitor found.

    Attributes:
        crashed: Runs that ended without a result since the last call.
        late: Pipelines that missed their SLA.
        without_runs: Pipelines without an SLA for which no run came since two ticks of their schedule.
        hanging: Runs whose process lives, and which take far too long.
        stale: Sources and targets that are older than their rows allow, unless another incident explains it.
        open: All open incidents.
        swept: Clusters on EMR that were terminated because no run waited for them.
        scheduling: What stops the schedules on the Prefect server.
    """

    crashed: tuple[str, ...]
    late: tuple[str, ...]
    without_runs: tuple[str, ...]
    hanging: tuple[str, ...]
    stale: tuple[str, ...]
    open: tuple[Incident, ...]
    swept: tuple[str, ...] = ()
    scheduling: tuple[str, ...] = ()


def monitor(context: Context, scheduling: Sequence[Finding] | None = None) -> MonitorReport:
    """Check what runs cannot report, open and close incidents, send alerts, remove what nobody uses any more.

    Args:
        context: The project; neither dbt nor the warehouse is used.
        scheduling: What stops the schedules on the Prefect server; None: the server was not asked.

    Raises:
        StoreError: When the control database cannot be reached.
        RunError: When AWS cannot be reached; all other checks are done by then.
    """
    now = context.now()
    rows = context.store.usable_rows()
    crashed = mark_crashes(context, rows)
    loads = context.store.latest_loads()
    waiting = tuple(delays(context, rows, loads, now))
    late = tuple(_late_pipelines(context, rows, waiting, scheduling or (), now))
    without_runs = tuple(_standing_still(rows, waiting, scheduling or (), now))
    hanging = tuple(_hanging_runs(context, rows, now))
    stale = tuple(_stale_tables(context, rows, loads, now))
    found = (*late, *without_runs, *hanging, *stale, *(scheduling or ()))

    met = {(finding.kind, finding.subject) for finding in found}
    standing = {SCHEDULE + item.pipeline.pipeline_id for item in waiting}

    def is_over(item: Incident) -> bool:
        if item.kind not in MONITORED or (item.kind, item.subject) in met:
            return False
        if scheduling is not None or not item.subject.startswith((WORK_POOL, SCHEDULE)):
            return True
        return item.subject.startswith(SCHEDULE) and item.subject not in standing  # a run has decided since

    settle_incidents(context, rows, found, is_over=is_over)
    tell_overrides(context)
    deliver_or_log(context)
    remove_unused(context.project, rows.sources)
    return MonitorReport(
        crashed,
        late=tuple(finding.subject for finding in late),
        without_runs=tuple(pipeline for finding in without_runs for pipeline in finding.pipeline_ids),
        hanging=tuple(finding.subject for finding in hanging),
        stale=tuple(finding.subject for finding in stale),
        open=context.store.incidents(),
        swept=_sweep(context),
        scheduling=tuple(finding.subject for finding in scheduling or ()),
    )


def _sweep(context: Context) -> tuple[str, ...]:
    from flows.spark.settings import BackendName, load_spark_settings

    if load_spark_settings(context.project).backend is not BackendName.EMR:
        return ()
    from flows.spark.emr.sweep import sweep

    return tuple(orphan.cluster_id for orphan in sweep(context))


def _late_pipelines(
    context: Context, rows: ControlRows, waiting: Sequence[Delay], scheduling: Sequence[Finding], now: datetime
) -> Iterator[Finding]:
    """Find the pipelines that missed their SLA, unless what stops the schedules explains it."""
    reported = {item.subject for item in context.store.incidents() if item.kind is IncidentKind.SLA}
    explained = {name for finding in scheduling for name in finding.pipeline_ids} - reported
    for delay in waiting:
        if delay.is_late(now) and delay.pipeline.pipeline_id not in explained:
            yield _late(delay, rows)


def _standing_still(
    rows: ControlRows, waiting: Sequence[Delay], scheduling: Sequence[Finding], now: datetime
) -> Iterator[Finding]:
    """Find the pipelines for which no run came since two ticks, and for which no SLA says when that is too late."""
    explained = {name for finding in scheduling for name in finding.pipeline_ids}
    for delay in waiting:
        pipeline = delay.pipeline
        if delay.is_standing_still(now) and not pipeline.sla_minutes and pipeline.pipeline_id not in explained:
            yield _without_runs(delay, rows)


def _late(delay: Delay, rows: ControlRows) -> Finding:
    allowed = f"{delay.pipeline.sla_minutes} minutes allowed"
    return _of_delay(delay, rows, delay.pipeline.pipeline_id, f"{allowed}: {delay.state}.")


def _without_runs(delay: Delay, rows: ControlRows) -> Finding:
    subject = SCHEDULE + delay.pipeline.pipeline_id
    message = f"no run has decided since, for {delay.missed_count} ticks. `sluice doctor` checks server and workers."
    return _of_delay(delay, rows, subject, message)


def _of_delay(delay: Delay, rows: ControlRows, subject: str, message: str) -> Finding:
    return Finding(
        kind=IncidentKind.SLA,
        subject=subject,
        failure_class=None,
        message=f"Due at {delay.due:%Y-%m-%d %H:%M} UTC, {message}",
        targets=delay.targets,
        held_up=held_up(delay.targets, rows),
        pipeline_ids=(delay.pipeline.pipeline_id,),
        is_hard=True,
    )


def _hanging_runs(context: Context, rows: ControlRows, now: datetime) -> Iterator[Finding]:
    """Find the runs whose process still renews a lease long after the run should have ended.

    The age of a lease comes from the database's clock, so a wrong clock of one machine has no effect.
    """
    pipelines = {str(row.name): rows.pipeline(row.pipeline_id) for row in rows.transformations}
    by_run: dict[str, list[Lease]] = {}
    for lease in context.store.leases():
        pipeline = pipelines.get(lease.target)
        if pipeline is not None and now - lease.taken_at > _longest(pipeline):
            by_run.setdefault(lease.holder.run_id, []).append(lease)
    for run_id, leases in by_run.items():
        targets = tuple(lease.target for lease in leases)
        concerned = [pipeline for target in targets if (pipeline := pipelines[target]) is not None]
        yield Finding(
            kind=IncidentKind.SLA,
            subject=f"run {run_id}",
            failure_class=None,
            message=f"The run's process lives but the run does not end: {leases[0]}.",
            targets=targets,
            held_up=held_up(targets, rows),
            pipeline_ids=tuple(dict.fromkeys(pipeline.pipeline_id for pipeline in concerned)),
            is_hard=True,
        )


def _stale_tables(context: Context, rows: ControlRows, loads: LatestLoads, now: datetime) -> Iterator[Finding]:
    """Find the late tables, unless an open incident explains it: a failed load, or a source that cannot be read."""
    store = context.store
    open_ = store.incidents()
    reported = {item.subject for item in open_ if item.kind is IncidentKind.FRESHNESS}
    explained = {
        table for item in open_ if item.kind in _EXPLAINS for table in (item.subject, *item.targets, *item.held_up)
    }
    for item in measure_freshness(rows, loads, store.last_decisions(), now):
        if not item.is_late or (item.table in explained and item.table not in reported):
            continue
        is_target = item.kind is TableKind.TARGET
        readers = tuple(
            row.key for row in rows.transformations if any(read.table == item.table for read in row.dependencies)
        )
        hit = (item.table,) if is_target else readers
        yield Finding(
            kind=IncidentKind.FRESHNESS,
            subject=item.table,
            failure_class=None,
            message=_how_late(item),
            targets=hit,
            held_up=held_up(hit, rows) if is_target else (),
            pipeline_ids=item.pipeline_ids,
            is_hard=True,
        )


def _how_late(item: Freshness) -> str:
    allowed = "" if item.allowed_seconds is None else f"; its row allows {duration_text(item.allowed_seconds)}"
    if item.newest_at is None or item.age_seconds is None:
        return f"{'It was never loaded' if item.kind is TableKind.TARGET else 'No row of it was ever seen'}{allowed}."
    what = "Last loaded" if item.kind is TableKind.TARGET else "Its newest row is from"
    return f"{what} {item.newest_at:%Y-%m-%d %H:%M} UTC, {duration_text(item.age_seconds)} ago{allowed}."


def _longest(pipeline: PipelineRow) -> timedelta:
    if not pipeline.sla_minutes:
        return HANGS_WITHOUT_SLA
    return HANGS_AFTER_SLAS * timedelta(minutes=pipeline.sla_minutes)
