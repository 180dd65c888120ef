"""A running Prefect server, asked over plain HTTP, so that no test trusts the code that wrote what it reads."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from flows.context import Context
from flows.server.local import (
    LocalServer,
)
from tests.support.forked_sluice import run_sluice

_CONTENT_TYPE = {"content-type": "application/json"}


def _is_busy(error: BaseException) -> bool:
    """Tell whether the server's SQLite file was locked by its own services: Prefect's client asks again, too."""
    return isinstance(error, HTTPError) and error.code == HTTPStatus.SERVICE_UNAVAILABLE


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A server that runs, and what it recorded."""

    local: LocalServer

    @property
    def api_url(self) -> str:
        return self.local.api_url

    @property
    def pid(self) -> int:
        running = self.local.running()
        assert running is not None
        return running.process.pid

    @property
    def headers(self) -> dict[str, str]:
        """What every question bears."""
        return {}

    @retry(retry=retry_if_exception(_is_busy), stop=stop_after_delay(60), wait=wait_fixed(0.5), reraise=True)
    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.api_url}{path}", data=data, headers=self.headers | _CONTENT_TYPE)
        try:
            with urlopen(request, timeout=90) as response:  # the server waits up to 60 s for its SQLite file
                return json.load(response)
        except HTTPError as error:
            error.close()  # it holds the connection
            raise

    def status(self, path: str, body: Any, headers: dict[str, str] | None = None) -> int:
        """Return the status code of an answer."""
        known = self.headers if headers is None else headers
        request = Request(f"{self.api_url}{path}", data=json.dumps(body).encode(), headers=known | _CONTENT_TYPE)
        try:
            with urlopen(request, timeout=30) as response:
                return int(response.status)
        except HTTPError as error:
            return error.code

    def patch(self, path: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        request = Request(f"{self.api_url}{path}", data, self.headers | _CONTENT_TYPE, method="PATCH")
        with urlopen(request, timeout=30):
            return

    def delete(self, path: str) -> None:
        with urlopen(Request(f"{self.api_url}{path}", headers=self.headers, method="DELETE"), timeout=30):
            return

    def browser_settings(self) -> dict[str, Any]:
        """Return what the UI in a browser is told."""
        with urlopen(self.api_url.removesuffix("/api") + "/ui-settings", timeout=30) as response:
            return dict(json.load(response))

    def task_runs(self, flow_run_id: str, count: int, *, starts: int = 0) -> dict[str, dict[str, Any]]:
        """Return the task runs by name, once `count` of them have ended: the server records events with a delay.

        `starts`: how often they began altogether, where one began again after it had ended.
        """
        body = {"flow_runs": {"id": {"any_": [flow_run_id]}}, "limit": 200, "sort": "EXPECTED_START_TIME_ASC"}
        deadline = time.monotonic() + 30
        while True:
            runs = self.ask("/task_runs/filter", body)
            ended = [run for run in runs if run["end_time"] and run["state"]]
            has_all = len(ended) >= count and sum(run["run_count"] for run in ended) >= starts
            if has_all or time.monotonic() > deadline:
                return {run["name"]: run for run in runs}
            time.sleep(0.3)

    def states(self, task_run_id: str) -> list[dict[str, Any]]:
        return sorted(self.ask(f"/task_run_states/?task_run_id={task_run_id}"), key=lambda state: state["timestamp"])

    def logs(self, **only: str) -> list[dict[str, Any]]:
        body = {"logs": {name: {"any_": [value]} for name, value in only.items()}, "limit": 200}
        return list(self.ask("/logs/filter", body))

    def deployment(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """Return a deployment of the flow `run`, once the reconciler has made it."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.ask("/deployments/filter", {"deployments": {"name": {"any_": [name]}}, "limit": 1})
            if found:
                return dict(found[0])
            assert time.monotonic() < deadline, f"no deployment {name} within {seconds} s"
            time.sleep(0.5)

    def start_run(self, deployment_id: str, **parameters: Any) -> str:
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.ask(f"/deployments/{deployment_id}/create_flow_run", body)["id"])

    def until(self, holds: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.3)

    def set_state(self, flow_run_id: str, state: str) -> None:
        assert self.status(f"/flow_runs/{flow_run_id}/set_state", {"state": {"type": state}, "force": True}) in {
            200,
            201,
        }

    def runs_of(self, deployment_id: str, **only: Any) -> list[dict[str, Any]]:
        """Return a deployment's runs, the oldest first."""
        body = {"deployments": {"id": {"any_": [deployment_id]}}, "flow_runs": only, "limit": 200}
        return list(self.ask("/flow_runs/filter", body | {"sort": "EXPECTED_START_TIME_ASC"}))

    def ended(self, count: int, deployment_id: str, seconds: float = 120, **only: Any) -> list[dict[str, Any]]:
        """Return a deployment's runs that have ended, once there are so many of them."""
        deadline = time.monotonic() + seconds
        while True:
            runs = [run for run in self.runs_of(deployment_id, **only) if run["end_time"]]
            if len(runs) >= count:
                return runs
            states = [run["state_name"] for run in self.runs_of(deployment_id, **only)]
            assert time.monotonic() < deadline, f"{len(runs)} of {count} runs ended within {seconds} s: {states}"
            time.sleep(0.5)


class Way(socketserver.ThreadingTCPServer):
    """A way to a server that can be cut for good, as when the server was killed, or be frozen, as when it hangs.

    Tests that go other ways still find the server: starting one for each death takes long.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.port = port
        self.ends: list[socket.socket] = []
        self.carries = threading.Event()
        self.carries.set()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Accept connections, as a hanging server's kernel does, and carry nothing."""
        self.carries.clear()
        try:
            yield
        finally:
            self.carries.set()

    def cut(self) -> None:
        self.shutdown()
        self.server_close()
        for end in self.ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _Passage(socketserver.BaseRequestHandler):
    server: Way

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as behind:
            self.server.ends += [self.request, behind]
            back = threading.Thread(target=_carry, args=(behind, self.request, self.server.carries), daemon=True)
            back.start()
            _carry(self.request, behind, self.server.carries)
            back.join()


def _carry(source: socket.socket, target: socket.socket, carries: threading.Event) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            carries.wait()
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def give_database(local: LocalServer, migrated: Path) -> LocalServer:
    """Spare a server that was never started the creation of its database."""
    local.folder.mkdir(parents=True)
    shutil.copy(migrated, local.folder)
    return local


def sluice(context: Context, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "SLUICE_PROJECT_ROOT": str(context.project.root),
        "SLUICE_PREFECT_PORT": str(context.settings.prefect_port),
    }
    return run_sluice(arguments, environ)
