"""The checks of a Prefect server that answers: access, version, clock, work pool, and deployments."""

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
from flows.doctor.finding import CheckFinding, Level

if TYPE_CHECKING:
    import httpx
    from prefect.client.orchestration import SyncPrefectClient

_TIMEOUT_SECONDS: Final = 10.0
_MOST_ON_SQLITE: Final = 50
"""Deployments from which the server's SQLite delays runs."""
_REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def examine_server(context: Context, api_url: str) -> Iterator[CheckFinding]:
    """Run every check of a server that answers.

    Args:
        context: Project, settings, control database.
        api_url: The server.
    """
    import httpx

    from flows.server.local import prepare_client

    prepare_client(context, api_url)
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    anonymous = httpx.get(f"{api_url}/admin/version", timeout=_TIMEOUT_SECONDS, trust_env=not _is_loopback(api_url))
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        try:
            answer = client.request("GET", _path("/admin/version"))
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in _REFUSALS:
                raise
            remedy = "Set PREFECT_API_AUTH_STRING to the server's user:password (SLUICE_PREFECT_AUTH for `sluice up`)."
            yield CheckFinding("prefect server", Level.FAIL, f"{api_url} refuses these credentials", remedy)
            return
        yield CheckFinding("prefect server", Level.OK, f"answers at {api_url}")
        yield _version(str(answer.json()))
        yield _task_runs(client, str(answer.json()))
        yield _clock(answer)
        yield from _access(api_url, anonymous, client.request("GET", _path("/admin/settings")).json()["server"])
        yield from _work_pool(client, context.settings.work_pool)
    yield from _scheduling(context, api_url)
    yield from _deployments(context, api_url)


def _version(server: str) -> CheckFinding:
    ours = version("prefect")
    if server.split(".")[:2] == ours.split(".")[:2]:
        return CheckFinding("prefect version", Level.OK, f"server {server}, here {ours}")
    remedy = "Upgrade the server first, then workers and this project (docs/operations/deploy.md)."
    return CheckFinding("prefect version", Level.WARN, f"server {server}, here {ours}: not tested together", remedy)


def _task_runs(client: SyncPrefectClient, server: str) -> CheckFinding:
    from flows.prefect.reporting.fallback import version_without_task_runs

    if version_without_task_runs(client) != server:
        return CheckFinding("task runs", Level.OK, "the server creates them from the events of runs")
    message = f"Prefect {server} creates none from the events of runs: runs write them at the end, without times"
    return CheckFinding("task runs", Level.WARN, message, "Install the Prefect of the lock file on the server.")


def _clock(answer: httpx.Response) -> CheckFinding:
    server_time = parsedate_to_datetime(answer.headers["date"])
    return clock_finding("prefect server", (server_time - datetime.now(UTC)).total_seconds())


def _access(api_url: str, anonymous: httpx.Response, settings: dict[str, Any]) -> Iterator[CheckFinding]:
    """Check authentication, CSRF protection and telemetry."""
    is_open = anonymous.status_code not in _REFUSALS
    if is_open and not _is_loopback(api_url):
        remedy = "Set PREFECT_SERVER_API_AUTH_STRING and put a TLS proxy in front: every client can run any code."
        yield CheckFinding("authentication", Level.FAIL, f"{api_url} requires no authentication", remedy)
    else:
        message = "not required: only this machine can connect" if is_open else "required"
        yield CheckFinding("authentication", Level.OK, message)
    if not is_open and not settings["api"]["csrf_protection_enabled"]:
        remedy = "Set PREFECT_SERVER_CSRF_PROTECTION_ENABLED=true on the server."
        yield CheckFinding("CSRF protection", Level.WARN, "off: other web pages can act as a signed-in user", remedy)
    if settings["analytics_enabled"]:
        remedy = "Set PREFECT_SERVER_ANALYTICS_ENABLED=false on the server."
        yield CheckFinding("telemetry", Level.WARN, "the server sends usage data to Prefect", remedy)
    else:
        yield CheckFinding("telemetry", Level.OK, "off")


def _work_pool(client: SyncPrefectClient, name: str) -> Iterator[CheckFinding]:
    from prefect.exceptions import ObjectNotFound

    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        remedy = "`sluice deploy` creates one of type process; docs/operations/deploy.md describes ECS."
        yield CheckFinding("work pool", Level.WARN, f"there is no pool {name!r}", remedy)
        return
    workers = client.request("POST", _path(f"/work_pools/{name}/workers/filter"), json={}).json()
    online = [worker["name"] for worker in workers if worker["status"] == "ONLINE"]
    if pool.is_paused:
        yield CheckFinding("work pool", Level.WARN, f"{name} is paused: nothing starts", "Resume it in Prefect.")
    elif online:
        yield CheckFinding("work pool", Level.OK, f"{name} ({pool.type}), workers: {', '.join(sorted(online))}")
    else:
        remedy = f"`sluice up`, or `prefect worker start --pool {name}` on the machine that executes runs."
        yield CheckFinding("work pool", Level.WARN, f"{name} ({pool.type}) has no worker: nothing starts", remedy)


def _scheduling(context: Context, api_url: str) -> Iterator[CheckFinding]:
    """Check that runs start: workers, slots, refused and late runs, and the processes of `sluice up`."""
    from flows.prefect.watchdog.report import examine
    from flows.server.api import open_api
    from flows.server.companions import missing_companions
    from flows.server.local import local_server

    with open_api(api_url) as api:
        found = examine(api, context.settings.environment, context.settings.work_pool, context.now())
    for trouble in found:
        yield CheckFinding("scheduling", Level.FAIL, f"{trouble.subject}: {trouble.sentence}", trouble.remedy)
    missing = missing_companions(local_server(context)) if _is_local(context, api_url) else ()
    if missing:
        message = f"not running beside the local server: {', '.join(missing)}"
        yield CheckFinding("scheduling", Level.FAIL, message, "`sluice up` starts them.")
    if not (found or missing):
        yield CheckFinding("scheduling", Level.OK, "no run is late, no slot is held without a run")


def _deployments(context: Context, api_url: str) -> Iterator[CheckFinding]:
    from flows.prefect.deployments.deploy import deploy

    plan = deploy(context, api_url, is_dry=True)
    if plan.unchanged > _MOST_ON_SQLITE and _is_local(context, api_url):
        message = f"{plan.unchanged} deployments on the local server's SQLite, which has one writer at a time"
        yield CheckFinding(
            "database", Level.WARN, message, "Move Prefect to PostgreSQL: docs/operations/prefect.md says how."
        )
    changes = len(plan.steps) + len(plan.automations)
    if changes:
        message = f"{changes} deployments and automations differ from the rows"
        yield CheckFinding(
            "deployments", Level.WARN, message, "`sluice deploy --plan` shows them, `sluice deploy` writes them."
        )
    else:
        yield CheckFinding("deployments", Level.OK, f"{plan.unchanged} match the rows")
    for note in plan.notes:
        yield CheckFinding("alerts", Level.WARN, note, "`sluice alert test` tests a channel.")


def _is_local(context: Context, api_url: str) -> bool:
    """Whether an API is that of the server which `sluice up` started."""
    from flows.server.local import local_server

    server = local_server(context)
    return server.api_url == api_url and server.running() is not None


def _path(path: str) -> Any:
    """Return an API path as Any: the client's type annotation lists only some paths."""
    return path


def _is_loopback(api_url: str) -> bool:
    host = urlsplit(api_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
