"""A worker of Prefect that may be killed, and runs that stay in a state until a test lets them go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.prefect.deployments.client import open_deployments
from flows.prefect.deployments.pipelines import Deployment
from flows.server.background import Background
from flows.server.local import CLIENT_SETTINGS, without_prefect
from tests.support.guarded_server import REPOSITORY
from tests.support.held_flow import FOLDER, end_file, pending_file
from tests.support.live_server import Server


def exclusive_deployment(name: str, flow: str = "run", entrypoint: str = "flows.prefect.run_flow.run") -> Deployment:
    """Return a deployment of a pipeline that has one slot."""
    tags = ("sluice", "environment:killed", f"pipeline:{name}")
    return Deployment(f"{name}@killed", flow, entrypoint, "", tags, is_exclusive=True, environment="killed")


@dataclass
class Machine:
    """A worker on this machine, and the runs that it has started."""

    server: Server
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def worker(self) -> Background:
        return Background(self.server.local.folder, "worker-to-kill")

    def start_worker(self) -> None:
        local = self.server.local
        environ = {
            **without_prefect(os.environ),
            **CLIENT_SETTINGS,
            "PREFECT_HOME": str(local.folder),
            "PREFECT_API_URL": local.api_url,
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONPATH": str(REPOSITORY),
            FOLDER: str(self.folder),
            **self.environ,
        }
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "killed", "--type", "process"]
        self.worker.start([*command, "--name", "to-kill"], environ)

    def kill_worker(self) -> None:
        process = self.worker.running()
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        self.server.until(lambda: not process.is_alive(), 10)

    def begin(self, name: str, *, is_pending: bool = False) -> str:
        """Let the worker start a run, and return it once its process is at work."""
        with open_deployments(self.server.api_url, "killed") as prefect:
            wanted = exclusive_deployment(name, "held", "tests.support.held_flow.held")
            deployment = str(prefect.write(wanted, is_paused=False))
        run = self.server.start_run(deployment)
        if is_pending:
            pending_file(self.folder, run).touch()
        return run

    def pid(self, run: str) -> int:
        return int(self.server.ask(f"/flow_runs/{run}")["infrastructure_pid"].rpartition(":")[2])

    def kill_run(self, run: str) -> None:
        os.kill(self.pid(run), signal.SIGKILL)

    def release(self, run: str) -> None:
        end_file(self.folder, run).touch()
        pending_file(self.folder, run).unlink(missing_ok=True)

    def state(self, run: str) -> str:
        return str(self.server.ask(f"/flow_runs/{run}")["state_type"])

    def is_at(self, run: str, state: str) -> bool:
        found = self.server.ask(f"/flow_runs/{run}")
        return bool(found["state_type"] == state and found["infrastructure_pid"])

    def until(self, state: str, *runs: str) -> None:
        """Wait until runs are in a state."""
        self.server.until(lambda: {self.state(run) for run in runs} == {state}, 60)
