"""How `sluice run` goes through a Prefect server: the flow runs in this process, and its loads do not depend on it.

Prefect is imported inside the function, after this process has its settings: a run without a server never pays for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flows.context import Context
from flows.run.model import RunObserver, RunPlan, RunRequest, RunSummary, SilentObserver
from flows.server.local import prepare_client, ui_url

if TYPE_CHECKING:
    from flows.prefect.run_flow import Handover

log = logging.getLogger(__name__)

_REQUEST_SECONDS: Final = 6.0
"""How long the flow waits for one answer of a server that is there but slow."""
_RETRIES: Final = 0
"""How often it asks again: a server that is slow is waited for, one that is gone is not."""


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A run that went through Prefect.

    Attributes:
        summary: How it ended; recorded in the control database whatever became of the reports.
        url: Its page in the UI; None when Prefect never took it.
        warnings: What the page lacks and why, in sentences for people; empty when it is complete.
    """

    summary: RunSummary
    url: str | None
    warnings: tuple[str, ...] = ()


def run_through_prefect(
    context: Context,
    request: RunRequest,
    api_url: str,
    plan: RunPlan | None = None,
    observer: RunObserver | None = None,
) -> ReportedRun:
    """Run as a Prefect flow in this process.

    The server may vanish at any moment: before the flow begins the run goes on without Prefect, later it only loses
    reports.

    Args:
        context: The project.
        request: What was asked.
        api_url: A server that just answered.
        plan: What was decided already; None: the flow decides.
        observer: Watches besides Prefect, on a terminal for instance.

    Raises:
        SluiceError: What ended the run, as without Prefect.
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

    from flows.prefect.run_flow import Handover, handing_over, run

    settings: dict[Any, Any] = {
        PREFECT_API_URL: api_url,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        PREFECT_API_REQUEST_TIMEOUT: _REQUEST_SECONDS,
        PREFECT_CLIENT_MAX_RETRIES: _RETRIES,
        PREFECT_LOGGING_TO_API_ENABLED: False,  # the flow's lines go by the pump, which loses none and never complains
    }
    handover = Handover(context, plan, observer or SilentObserver())
    trouble: Exception | None = None
    with temporary_settings(settings), handing_over(handover), tags(*_tags(request, plan)):
        try:
            run(
                request.pipelines,
                request.job_group,
                request.is_forced,
                request.requested_by,
                engine=request.engine,
                cluster=request.cluster,
                return_state=True,
            )
        except Exception as error:  # noqa: BLE001 (Prefect's own trouble must not undo a run; ours is in handover)
            log.info("prefect_flow reported=false error=%r", error)
            trouble = error
    if handover.error is not None:
        raise handover.error
    url = f"{ui_url(api_url)}/runs/flow-run/{handover.flow_run_id}" if handover.flow_run_id else None
    if handover.summary is None:
        return _run_without(context, request, handover, trouble)
    return ReportedRun(handover.summary, url, (*_warnings(handover.lost_count, trouble), *handover.notes))


def _tags(request: RunRequest, plan: RunPlan | None) -> list[str]:
    pipelines = request.pipelines or (() if plan is None else (row.pipeline_id for row in plan.selected))
    tags = {f"pipeline:{pipeline_id}" for pipeline_id in pipelines}
    return sorted(tags | ({f"job_group:{request.job_group}"} if request.job_group else set()))


def _run_without(context: Context, request: RunRequest, handover: Handover, trouble: Exception | None) -> ReportedRun:
    from flows.engine import engine

    plan = handover.plan or engine.prepare(context, request)
    summary = engine.execute(context, plan, handover.observer)
    reason = f": {trouble}" if trouble is not None else ""
    return ReportedRun(summary, None, (f"The Prefect server did not take the run{reason}. It went on without.",))


def _warnings(lost_count: int, trouble: Exception | None) -> Iterator[str]:
    if lost_count:
        yield (
            f"The Prefect server went silent: {lost_count} reports of this run are missing in its UI. "
            "The loads are complete and recorded."
        )
    if trouble is not None:
        yield f"The Prefect server did not take the run's end ({trouble}): its page may show it as running."
