"""What holds when a Prefect version makes no task runs of what a run reports: its public API is told, at the run's end.

That the server turns reported events into task runs is its convention (events.py). The way back shows
the same names, states, reasons, edges and logs; only the times are those of the writing. Loads know nothing of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import LogCreate
from prefect.exceptions import ObjectNotFound

from flows.prefect.reporting.events import TaskRun
from flows.prefect.reporting.variables import read_note, write_note

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 15.0
"""How long a server that has taken the reports may need until the first task run is there."""
_KNOWN_GRACE_SECONDS: Final = 3.0
"""The same, where it is known: runs look whether the server does it again."""
_POLL_SECONDS: Final = 0.5
_NOTE: Final = "sluice-task-runs"
"""The Prefect variable that holds the version of which it is known."""


def ensure_task_runs(runs: Sequence[TaskRun]) -> str | None:
    """Write the task runs of one flow run that the server of this context did not make; its reports must be delivered.

    Args:
        runs: All that were reported, as they stand in the end.

    Returns:
        What people should know; None: the server made them, or is gone.
    """
    if not runs:
        return None
    try:
        with get_client(sync_client=True) as client:
            return _ensure(client, runs)
    except httpx.HTTPError as error:
        log.warning("task_runs checked=false error=%r", error)
        return None


def version_without_task_runs(client: SyncPrefectClient) -> str | None:
    """Return the server version that was seen to make no task runs of reports; None: the last run had them."""
    return read_note(partial(_request, client), _NOTE)


def _ensure(client: SyncPrefectClient, runs: Sequence[TaskRun]) -> str | None:
    known = version_without_task_runs(client)
    if _are_made(client, runs, GRACE_SECONDS if known is None else _KNOWN_GRACE_SECONDS):
        if known is not None:
            with suppress(ObjectNotFound):
                client.delete_variable_by_name(_NOTE)
        return None
    version = str(client.request("GET", _path("/admin/version")).json())
    for run in runs:
        _request(client, "/task_runs/", _body(run))
    write_note(client, _NOTE, version, ["sluice"])
    told = (
        f"Prefect {version} makes no task runs of what runs report: they were written at the end, without their times."
    )
    log.warning("task_runs made_of_events=false prefect=%s", version)
    line = LogCreate(
        name="sluice", level=logging.WARNING, message=told, timestamp=datetime.now(UTC), flow_run_id=runs[0].flow_run_id
    )
    client.create_logs([line])
    return told


def _are_made(client: SyncPrefectClient, runs: Sequence[TaskRun], patience: float) -> bool:
    only = {"flow_runs": {"id": {"any_": [str(runs[0].flow_run_id)]}}}
    deadline = time.monotonic() + patience
    while not _request(client, "/task_runs/count", only):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _body(run: TaskRun) -> dict[str, Any]:
    assert run.state is not None, "only what was reported is written"
    return {
        "id": str(run.id),
        "flow_run_id": str(run.flow_run_id),
        "name": run.name,
        "task_key": run.key,
        "dynamic_key": "0",
        "tags": list(run.tags),
        "task_inputs": run.inputs,
        "state": {"type": run.state.type, "name": run.state.name, "message": run.message or None},
    }


def _request(client: SyncPrefectClient, path: str, body: Any) -> Any:
    return client.request("POST", _path(path), json=body).json()


def _path(path: str) -> Any:
    """Return a path of the API; the client's annotation lists only some."""
    return path
