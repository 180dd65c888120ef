"""The processes of `sluice up` beside the server: a worker that starts runs, and the reconciler of deployments.

The worker is Prefect's process worker: each run is a process on this machine.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Final

from flows.context import Context
from flows.process import ProcessIdentity
from flows.server.background import Background
from flows.server.local import CLIENT_SETTINGS, LocalServer, local_server, without_prefect

_RUNS_AT_ONCE: Final = 4
"""Runs that the worker executes in parallel; on the embedded warehouse they wait for its lock anyway."""
_POLL_SECONDS: Final = 5
"""How often the worker polls for scheduled runs."""


@dataclass(frozen=True, slots=True)
class Companions:
    """The processes beside the server.

    Attributes:
        worker: Starts runs.
        reconciler: Updates deployments when rows change.
    """

    worker: ProcessIdentity
    reconciler: ProcessIdentity


def start_companions(context: Context) -> Companions:
    """Start the worker and the reconciler unless they are running; the server must answer."""
    server = local_server(context)
    with server.locked():
        worker, reconciler = _programs(server)
        environ = _environ(context, server)
        pool = context.settings.work_pool
        start = ["-m", "prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", "sluice-up"]
        return Companions(
            worker=worker.start([sys.executable, *start, "--limit", str(_RUNS_AT_ONCE)], environ),
            reconciler=reconciler.start([sys.executable, "-m", "flows.cli", "deploy", "--watch"], environ),
        )


def stop_companions(context: Context) -> bool:
    """Stop the worker, its runs and the reconciler; return whether any of them was running.

    Runs receive a signal and report that they were stopped, so call this before the server stops.
    """
    server = local_server(context)
    if not server.folder.is_dir():
        return False
    with server.locked():
        return True in [program.stop() for program in reversed(_programs(server))]


def _programs(server: LocalServer) -> tuple[Background, Background]:
    return Background(server.folder, "worker"), Background(server.folder, "reconciler")


def _environ(context: Context, server: LocalServer) -> dict[str, str]:
    settings = context.settings
    environ = {
        **without_prefect(os.environ),
        **CLIENT_SETTINGS,
        "PREFECT_HOME": str(server.folder),
        "PREFECT_API_URL": server.api_url,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_WORKER_QUERY_SECONDS": str(_POLL_SECONDS),
        "SLUICE_PROJECT_ROOT": str(context.project.root),
        "SLUICE_ENVIRONMENT": settings.environment,
        "SLUICE_WORK_POOL": settings.work_pool,
    }
    if server.auth is not None:
        environ["PREFECT_API_AUTH_STRING"] = server.auth
    return environ
