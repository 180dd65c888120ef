"""The Prefect flow `run`: a thin wrapper of the engine that adds task runs, logs, pages and a final state.

Deployments start it with parameters; `sluice run` starts it in its own process (flows/prefect/local_run.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from prefect import State, flow
from prefect._internal.concurrency.cancellation import CancelledError
from prefect.runtime import deployment, flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Crashed, Failed

from flows.backfill.automatic import restate_changed
from flows.backfill.first_loads import ContinuedLoad, continue_first_loads
from flows.context import Context, load_context
from flows.engine.engine import execute, hold_warehouse, prepare, startup_failures_reported
from flows.engine.rerun import rerun_refused
from flows.prefect.pages.writer import Executed, FirstLoadPages, write_pages
from flows.prefect.reporting.api import open_report_api
from flows.prefect.reporting.fallback import ensure_task_runs
from flows.prefect.reporting.load_events import loaded_events
from flows.prefect.reporting.observer import Observers, PrefectObserver, gate_begins
from flows.prefect.reporting.phases import PhaseClock
from flows.prefect.reporting.pump import ReportPump
from flows.prefect.reporting.task_runs import DbtTaskRuns
from flows.prefect.run_guards import next_due, start_in_place, why_not_to_run
from flows.run.model import (
    OutcomeStatus,
    RunObserver,
    RunPlan,
    RunRequest,
    RunSummary,
    SilentObserver,
    TargetOutcome,
    headline,
)
from flows.server.local import is_healthy, ui_url
from metadata_sync.rows.vocabulary import Engine

log = logging.getLogger(__name__)

_NAMED_PIPELINES: Final = 3
"""Maximum number of pipelines in a flow run's name; the name counts the others."""
_SLOT_LOST: Final = (
    "Prefect took this run's slot away: the server did not answer for too long, or somebody freed the slot. It ended "
    "the run, so that no two are at work. Committed loads are kept; a run that is started in its place goes on."
)
_SKIPPED: Final = "Skipped"
"""Name of the final state of a run that had nothing to do."""


@dataclass(slots=True)
class Handover:
    """Data that the flow exchanges with a caller in the same process, outside Prefect's parameters.

    Attributes:
        context: The caller's project, settings and open control database.
        plan: The caller's decisions of the gate; None: the flow calls the gate.
        observer: The caller's observer.
        flow_run_id: The flow run, once it exists.
        summary: The run's result, also when reports were lost.
        error: The error that ended the run early.
        lost_count: Number of reports that Prefect did not receive.
        notes: What is missing on its page for another reason, in sentences for people.
        continued: First loads that went on after the run; None: the run did not get there.
        failed: Restatements that rows asked for and that failed, a sentence each.
        ended: The final state of the flow run, once the flow has returned it.
    """

    context: Context
    plan: RunPlan | None = None
    observer: RunObserver = field(default_factory=SilentObserver)
    flow_run_id: UUID | None = None
    summary: RunSummary | None = None
    error: Exception | None = None
    lost_count: int = 0
    notes: tuple[str, ...] = ()
    continued: tuple[ContinuedLoad, ...] | None = None
    failed: tuple[str, ...] = ()
    ended: State[Any] | None = None


_handover: ContextVar[Handover | None] = ContextVar("sluice_handover", default=None)


@contextmanager
def flow_receives(handover: Handover) -> Iterator[None]:
    """Make handover available to the flow inside the block."""
    token = _handover.set(handover)
    try:
        yield
    finally:
        _handover.reset(token)


def flow_run_name() -> str:
    """Name the flow run by what it runs and when."""
    parameters: dict[str, Any] = flow_run.parameters
    return name_of(parameters["pipelines"], parameters["job_group"], flow_run.scheduled_start_time)


def name_of(pipelines: Sequence[str], job_group: str | None, when: datetime) -> str:
    """Name a flow run.

    >>> name_of(["flights_hourly"], None, datetime(2013, 1, 2, 3, 5, tzinfo=UTC))
    'flights_hourly · 2013-01-02 03:05:00'
    """
    what = ", ".join(pipelines[:_NAMED_PIPELINES]) or (f"job group {job_group}" if job_group else "all pipelines")
    more = len(pipelines) - _NAMED_PIPELINES
    return f"{what}{f' and {more} more' if more > 0 else ''} · {when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@flow(
    name="run",
    flow_run_name=flow_run_name,
    persist_result=False,
    on_completion=[start_in_place],
    on_failure=[start_in_place],
    on_crashed=[start_in_place],
    description="Gate the pipelines' targets, load those that are due, record what happened.",
)
def run(  # noqa: PLR0917 (a deployment's parameters; Prefect passes them by name)
    pipelines: Sequence[str] = (),
    job_group: str | None = None,
    force: bool = False,
    requested_by: str = "schedule",
    scheduled_by: str | None = None,
    wait_seconds: float = 0.0,
    engine: Engine | None = None,
    cluster: str | None = None,
) -> State[Any]:
    """Run pipelines.

    Args:
        pipelines: Pipelines to run; none: every active one.
        job_group: Only pipelines of this group.
        force: Run even when the sources have no new data.
        requested_by: Person or schedule that requested the run.
        scheduled_by: Cron and time zone of the schedule; the run is skipped when the row's schedule has changed.
        wait_seconds: How long to wait for targets that another run holds; 0: skip them.
        engine: Where SELECTs run this time; overrides the rows.
        cluster: The cluster to create this time, TYPE:N; None or empty: Sluice sizes it.

    Returns:
        Completed or Failed, with the result in one line.
    """
    handover = _handover.get() or Handover(load_context())
    handover.flow_run_id = UUID(flow_run.id)
    if scheduled_by is not None and (reason := _obsolete_reason(handover.context, pipelines, scheduled_by)):
        return Completed(name=_SKIPPED, message=reason)
    request = RunRequest(
        tuple(pipelines),
        job_group,
        is_forced=force,
        requested_by=requested_by,
        wait_seconds=wait_seconds,
        engine=engine,
        cluster=cluster or None,
    )
    try:
        return _run(handover, request)
    except CancelledError:  # raised by Prefect's thread that renews the slot; a person's cancellation ends the process
        return Crashed(message=_SLOT_LOST)


def _run(handover: Handover, request: RunRequest) -> State[Any]:
    startup = nullcontext() if handover.plan else startup_failures_reported(handover.context, request)
    with startup, _reporting(handover) as (task_runs, pump):
        executed = _execute(handover, request, task_runs, pump)
        _continue_first_loads(handover, executed, task_runs, pump)
        handover.ended = ended = final_state(executed.summary, handover.continued or (), handover.failed)
        task_runs.say(None, _now(), str(ended.message), logging.ERROR if ended.is_failed() else logging.INFO)
    api_url = PREFECT_API_URL.value()
    if not handover.lost_count or (api_url and is_healthy(api_url, timeout_seconds=1.0)):
        write_pages(executed, handover.context.store)
    return ended


def final_state(summary: RunSummary, continued: Sequence[ContinuedLoad] = (), failed: Sequence[str] = ()) -> State[Any]:
    """Return the flow run's final state; its message is the result in one line."""
    errors = [*(item.error for item in continued if item.error), *failed]
    message = "; ".join([headline(summary.outcomes), *errors])
    if summary.has_failed or errors:
        return Failed(message=message)
    if summary.outcomes and summary.count(OutcomeStatus.SKIPPED) == len(summary.outcomes):
        reasons = {outcome.decision.message for outcome in summary.outcomes}
        return Completed(name=_SKIPPED, message=f"{message}: {reasons.pop()}" if len(reasons) == 1 else message)
    return Completed(message=message)


def _obsolete_reason(context: Context, pipelines: Sequence[str], scheduled_by: str) -> str | None:
    return why_not_to_run(context.store.usable_rows(), pipelines, scheduled_by)


@contextmanager
def _reporting(handover: Handover) -> Iterator[tuple[DbtTaskRuns, ReportPump]]:
    """Open the channel for task runs and log lines, and close it when all are delivered or given up."""
    assert handover.flow_run_id is not None
    pump = ReportPump(partial(open_report_api, PREFECT_API_URL.value()))
    task_runs = DbtTaskRuns(handover.flow_run_id, pump)
    is_crash = True
    try:
        yield task_runs, pump
        is_crash = False
    except Exception as error:
        handover.error = error
        task_runs.say(None, _now(), str(error), logging.ERROR)
        raise
    finally:
        task_runs.close(_now(), is_crash=is_crash)
        handover.lost_count = pump.close()
        if not (handover.lost_count or is_crash) and (note := ensure_task_runs(task_runs.reported)):
            handover.notes = (note,)


def _execute(handover: Handover, request: RunRequest, task_runs: DbtTaskRuns, pump: ReportPump) -> Executed:
    def on_wait(sentence: str) -> None:
        task_runs.say(None, _now(), sentence)

    began, phases = time.monotonic(), PhaseClock(time.monotonic)
    queue_seconds = max(0.0, (_now() - flow_run.scheduled_start_time).total_seconds())
    with hold_warehouse(handover.context, f"flow run {flow_run.name}", on_wait):
        gate_begins(task_runs, _now())
        plan = handover.plan or prepare(handover.context, request, on_wait=on_wait)
        gate_seconds = None if handover.plan else time.monotonic() - began
        prefect = PrefectObserver(plan, task_runs, _now, partial(_announce, handover, plan, pump))
        observers = Observers(prefect, phases, handover.observer)
        url = f"{ui_url(PREFECT_API_URL.value())}/runs/flow-run/{handover.flow_run_id}"
        handover.summary = execute(handover.context, plan, observers, url=url)
        handover.failed = restate_changed(handover.context, handover.summary, on_wait)
        if plan.is_due:
            for rerun in rerun_refused(handover.context, plan, say=on_wait):
                _announce(handover, plan, pump, rerun.outcomes)
    return Executed(plan, handover.summary, phases, queue_seconds, gate_seconds)


def _continue_first_loads(handover: Handover, executed: Executed, task_runs: DbtTaskRuns, pump: ReportPump) -> None:
    """Load the chunks of first loads that are left; a deployed run leaves off when the next run of its schedule is due.

    The warehouse is not locked between two chunks. Readers in other pipelines hear of the chunks as of any load.
    """

    def say(sentence: str) -> None:
        task_runs.say(None, _now(), sentence)

    context, plan = handover.context, executed.plan
    if plan.first_loads:
        until = next_due(plan.rows, plan.selected, context.now()) if deployment.id else None
        pages = FirstLoadPages(plan)
        handover.continued = continue_first_loads(
            context, plan, executed.summary, say, on_progress=pages.show, until=until
        )
        targets = {item.first.target for item in handover.continued}
        _announce(handover, plan, pump, [item for item in executed.summary.outcomes if item.target in targets])
    handover.continued = handover.continued or ()


def _announce(handover: Handover, plan: RunPlan, pump: ReportPump, outcomes: Sequence[TargetOutcome]) -> None:
    """Send an event per loaded target: an automation starts the pipelines that read it."""
    assert handover.flow_run_id is not None
    environment = handover.context.settings.environment
    for event in loaded_events(plan, outcomes, environment=environment, flow_run_id=handover.flow_run_id, when=_now()):
        pump.put_event(event)


_now: Callable[[], datetime] = partial(datetime.now, UTC)
