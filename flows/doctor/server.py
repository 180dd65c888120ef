"""The check-up of a Prefect server that answers: who may use it, does it fit, does it hold what the rows say?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from flows.context import Context
from flows.doctor.clocks import clock_finding
from flows.doctor.finding import Finding, Level

if TYPE_CHECKING:
    import httpx
    from prefect.client.orchestration import SyncPrefectClient

_TIMEOUT_SECONDS: Final = 10.0
_REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def examine_server(context: Context, api_url: str) -> Iterator[Finding]:
    """Do every check of a server that answers.

    Args:
        context: Project, settings, control database.
        api_url: The server.
    """
    import httpx

    from flows.server.local import prepare_client

    prepare_client(context, api_url)
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    unnamed = httpx.get(f"{api_url}/admin/version", timeout=_TIMEOUT_SECONDS, trust_env=not _is_loopback(api_url))
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        try:
            told = client.request("GET", _path("/admin/version"))
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in _REFUSALS:
                raise
            remedy = "Set PREFECT_API_AUTH_STRING to the server's user:password (SLUICE_PREFECT_AUTH for `sluice up`)."
            yield Finding("prefect server", Level.FAIL, f"{api_url} refuses these credentials", remedy)
            return
        yield Finding("prefect server", Level.OK, f"answers at {api_url}")
        yield _version(str(told.json()))
        yield _task_runs(client, str(told.json()))
        yield _clock(told)
        yield from _guards(api_url, unnamed, client.request("GET", _path("/admin/settings")).json()["server"])
        yield from _work_pool(client, context.settings.work_pool)
    yield from _deployments(context, api_url)


def _version(server: str) -> Finding:
    ours = version("prefect")
    if server.split(".")[:2] == ours.split(".")[:2]:
        return Finding("prefect version", Level.OK, f"server {server}, here {ours}")
    remedy = "Upgrade the server first, then workers and this project (docs/operations/deploy.md)."
    return Finding("prefect version", Level.WARN, f"server {server}, here {ours}: not tested together", remedy)


def _task_runs(client: SyncPrefectClient, server: str) -> Finding:
    from flows.prefect.reporting.fallback import version_without_task_runs

    if version_without_task_runs(client) != server:
        return Finding("task runs", Level.OK, "the server makes them of what runs report")
    message = f"Prefect {server} makes none of what runs report: they are written at a run's end, without their times"
    return Finding("task runs", Level.WARN, message, "Install the Prefect of the lock file on the server.")


def _clock(answer: httpx.Response) -> Finding:
    told = parsedate_to_datetime(answer.headers["date"])
    return clock_finding("prefect server", (told - datetime.now(UTC)).total_seconds())


def _guards(api_url: str, unnamed: httpx.Response, settings: dict[str, Any]) -> Iterator[Finding]:
    """Look whether strangers are let in, whether their web pages are, and whether the server calls home."""
    is_open = unnamed.status_code not in _REFUSALS
    if is_open and not _is_loopback(api_url):
        remedy = "Give it PREFECT_SERVER_API_AUTH_STRING, and a proxy with TLS: whoever reaches it may run anything."
        yield Finding("authentication", Level.FAIL, f"{api_url} asks nobody for a name", remedy)
    else:
        yield Finding(
            "authentication", Level.OK, "asks nobody: only this machine reaches it" if is_open else "asked for"
        )
    if not is_open and not settings["api"]["csrf_protection_enabled"]:
        remedy = "Set PREFECT_SERVER_CSRF_PROTECTION_ENABLED=true on the server."
        yield Finding("CSRF protection", Level.WARN, "off: web pages can act in a signed-in browser's name", remedy)
    if settings["analytics_enabled"]:
        remedy = "Set PREFECT_SERVER_ANALYTICS_ENABLED=false on the server."
        yield Finding("telemetry", Level.WARN, "the server sends usage to Prefect", remedy)
    else:
        yield Finding("telemetry", Level.OK, "off")


def _work_pool(client: SyncPrefectClient, name: str) -> Iterator[Finding]:
    from prefect.exceptions import ObjectNotFound

    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        remedy = "`sluice deploy` makes one of type process; docs/operations/deploy.md tells of ECS."
        yield Finding("work pool", Level.WARN, f"there is no pool {name!r}", remedy)
        return
    workers = client.request("POST", _path(f"/work_pools/{name}/workers/filter"), json={}).json()
    online = [worker["name"] for worker in workers if worker["status"] == "ONLINE"]
    if pool.is_paused:
        yield Finding("work pool", Level.WARN, f"{name} is paused: nothing starts", "Resume it in Prefect.")
    elif online:
        yield Finding("work pool", Level.OK, f"{name} ({pool.type}), workers: {', '.join(sorted(online))}")
    else:
        remedy = f"`sluice up`, or `prefect worker start --pool {name}` where runs shall run."
        yield Finding("work pool", Level.WARN, f"{name} ({pool.type}) has no worker: nothing starts", remedy)


def _deployments(context: Context, api_url: str) -> Iterator[Finding]:
    from flows.prefect.deployments.deploy import deploy

    plan = deploy(context, api_url, is_dry=True)
    changes = len(plan.steps) + len(plan.automations)
    if changes:
        message = f"{changes} deployments and automations are out of step with the rows"
        yield Finding(
            "deployments", Level.WARN, message, "`sluice deploy --plan` shows them, `sluice deploy` writes them."
        )
    else:
        yield Finding("deployments", Level.OK, f"{plan.unchanged} in step with the rows")
    for note in plan.notes:
        yield Finding("alerts", Level.WARN, note, "`sluice alert test` tries a channel.")


def _path(path: str) -> Any:
    """Return a path of the API; the client's annotation lists only some."""
    return path


def _is_loopback(api_url: str) -> bool:
    host = urlsplit(api_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
