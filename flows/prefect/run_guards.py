"""Guards of scheduled runs: replace refused and crashed runs, and skip a run whose row has changed.

Prefect cancels the second concurrent run of a deployment at once (collision strategy CANCEL_NEW). When the first run
ends, its hook looks for such runs and starts one in their place. The new run calls the gate and ends at once when
nothing is new. A run that crashed is replaced in the same way, once: a worker calls the hook when it sees the end of a
killed process, the run itself when Prefect ends it. flows/engine/rerun.py replaces runs that are refused at a lease:
docs/decisions/0021 says why there are two.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectException

from flows.prefect.watchdog.facts import IN_PLACE_OF_LOST, is_replacement, is_unreplaced, replaced_state, replacing
from flows.upkeep.ticks import due_after
from metadata_sync.rows.model import ControlRows, TransformationRow

log = logging.getLogger(__name__)

_LIMIT: Final = 200
_TOLD: Final = 20
"""Refused runs whose page names the run that stands in for them."""


def start_in_place(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Start one run for all that were refused while flow_run was active, and for itself if it crashed; Prefect's hook.

    A run that replaces a crashed one is not replaced again.

    Args:
        flow: The flow; Prefect calls hooks with these names.
        flow_run: The run that has just ended.
        state: Its final state.
    """
    since = flow_run.start_time or flow_run.expected_start_time
    if flow_run.deployment_id is None or since is None:
        return
    lost = flow_run.parameters if state.is_crashed() and not is_replacement(flow_run.parameters) else None
    try:
        with get_client(sync_client=True) as client:
            refused = refused_since(client, flow_run.deployment_id, since)
            if refused or lost is not None:
                _start(client, flow_run.deployment_id, refused, lost)
    except (httpx.HTTPError, PrefectException) as error:
        log.warning("refused_runs looked_up=false flow_run=%s error=%r", flow_run.id, error)


def refused_since(client: SyncPrefectClient, deployment_id: UUID, since: datetime) -> tuple[dict[str, Any], ...]:
    """Return the runs of a deployment that were refused at or after an instant, as documents of Prefect's API."""
    only = {
        "deployment_id": {"any_": [str(deployment_id)]},
        "state": {"type": {"any_": ["CANCELLED"]}},
        "end_time": {"after_": since.isoformat()},
    }
    body = {"flow_runs": only, "sort": "END_TIME_DESC", "limit": _LIMIT}
    found = client.request("POST", "/flow_runs/filter", json=body).json()
    return tuple(run for run in found if is_unreplaced(run))


def _start(
    client: SyncPrefectClient,
    deployment_id: UUID,
    refused: tuple[dict[str, Any], ...],
    lost: Mapping[str, Any] | None,
) -> None:
    replaced = [*(run["parameters"] for run in refused), *([] if lost is None else [lost])]
    why = "refused while another run was active" if lost is None else IN_PLACE_OF_LOST
    run = client.create_flow_run_from_deployment(deployment_id, parameters=replacing(replaced, why))
    log.info("replaced_runs refused=%d crashed=%d started=%s", len(refused), lost is not None, run.id)
    path: Any = "/flow_runs/{}/set_state"
    for item in refused[:_TOLD]:
        body = {"state": replaced_state(str(run.id)), "force": True}
        client.request("POST", path.format(item["id"]), json=body)


def next_due(rows: ControlRows, selected: Collection[TransformationRow], now: datetime) -> datetime | None:
    """Return when the schedule of any pipeline of these targets is due next; None when none has a schedule."""
    pipelines = {row.pipeline_id for row in selected}
    due = [
        due_after(row.schedule, row.timezone, now)
        for row in rows.pipelines
        if row.pipeline_id in pipelines and row.schedule
    ]
    return min(due, default=None)


def why_not_to_run(rows: ControlRows, pipelines: Sequence[str], scheduled_by: str) -> str | None:
    """Return why a scheduled run must not start: its row was removed, switched off or rescheduled.

    Args:
        rows: The rows as they are now.
        pipelines: The run's pipelines; none: every active pipeline.
        scheduled_by: Cron and time zone of the schedule that created the run, `5 * * * * UTC`.

    Returns:
        One sentence; None when the run may start.
    """
    known = {row.pipeline_id: row for row in rows.pipelines}
    found = [known[name] for name in pipelines if name in known]
    if pipelines and not found:
        return f"Not run: {', '.join(pipelines)} is no longer in pipeline_control"
    if found and not any(row.is_active for row in found):
        return f"Not run: {', '.join(row.pipeline_id for row in found)} is switched off"
    if found and all(f"{row.schedule} {row.timezone}" != scheduled_by for row in found):
        now = "; ".join(f"{row.schedule} {row.timezone}" if row.schedule else "no schedule" for row in found)
        return f"Not run: it was scheduled by {scheduled_by}, and the row's schedule is now {now}"
    return None
