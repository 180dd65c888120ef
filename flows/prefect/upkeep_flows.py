"""The Prefect flows `heal` and `monitor`: thin wrappers of the plain functions, for schedules and the UI."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, timedelta
from functools import partial
from typing import Any, Final

import httpx
from prefect import State, flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed

from flows.context import Context, load_context
from flows.incidents.incident import Finding
from flows.prefect.pages.problems import problems_page
from flows.prefect.proposals import write_page
from flows.prefect.retention import keep_short
from flows.prefect.watchdog.report import examine, findings_of
from flows.server.api import open_api, patiently
from flows.upkeep.heal import HealState
from flows.upkeep.heal import heal as heal_rows
from flows.upkeep.monitor import monitor as run_monitor
from flows.upkeep.problems import problems
from flows.upkeep.scope import Scope
from metadata_sync.database.approval.model import ProposalStatus

log = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 10.0
"""How long the page is tried again while the server is busy."""

_PROPOSALS_SHOWN: Final = timedelta(days=1)
"""How long after its decision the page of a proposal is looked at."""


def upkeep_run_name() -> str:
    """Name a run of upkeep by its flow and its time."""
    return f"{flow_run.flow_name} · {flow_run.scheduled_start_time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@flow(
    name="heal",
    flow_run_name=upkeep_run_name,
    persist_result=False,
    description="Reactivate the rows that the framework deactivated, when their cause is gone.",
)
def heal(targets: Sequence[str] = (), force: bool = False) -> State[Any]:
    """Check deactivated rows.

    Args:
        targets: Only these; none: all that the framework deactivated.
        force: Check now, even when nothing changed and the last check was recent.

    Returns:
        Completed, with the results in one line.
    """
    found = heal_rows(load_context(), tuple(targets), is_forced=force)
    parts = [
        f"{state}: {', '.join(item.target for item in found if item.state is state)}"
        for state in HealState
        if any(item.state is state for item in found)
    ]
    return Completed(message="; ".join(parts) or "The framework has deactivated no row.")


@flow(
    name="monitor",
    flow_run_name=upkeep_run_name,
    persist_result=False,
    description="Find crashed and hanging runs, late pipelines and stale tables; send pending alerts.",
)
def monitor() -> State[Any]:
    """Check what runs cannot report themselves.

    Returns:
        Completed, with the findings in one line.
    """
    context = load_context()
    report = run_monitor(context, _scheduling(context))
    _write_page(context)
    keep_short(context, str(PREFECT_API_URL.value()))
    parts = [
        *(f"run {run_id} crashed" for run_id in report.crashed),
        *(f"{subject} is late" for subject in report.late),
        *(f"{subject} starts no runs" for subject in report.scheduling),
        *(f"no run of {pipeline_id} came since two ticks" for pipeline_id in report.without_runs),
        *(f"{subject} does not end" for subject in report.hanging),
        *(f"{subject} is older than its row allows" for subject in report.stale),
        *(f"cluster {cluster_id} was terminated: no run waited for it" for cluster_id in report.swept),
        f"{len(report.open)} open incidents",
    ]
    return Completed(message="; ".join(parts))


def _write_page(context: Context) -> None:
    """Write the pages of what is wrong now and of recent proposals. An error of the server does not fail the run."""
    page = problems_page(problems(context, Scope.of(context)), context.now())
    key = f"wrong-now-{context.settings.environment.replace('_', '-')}"
    try:
        patiently(partial(create_markdown_artifact, page, key=key, description="What is wrong now."), _BUSY_SECONDS)
    except httpx.HTTPError as error:
        log.warning("problems_page written=false error=%r", error)
    since = context.now() - _PROPOSALS_SHOWN
    for item in context.store.approvals.list():
        if item.status is ProposalStatus.OPEN or (item.decided_at and item.decided_at > since):
            write_page(context, item)


def _scheduling(context: Context) -> tuple[Finding, ...] | None:
    """Return what stops the schedules on the server of this run; None: it did not answer."""
    settings, api_url = context.settings, PREFECT_API_URL.value()
    if api_url is None:
        return None
    try:
        with open_api(api_url) as api:
            found = examine(api, settings.environment, settings.work_pool, context.now())
    except httpx.HTTPError as error:
        log.warning("monitor server_asked=false error=%r", error)
        return None
    return findings_of(found, context.store.usable_rows())
