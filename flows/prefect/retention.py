"""Removes what is older than `SLUICE_RETENTION_DAYS`: in the control database, and runs with their logs in Prefect.

A small batch per call: `monitor` calls it every few minutes, and the server's SQLite has one writer. Prefect removes
the logs, task runs and pages of a flow run with it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import httpx

from flows.prefect.deployments.pipelines import MANAGED_TAG, environment_tag
from flows.server.api import PrefectApi, open_api

if TYPE_CHECKING:
    from flows.context import Context

log = logging.getLogger(__name__)

BATCH: Final = 50
"""Flow runs that one call removes from Prefect."""
_ENDED: Final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def keep_short(context: Context, api_url: str) -> int:
    """Remove a batch of what is too old; an error of the server is logged, and the next call tries again.

    Args:
        context: Settings, control database.
        api_url: The Prefect server.

    Returns:
        The number of flow runs and rows that were removed.
    """
    days = context.settings.retention_days
    if not days:
        return 0
    before = context.now() - timedelta(days=days)
    removed = context.store.remove_older(before)
    try:
        with open_api(api_url) as api:
            removed += remove_runs(api, context.settings.environment, before)
    except httpx.HTTPError as error:
        log.warning("retention runs_removed=false error=%r", error)
    if removed:
        log.info("retention removed=%d before=%s", removed, before.date())
    return removed


def remove_runs(api: PrefectApi, environment: str, before: datetime) -> int:
    """Remove a batch of an environment's flow runs that ended before an instant; return their number.

    Raises:
        httpx.HTTPError: When the server does not answer.
    """
    only = {
        "tags": {"all_": [MANAGED_TAG, environment_tag(environment)]},
        "state": {"type": {"any_": list(_ENDED)}},
        "end_time": {"before_": before.isoformat()},
    }
    found = api.post("/flow_runs/filter", {"flow_runs": only, "sort": "END_TIME_DESC", "limit": BATCH})
    for run in found:
        api.delete(f"/flow_runs/{run['id']}")
    return len(found)
