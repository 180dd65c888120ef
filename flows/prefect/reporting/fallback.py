"""Task runs for a Prefect server that creates none from events: written at the run's end, through the public API.

The project's pin fixes the version of the client only. A shared server may have another version, and the documentation
does not promise that a server creates task runs from events (events.py). The fallback shows the same names, states,
messages, edges and logs; only the times are those of the writing. Loads do not depend on it.
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
from flows.server.api import patiently

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 15.0
"""How long a server may need to create the first task run from the delivered events."""
_KNOWN_GRACE_SECONDS: Final = 3.0
"""The same for a server that created none in an earlier run: a later version may create them."""
_POLL_SECONDS: Final = 0.5
_NOTE: Final = "sluice-task-runs"
"""The Prefect variable with the server version that created no task runs."""


def ensure_task_runs(runs: Sequence[TaskRun]) -> str | None:
    """Write the task runs of one flow run if the server did not create them; all reports must be delivered before.

    Args:
        runs: All reported task runs in their final states.

    Returns:
        A note for people; None: the server created them, or does not answer.
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
    """Return the server version that created no task runs from events; None: the last run had task runs."""
    return read_note(partial(_request, client), _NOTE)


def _ensure(client: SyncPrefectClient, runs: Sequence[TaskRun]) -> str | None:
    known = version_without_task_runs(client)
    if _exist(client, runs, GRACE_SECONDS if known is None else _KNOWN_GRACE_SECONDS):
        if known is not None:
            with suppress(ObjectNotFound):
                patiently(lambda: client.delete_variable_by_name(_NOTE))
        return None
    version = str(patiently(lambda: client.request("GET", _path("/admin/version")).json()))
    for run in runs:
        _request(client, "/task_runs/", _body(run))
    patiently(lambda: write_note(client, _NOTE, version, ["sluice"]))
    note = (
        f"Prefect {version} creates no task runs from the events of runs: they were written at the end, without times."
    )
    log.warning("task_runs created_from_events=false prefect=%s", version)
    line = LogCreate(
        name="sluice", level=logging.WARNING, message=note, timestamp=datetime.now(UTC), flow_run_id=runs[0].flow_run_id
    )
    patiently(lambda: client.create_logs([line]))
    return note


def _exist(client: SyncPrefectClient, runs: Sequence[TaskRun], timeout_seconds: float) -> bool:
    only = {"flow_runs": {"id": {"any_": [str(runs[0].flow_run_id)]}}}
    deadline = time.monotonic() + timeout_seconds
    while not _request(client, "/task_runs/count", only):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _body(run: TaskRun) -> dict[str, Any]:
    assert run.state is not None, "only reported task runs are written"
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
    return patiently(lambda: client.request("POST", _path(path), json=body).json())


def _path(path: str) -> Any:
    """Return an API path as Any: the client's type annotation lists only some paths."""
    return path
