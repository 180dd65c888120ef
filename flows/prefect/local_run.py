"""`sluice run` with a Prefect server: the flow runs in this process, and the loads do not depend on the server.

Prefect is imported inside the function, after its settings are in the environment: a run without a server does not
import it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flows.context import Context
from flows.run.model import RunObserver, RunPlan, RunRequest, RunSummary, SilentObserver
from flows.server.api import is_busy, open_api, patiently
from flows.server.local import prepare_client, ui_url

if TYPE_CHECKING:
    from flows.backfill.first_loads import ContinuedLoad
    from flows.prefect.run_flow import Handover

log = logging.getLogger(__name__)

_REQUEST_SECONDS: Final = 6.0
"""Timeout of one request, long enough for a slow server."""
_RETRIES: Final = 0
"""Prefect's own retries pause for seconds, also when the server is gone: that would delay the run."""
_BUSY_SECONDS: Final = 20.0
"""How long a flow run is created, and its final state is set, again while the server is only busy."""


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A run that was reported to Prefect.

    Attributes:
        summary: Its result; recorded in the control database even when reports were lost.
        url: Its page in the UI; None when Prefect did not create the flow run.
        warnings: What is missing on the page and why, in sentences for people; empty when it is complete.
        continued: First loads that went on after the run; None: the rest of them is not loaded yet.
        failed: Restatements that rows asked for and that failed, a sentence each.
    """

    summary: RunSummary
    url: str | None
    warnings: tuple[str, ...] = ()
    continued: tuple[ContinuedLoad, ...] | None = None
    failed: tuple[str, ...] = ()


def run_through_prefect(
    context: Context,
    request: RunRequest,
    api_url: str,
    plan: RunPlan | None = None,
    observer: RunObserver | None = None,
) -> ReportedRun:
    """Run as a Prefect flow in this process.

    The server may fail at any moment. Before the flow starts, the run then works without Prefect; after that, only
    reports are lost.

    Args:
        context: The project.
        request: The run's request.
        api_url: A server that just answered.
        plan: The gate's decisions; None: the flow calls the gate.
        observer: A second observer, for example of a terminal.

    Raises:
        SluiceError: The error that ended the run, as without Prefect.
    """
    prepare_client(context, api_url)
    from prefect import tags
    from prefect.settings import (
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_LOGGING_TO_API_ENABLED,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        temporary_settings,
    )

    from flows.prefect.run_flow import Handover, flow_receives, run

    settings: dict[Any, Any] = {
        PREFECT_API_URL: api_url,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        PREFECT_API_REQUEST_TIMEOUT: _REQUEST_SECONDS,
        PREFECT_CLIENT_MAX_RETRIES: _RETRIES,
        PREFECT_LOGGING_TO_API_ENABLED: False,  # the pump sends the flow's log lines: it resends them and never raises
    }
    handover = Handover(context, plan, observer or SilentObserver())
    trouble: Exception | None = None

    def run_flow() -> None:
        run(
            request.pipelines,
            request.job_group,
            request.is_forced,
            request.requested_by,
            engine=request.engine,
            cluster=request.cluster,
            return_state=True,
        )

    with temporary_settings(settings), flow_receives(handover), tags(*_tags(request, plan)):
        try:
            patiently(run_flow, _BUSY_SECONDS, may_repeat=lambda: handover.flow_run_id is None)
        except Exception as error:  # noqa: BLE001 (an error of Prefect must not fail a run; the run's own is in handover)
            log.info("prefect_flow reported=false error=%r", error)
            trouble = None if _set_final_state(api_url, handover, error) else error
    if handover.error is not None:
        raise handover.error
    url = f"{ui_url(api_url)}/runs/flow-run/{handover.flow_run_id}" if handover.flow_run_id else None
    if handover.summary is None:
        return _run_without(context, request, handover, trouble)
    warnings = (*_warnings(handover.lost_count, trouble), *handover.notes)
    return ReportedRun(handover.summary, url, warnings, handover.continued, handover.failed)


def _set_final_state(api_url: str, handover: Handover, error: Exception) -> bool:
    """Set the final state again that a busy server did not accept; return whether it has accepted it now."""
    ended = handover.ended
    if ended is None or handover.flow_run_id is None or not is_busy(error):
        return False
    import httpx

    state = {"type": ended.type.value, "name": ended.name, "message": ended.message}
    try:
        with open_api(api_url, budget_seconds=_BUSY_SECONDS, timeout_seconds=_REQUEST_SECONDS) as api:
            answer = api.post(f"/flow_runs/{handover.flow_run_id}/set_state", {"state": state, "force": True})
    except httpx.HTTPError:
        return False
    return bool(answer["status"] == "ACCEPT")


def _tags(request: RunRequest, plan: RunPlan | None) -> list[str]:
    pipelines = request.pipelines or (() if plan is None else (row.pipeline_id for row in plan.selected))
    tags = {f"pipeline:{pipeline_id}" for pipeline_id in pipelines}
    return sorted(tags | ({f"job_group:{request.job_group}"} if request.job_group else set()))


def _run_without(context: Context, request: RunRequest, handover: Handover, trouble: Exception | None) -> ReportedRun:
    from flows.engine import engine

    plan = handover.plan or engine.prepare(context, request)
    summary = engine.execute(context, plan, handover.observer)
    reason = f": {trouble}" if trouble is not None else ""
    warning = f"The Prefect server did not accept the run{reason}. The run continued without Prefect."
    return ReportedRun(summary, None, (warning,))


def _warnings(lost_count: int, trouble: Exception | None) -> Iterator[str]:
    if lost_count:
        yield (
            f"The Prefect server stopped responding: {lost_count} reports of this run are missing in its UI. "
            "The loads are complete and recorded."
        )
    if trouble is not None:
        yield f"The Prefect server did not accept the run's final state ({trouble}): its page may show it as running."
