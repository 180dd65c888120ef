"""What is wrong now, the most urgent first: the head of `sluice status` and the page that `monitor` writes.

Read from the control database alone, so it is right although neither the warehouse nor Prefect answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flows.incidents.alert_text import headline_of, next_step
from flows.run.error_text import cause_of
from flows.upkeep.lateness import Delay, delays
from flows.upkeep.ticks import due_after
from metadata_sync.incident import Incident, IncidentKind, Severity
from metadata_sync.rows.vocabulary import DeactivatedBy

if TYPE_CHECKING:
    from flows.context import Context
    from flows.upkeep.scope import Scope
    from metadata_sync.rows.model import ControlRows, TransformationRow

_URGENCY: Final = (Severity.ERROR, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong now.

    Attributes:
        subject: A target, a source, a pipeline, a run, the warehouse or a work pool.
        state: What is wrong, in a few words.
        severity: How urgent it is.
        since: Since when, UTC; None: unknown.
        why: The cause, one line.
        held_up: Targets that wait for it.
        next_step: What Sluice does next, and what people can do.
        next_try: When the next run is due, UTC; None: no schedule tries again.
    """

    subject: str
    state: str
    severity: Severity
    since: datetime | None
    why: str
    held_up: tuple[str, ...]
    next_step: str
    next_try: datetime | None = None


def problems(context: Context, scope: Scope) -> tuple[Problem, ...]:
    """Return what is wrong now in an environment, or with some of its pipelines.

    Args:
        context: Control database.
        scope: What is asked for.
    """
    now, rows, open_ = context.now(), scope.rows, scope.incidents
    subjects = {incident.subject for incident in open_}
    concerned = [row for row in rows.transformations if scope.holds(row.pipeline_id) or str(row.name) in subjects]
    found = [
        *_rows_off(concerned, open_),
        *(_of_incident(incident, rows, now) for incident in open_ if not _is_of_row_off(incident, rows)),
        *_late(context, scope, now),
    ]
    return tuple(sorted(found, key=lambda item: (_URGENCY.index(item.severity), item.since or now)))


def first_line(text: str) -> str:
    r"""Return the line of an error that names its cause.

    >>> first_line("Runtime Error in model fact (models/x.sql)\n  Conversion Error: Could not convert 'x'\n  LINE 1")
    "Conversion Error: Could not convert 'x'"
    """
    return next((line.strip() for line in cause_of(text).splitlines() if line.strip()), "")


def _framework_row(row: TransformationRow) -> bool:
    return not row.is_active and row.deactivated_by is DeactivatedBy.FRAMEWORK


def _is_of_row_off(incident: Incident, rows: ControlRows) -> bool:
    off = {str(row.name) for row in rows.transformations if _framework_row(row)}
    return incident.kind is IncidentKind.LOAD and incident.subject in off


def _rows_off(rows: Iterable[TransformationRow], open_: Sequence[Incident]) -> Iterator[Problem]:
    known = {incident.subject: incident for incident in open_ if incident.kind is IncidentKind.LOAD}
    for row in rows:
        if not _framework_row(row):
            continue
        target = str(row.name)
        incident = known.get(target)
        comment = (row.comments or "").partition("\n")[2] or row.comments or ""
        yield Problem(
            subject=target,
            state="is off" + (f": {incident.failure_class}" if incident and incident.failure_class else ""),
            severity=Severity.ERROR,
            since=incident.opened_at if incident else None,
            why=first_line(incident.message if incident else comment),
            held_up=incident.held_up if incident else (),
            next_step=f"Fix the cause; `sluice heal` switches it on then, `sluice activate {target}` does it at once.",
        )


def _of_incident(incident: Incident, rows: ControlRows, now: datetime) -> Problem:
    return Problem(
        subject=incident.subject,
        state=headline_of(incident),
        severity=incident.severity,
        since=incident.opened_at,
        why=first_line(incident.message),
        held_up=incident.held_up,
        next_step=next_step(incident),
        next_try=_next_try(incident.pipeline_ids, rows, now),
    )


def _next_try(pipeline_ids: Sequence[str], rows: ControlRows, now: datetime) -> datetime | None:
    found = [rows.pipeline(pipeline_id) for pipeline_id in pipeline_ids]
    due = [
        due_after(row.schedule, row.timezone, now)
        for row in found
        if row is not None and row.is_active and row.schedule
    ]
    return min(due, default=None)


def _late(context: Context, scope: Scope, now: datetime) -> Iterator[Problem]:
    """Yield the late pipelines that `monitor` has not reported yet: it may be what does not run."""
    reported = {
        pipeline
        for incident in scope.incidents
        if incident.kind is IncidentKind.SLA
        for pipeline in incident.pipeline_ids
    }
    for delay in delays(context, scope.rows, scope.loads, now, scope.pipelines):
        if delay.pipeline.pipeline_id not in reported and (delay.is_late(now) or delay.is_standing_still(now)):
            yield _of_delay(delay, now)


def _of_delay(delay: Delay, now: datetime) -> Problem:
    pipeline = delay.pipeline
    is_late = delay.is_late(now)
    state = f"had no run for {delay.missed_count} ticks"
    if is_late:
        state = f"is late: {pipeline.sla_minutes} minutes allowed"
    return Problem(
        subject=pipeline.pipeline_id,
        state=state,
        severity=Severity.ERROR if is_late else Severity.WARNING,
        since=delay.due,
        why=delay.state,
        held_up=(),
        next_step=f"`sluice doctor` checks server and workers; `sluice run {pipeline.pipeline_id}` runs it now.",
        next_try=due_after(pipeline.schedule, pipeline.timezone, now) if pipeline.schedule else None,
    )
