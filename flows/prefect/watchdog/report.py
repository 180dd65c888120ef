"""What stops the schedules on a Prefect server, in sentences for doctor, status and monitor.

Pure, but for `examine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from flows.incidents.incident import SCHEDULE, WORK_POOL, Finding, held_up
from flows.prefect.watchdog.facts import Holdings, LiveRun, Pool, WaitingRuns, read_holdings, read_pool, read_waiting
from metadata_sync.incident import IncidentKind
from metadata_sync.text import duration_text

if TYPE_CHECKING:
    from flows.server.api import PrefectApi
    from metadata_sync.rows.model import ControlRows

LATE_AFTER: Final = timedelta(minutes=2)
"""A run that was due so long ago, and that no worker took, is late."""
BUSY_AFTER: Final = timedelta(minutes=10)
"""Late runs are reported after this time while workers are online: they may only be busy."""
STUCK_AFTER: Final = timedelta(minutes=5)
"""A run that is pending, cancelling or silent for so long should have been ended by the reconciler."""
IDLE_SLOT_AFTER: Final = timedelta(minutes=2)
_REFUSED_IN_A_ROW: Final = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that stops a schedule.

    Attributes:
        subject: `work pool …` or `schedule of …`.
        sentence: What is wrong.
        remedy: What to do.
        pipelines: The pipelines that it stops; empty: it stops no pipeline, or all.
    """

    subject: str
    sentence: str
    remedy: str
    pipelines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.subject}: {self.sentence} {self.remedy}"


def examine(api: PrefectApi, environment: str, work_pool: str, now: datetime) -> tuple[Trouble, ...]:
    """Ask a server, and return what stops the schedules of an environment.

    Args:
        api: An open API.
        environment: The environment.
        work_pool: The pool of its deployments.
        now: UTC.

    Raises:
        httpx.HTTPError: When the server does not answer.
    """
    waiting = read_waiting(api, environment, work_pool, now, LATE_AFTER)
    holdings = read_holdings(api, environment, work_pool)
    return troubles(read_pool(api, work_pool), waiting, holdings, now)


def troubles(pool: Pool, waiting: Sequence[WaitingRuns], holdings: Holdings, now: datetime) -> tuple[Trouble, ...]:
    """Return what stops the schedules, the widest cause first.

    Args:
        pool: The work pool.
        waiting: Deployments with late or refused runs.
        holdings: Live runs and held slots.
        now: UTC.
    """
    return tuple(
        item
        for item in (_of_pool(pool, waiting, now), *_of_slots(holdings, now), *_of_refusals(waiting, holdings))
        if item is not None
    )


def findings_of(found: Sequence[Trouble], rows: ControlRows) -> tuple[Finding, ...]:
    """Return the troubles as findings of `monitor`: each opens one incident."""
    return tuple(_finding(item, rows) for item in found)


def _finding(trouble: Trouble, rows: ControlRows) -> Finding:
    known = {row.pipeline_id for row in rows.pipelines}
    concerned = tuple(name for name in trouble.pipelines if name in known)
    targets = tuple(str(row.name) for row in rows.transformations if row.pipeline_id in concerned and row.is_active)
    return Finding(
        kind=IncidentKind.SLA,
        subject=trouble.subject,
        failure_class=None,
        message=f"{trouble.sentence} {trouble.remedy}",
        targets=targets,
        held_up=held_up(targets, rows),
        pipeline_ids=concerned,
        is_hard=True,
    )


def _of_pool(pool: Pool, waiting: Sequence[WaitingRuns], now: datetime) -> Trouble | None:
    late = [item for item in waiting if item.late_since is not None]
    if not late:
        return None
    count, since = sum(item.late_count for item in late), min(item.late_since for item in late if item.late_since)
    runs = f"{count} {'run is' if count == 1 else 'runs are'} late, the first since {since:%Y-%m-%d %H:%M} UTC"
    pipelines = tuple(_pipeline(item.name) for item in late)
    subject = WORK_POOL + pool.name
    if pool.type is None:
        return Trouble(subject, f"There is no such pool; {runs}.", "Run `sluice deploy`.", pipelines)
    if pool.is_paused:
        return Trouble(subject, f"It is paused; {runs}.", "Resume it in Prefect.", pipelines)
    if not pool.online:
        seen = "never" if pool.last_seen_at is None else f"{_age(pool.last_seen_at, now)} ago"
        remedy = f"Run `sluice up`, or `prefect worker start --pool {pool.name}` on the machine that executes runs."
        return Trouble(subject, f"No worker is online (last seen: {seen}); {runs}.", remedy, pipelines)
    if now - since < BUSY_AFTER:
        return None
    remedy = "Start another worker, raise the worker's --limit, or schedule fewer runs at once."
    return Trouble(subject, f"Its workers ({', '.join(pool.online)}) are busy; {runs}.", remedy, pipelines)


def _of_slots(holdings: Holdings, now: datetime) -> Iterator[Trouble]:
    busy = {run.deployment_id for run in holdings.runs}
    remedy = "The reconciler ends that within minutes: `sluice up` or `sluice deploy --watch` starts it."
    for slot in holdings.slots:
        if slot.deployment_id not in busy and now - slot.changed_at > IDLE_SLOT_AFTER:
            name = holdings.names[slot.deployment_id]
            sentence = f"Its slot is held since {slot.changed_at:%Y-%m-%d %H:%M} UTC, and no run is at work."
            yield Trouble(SCHEDULE + _pipeline(name), sentence, remedy, (_pipeline(name),))
    for run in holdings.runs:
        if now - (run.heartbeat_at or run.since) > STUCK_AFTER:
            name = holdings.names[run.deployment_id]
            yield Trouble(SCHEDULE + _pipeline(name), _stuck(run, now), remedy, (_pipeline(name),))


def _stuck(run: LiveRun, now: datetime) -> str:
    if run.state == "RUNNING":
        return f"Run {run.name} has sent no heartbeat for {_age(run.heartbeat_at or run.since, now)}."
    return f"Run {run.name} has been {run.state.lower()} for {_age(run.since, now)}."


def _of_refusals(waiting: Sequence[WaitingRuns], holdings: Holdings) -> Iterator[Trouble]:
    """Yield the deployments whose last runs were refused although no run is at work that stands in for them."""
    busy = {run.deployment_id for run in holdings.runs} | {slot.deployment_id for slot in holdings.slots}
    for item in waiting:
        if item.refused_count >= _REFUSED_IN_A_ROW and item.deployment_id not in busy and item.refused_at:
            sentence = (
                f"The last {item.refused_count} runs were refused, the newest at {item.refused_at:%Y-%m-%d %H:%M} UTC, "
                "and no run is at work."
            )
            name = _pipeline(item.name)
            yield Trouble(SCHEDULE + name, sentence, f"Start it by hand: `sluice run {name}`.", (name,))


def _pipeline(deployment: str) -> str:
    return deployment.rpartition("@")[0] or deployment


def _age(since: datetime, now: datetime) -> str:
    return duration_text(max(0.0, (now - since).total_seconds()))
