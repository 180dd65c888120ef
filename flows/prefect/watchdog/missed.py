"""Leaves one run of the ticks that no worker took in time: after an outage, or when a clock was set forward.

Prefect keeps a run for each tick and starts them all, one after the other. A run reads everything that is new, so the
first one of a deployment does the work of all; the oldest is kept, for it shows since when its schedule is late.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flows.prefect.deployments.pipelines import MANAGED_TAG, environment_tag
from flows.prefect.watchdog.ending import end_run
from flows.prefect.watchdog.facts import STANDS_IN
from flows.server.api import PrefectApi

_LIMIT: Final = 200
_SCHEDULED: Final = "auto-scheduled"
"""Prefect's tag of the runs that a schedule created: those of a deployment have the same parameters."""
_LATE: Final = "Late"
"""State in which the server puts a run that no worker took in time, by its own clock."""


def cancel_missed(api: PrefectApi, environment: str, work_pool: str) -> Iterator[str]:
    """Cancel the late runs of each schedule but the oldest; yield a sentence for each deployment.

    Args:
        api: An open API.
        environment: The environment.
        work_pool: The pool of its deployments.

    Raises:
        httpx.HTTPError: When the server does not answer.
    """
    only = {
        "tags": {"all_": [MANAGED_TAG, environment_tag(environment), _SCHEDULED]},
        "state": {"name": {"any_": [_LATE]}},
    }
    body = {"flow_runs": only, "sort": "EXPECTED_START_TIME_ASC", "limit": _LIMIT}
    late: dict[str, list[dict[str, Any]]] = {}
    for run in api.post("/flow_runs/filter", body):
        if run["deployment_id"] and run["work_pool_name"] == work_pool:
            late.setdefault(run["deployment_id"], []).append(run)
    for oldest, *others in late.values():
        count = sum(_cancel(api, run, oldest) for run in others)
        if count:
            yield f"{oldest['name']}: cancelled {count} later ticks that no worker took; this run does their work."


def _cancel(api: PrefectApi, run: dict[str, Any], oldest: dict[str, Any]) -> bool:
    message = f"No worker took this tick in time. Run {oldest['id']}, of an earlier tick, {STANDS_IN}."
    wanted = {"type": "CANCELLED", "name": "Missed", "message": message}
    return end_run(api, run["id"], run["state"]["id"], wanted)
