"""The processes of `sluice up` beside the server: two workers that start runs, and the reconciler of deployments.

The workers are Prefect's process workers: each run is a process on this machine. The second one takes only `monitor`
and `heal`, so that they never wait for pipelines.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Final

from flows.context import Context
from flows.process import ProcessIdentity
from flows.server.background import Background, shorten_log
from flows.server.local import CLIENT_SETTINGS, LocalServer, local_server, without_prefect

_RUNS_AT_ONCE: Final = 4
"""Runs that the worker executes in parallel; on the embedded warehouse they wait for its lock anyway."""
_UPKEEP_RUNS_AT_ONCE: Final = 2
"""Runs that the worker of `monitor` and `heal` executes in parallel: one of each."""
UPKEEP_QUEUE: Final = "upkeep"
"""The work queue of `monitor` and `heal`."""
_POLL_SECONDS: Final = 5
"""How often the worker polls for scheduled runs."""


@dataclass(frozen=True, slots=True)
class Companions:
    """The processes beside the server.

    Attributes:
        worker: Starts runs.
        upkeep_worker: Starts runs of `monitor` and `heal` only.
        reconciler: Updates deployments when rows change, and ends runs that will not end by themselves.
    """

    worker: ProcessIdentity
    upkeep_worker: ProcessIdentity
    reconciler: ProcessIdentity


def start_companions(context: Context) -> Companions:
    """Start the workers and the reconciler unless they are running; the server must answer."""
    server = local_server(context)
    with server.locked():
        worker, upkeep_worker, reconciler = companion_programs(server)
        environ = _environ(context, server)
        start = [sys.executable, "-m", "prefect", "worker", "start", "--pool", context.settings.work_pool]
        start += ["--type", "process"]
        pipelines = ["--name", "sluice-up", "--limit", str(_RUNS_AT_ONCE)]
        upkeep = ["--name", "sluice-up-upkeep", "--limit", str(_UPKEEP_RUNS_AT_ONCE), "--work-queue", UPKEEP_QUEUE]
        return Companions(
            worker=worker.start([*start, *pipelines], environ),
            upkeep_worker=upkeep_worker.start([*start, *upkeep], environ),
            reconciler=reconciler.start([sys.executable, "-m", "flows.cli", "deploy", "--watch"], environ),
        )


def stop_companions(context: Context) -> bool:
    """Stop the workers, their runs and the reconciler; return whether any of them was running.

    Runs receive a signal and report that they were stopped, so call this before the server stops.
    """
    server = local_server(context)
    if not server.folder.is_dir():
        return False
    with server.locked():
        return True in [program.stop() for program in reversed(companion_programs(server))]


def shorten_logs(server: LocalServer) -> None:
    """Keep the logs of the server and of the processes beside it short."""
    for log_file in (server.log_file, *(program.log_file for program in companion_programs(server))):
        shorten_log(log_file)


def missing_companions(server: LocalServer) -> tuple[str, ...]:
    """Return the names of the processes that should run beside a running local server, and do not."""
    return tuple(program.name for program in companion_programs(server) if program.running() is None)


def companion_programs(server: LocalServer) -> tuple[Background, Background, Background]:
    """Return the worker, the upkeep worker and the reconciler of a server, whether they run or not."""
    worker, upkeep_worker, reconciler = (
        Background(server.folder, name) for name in ("worker", "upkeep-worker", "reconciler")
    )
    return worker, upkeep_worker, reconciler


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
