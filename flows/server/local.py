"""The local Prefect server that `sluice up` runs in the background: one per project, on loopback.

Its files are in `.sluice/prefect/`: database, log, pid file and the lock that commands share. This module does not
import Prefect, so that `sluice run` learns within milliseconds whether a server answers.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from filelock import FileLock, Timeout

from flows.context import Context
from flows.process import ProcessIdentity
from flows.server.api import open_api
from flows.server.background import STOP_SECONDS, detach, end, log_tail, spawn, write_atomically
from metadata_sync.errors import ConfigurationError, RunError
from metadata_sync.redact import remember_secrets

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
HEALTH_CHECK_SECONDS: Final = 0.3
"""Timeout of a run's check whether a server answers."""
START_SECONDS: Final = 180.0
"""How long `sluice up` waits for the first answer; the first start also creates the database."""
ANSWER_SECONDS: Final = 30.0
"""How long a start waits for a server that runs already: it ends, or it answers."""
_POLL_SECONDS: Final = 0.2
_FIRST_FLOW: Final = "run"
"""The flow that is registered to test a write; it exists in every Sluice server."""

CLIENT_SETTINGS: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_CLI_COLORS": "false",
}
"""Settings of every Prefect program that is started here."""
_SERVER_SETTINGS: Final[Mapping[str, str]] = {
    **CLIENT_SETTINGS,
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    # Leases of slots in files outlive the server. In memory, a restart would cancel the runs that go on meanwhile.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


@dataclass(frozen=True, slots=True)
class LocalServer:
    """The address and the files of the project's server.

    Attributes:
        folder: `.sluice/prefect`, the server's PREFECT_HOME.
        port: From `SLUICE_PREFECT_PORT`.
        host: Address that it listens on, from `SLUICE_PREFECT_HOST`.
        auth: `user:password` that it requires: `SLUICE_PREFECT_AUTH`, or the one that `sluice up` has made.
    """

    folder: Path
    port: int
    host: str = HOST
    auth: str | None = field(default=None, repr=False)

    @property
    def api_url(self) -> str:
        """Address of the API, as in `PREFECT_API_URL`."""
        return f"http://{self.host}:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """Address of the UI."""
        return ui_url(self.api_url)

    @property
    def open_url(self) -> str:
        """Address that logs a browser in and opens the UI; it holds the password, behind `#`."""
        base = self.api_url.removesuffix("/api")
        return f"{base}/open#{quote(self.auth, safe='')}" if self.auth else self.ui_url

    @property
    def auth_file(self) -> Path:
        """The password that `sluice up` has made; only this user may read it."""
        return self.folder / "auth"

    def secured(self) -> LocalServer:
        """Return the server with a password, made at the first start and kept for the next ones.

        Raises:
            ConfigurationError: When the file cannot be written.
        """
        if self.auth is not None:
            return self
        with self.locked():
            kept = read_auth(self.folder)
            if kept is None:
                kept = f"sluice:{secrets.token_urlsafe(24)}"
                self.auth_file.unlink(missing_ok=True)
                with os.fdopen(os.open(self.auth_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                    file.write(kept + "\n")
        return replace(self, auth=kept)

    @property
    def log_file(self) -> Path:
        """The server's output since it was started."""
        return self.folder / "server.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "server.json"

    def running(self) -> ServerRecord | None:
        """Return the record of the server that this project started and that is still alive, or None."""
        try:
            record = ServerRecord.parse(self._pid_file.read_text())
        except (OSError, ValueError, TypeError, KeyError):  # never started, or a crash left a partial file
            return None
        return record if record.process.is_alive() else None

    def record(self, process: ProcessIdentity) -> ServerRecord:
        """Write the pid file of a server that was just started."""
        record = ServerRecord(process, self.port)
        write_atomically(self._pid_file, record.render())
        return record

    def forget(self) -> None:
        """Remove the pid file."""
        self._pid_file.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that prevents two commands from starting or stopping the server at the same time.

        Raises:
            ConfigurationError: When the folder cannot be written.
            RunError: When another command holds the lock for longer than a start may take.
        """
        lock = FileLock(self.folder / "server.lock", timeout=START_SECONDS + STOP_SECONDS)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise RunError(
                "Another `sluice up` or `sluice down` has been running for minutes.", "Stop it, then try again."
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"The local server's folder {self.folder} cannot be written: {error.strerror}.",
                "Make it writable for this user, or work on a copy of the project.",
            ) from error
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A running server: its process and its port."""

    process: ProcessIdentity
    port: int

    @classmethod
    def parse(cls, text: str) -> ServerRecord:
        """Read what `render` wrote."""
        document = json.loads(text)
        return cls(ProcessIdentity(**document["process"]), int(document["port"]))

    def render(self) -> str:
        """Return the record as the pid file holds it."""
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Started:
    """The result of `start`.

    Attributes:
        pid: Process id of the server.
        is_new: False when it was running already.
        seconds: How long the start took.
    """

    pid: int
    is_new: bool
    seconds: float


def local_server(context: Context) -> LocalServer:
    """Return where this project's server is, running or not."""
    settings = context.settings
    folder = context.project.state_dir / "prefect"
    auth = settings.prefect_auth or read_auth(folder)
    if auth is not None:
        remember_secrets({"auth_string": auth})
    return LocalServer(folder, settings.prefect_port, settings.prefect_host, auth)


def read_auth(folder: Path) -> str | None:
    """Return the password that `sluice up` has made, or None."""
    try:
        text = (folder / "auth").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if ":" in text else None


def running_api_url(context: Context, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the API that runs report to: the configured one, else the local one, if it answers in time.

    Args:
        context: The project and its settings.
        environ: Where `PREFECT_API_URL` is looked up. A configured server that does not answer is not replaced by the
            local one: the users of the configured server would not see these runs.

    Returns:
        The API's address, or None: the run then works without Prefect.
    """
    address = known_api_url(context, environ)
    return address if address is not None and is_healthy(address) else None


def known_api_url(context: Context, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the configured API, else that of the local server if its process lives; it may be too busy to answer."""
    configured = environ.get("PREFECT_API_URL", "").rstrip("/")
    if configured:
        return configured
    server = _running_server(context)
    return None if server is None else server.api_url


def serves_only_this_machine(context: Context, api_url: str) -> bool:
    """Tell whether an API is that of the project's own server on loopback, whose workers start processes here."""
    server = _running_server(context)
    return server is not None and server.api_url == api_url and ipaddress.ip_address(server.host).is_loopback


def _running_server(context: Context) -> LocalServer | None:
    """Return the project's own server with the port that it was started on, if its process lives."""
    server = local_server(context)
    record = server.running()
    return None if record is None else replace(server, port=record.port)


def is_healthy(api_url: str, timeout_seconds: float = HEALTH_CHECK_SECONDS) -> bool:
    """Tell whether a Prefect API answers its health check within the time."""
    parts = urlsplit(api_url)
    if parts.scheme not in {"http", "https"}:
        return False
    # Requests to loopback must not go through a proxy of the environment.
    proxies: dict[str, str] | None = {} if parts.hostname in {HOST, "localhost", "::1"} else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(f"{api_url}/health", timeout=timeout_seconds) as response:
            return bool(response.status == http.client.OK)
    except (OSError, http.client.HTTPException):
        return False


def ui_url(api_url: str) -> str:
    """Return the UI of an API: `PREFECT_UI_URL` if it is set, otherwise the UI that the server bundles.

    >>> ui_url("http://127.0.0.1:4271/api")
    'http://127.0.0.1:4271/v2'
    """
    return os.environ.get("PREFECT_UI_URL", "").rstrip("/") or api_url.removesuffix("/api") + "/v2"


def prepare_client(context: Context, api_url: str) -> None:
    """Set what Prefect reads at import: no console logs, and PREFECT_HOME in the project for the local server."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    server = local_server(context)
    if api_url == server.api_url:
        os.environ.setdefault("PREFECT_HOME", str(server.folder))
        if server.auth is not None:
            os.environ.setdefault("PREFECT_API_AUTH_STRING", server.auth)


def start(server: LocalServer) -> Started:
    """Start the server, detached from this terminal, and wait until it answers; do nothing when it is running.

    Raises:
        ConfigurationError: When another program listens on the port, or the folder cannot be written.
        RunError: When the server exits at once or does not answer in time; nothing is left running.
    """
    began = time.monotonic()
    with server.locked():
        record = server.running()
        if record is not None and _answers(server, record):
            return Started(record.process.pid, is_new=False, seconds=time.monotonic() - began)
        _check_exposure(server)
        _check_port_is_free(server)
        process = _spawn(server)
        record = server.record(ProcessIdentity.of(process.pid))
        try:
            _wait_until_healthy(server, process, began)
            _wait_until_writable(server, began)
        except BaseException:
            end(record.process, "The local server")
            process.wait()
            server.forget()
            raise
    seconds = time.monotonic() - began
    log.info("local_server started=true pid=%s port=%s seconds=%.1f", process.pid, server.port, seconds)
    detach(process)
    return Started(process.pid, is_new=True, seconds=seconds)


def stop(server: LocalServer) -> bool:
    """Stop the server that this project started.

    Returns:
        True when it was running.
    """
    if not server.folder.is_dir():
        return False
    with server.locked():
        record = server.running()
        if record is not None:
            end(record.process, "The local server")
            log.info("local_server stopped=true pid=%s", record.process.pid)
        server.forget()
    return record is not None


def _answers(server: LocalServer, record: ServerRecord) -> bool:
    """Wait until a server that runs answers, or has ended: it may be busy, or be ending since a signal.

    Raises:
        ConfigurationError: When it has another port.
        RunError: When it does neither in time.
    """
    if record.port != server.port:
        raise ConfigurationError(
            f"This project's server already runs on port {record.port}, and SLUICE_PREFECT_PORT is {server.port}.",
            "Run `sluice down` first, or set SLUICE_PREFECT_PORT back.",
        )
    deadline = time.monotonic() + ANSWER_SECONDS
    while record.process.is_alive():
        if is_healthy(server.api_url, timeout_seconds=5.0):
            return True
        if time.monotonic() > deadline:
            raise RunError(
                f"The local server (pid {record.process.pid}) is running but does not answer on {server.api_url}.",
                f"Run `sluice down`, then `sluice up`. Its log is {server.log_file}.",
            )
        time.sleep(_POLL_SECONDS)
    return False


def _check_exposure(server: LocalServer) -> None:
    """Refuse to expose a server without authentication: every client of the API can run any code.

    Raises:
        ConfigurationError: When the address is not a single one, or not loopback and without authentication.
    """
    try:
        address = ipaddress.ip_address(server.host)
    except ValueError as error:
        raise ConfigurationError(
            f"SLUICE_PREFECT_HOST = {server.host!r} is not an IP address.", "Set it to one address of this machine."
        ) from error
    if address.is_unspecified:
        raise ConfigurationError(
            f"SLUICE_PREFECT_HOST = {server.host} would listen on every network of this machine.",
            "Set it to a single address of this machine; browsers use the same one.",
        )
    if not address.is_loopback and server.auth is None:
        raise ConfigurationError(
            f"SLUICE_PREFECT_HOST = {server.host} can be reached from other machines, and no authentication is set.",
            "Set SLUICE_PREFECT_AUTH=user:password, or leave the host at 127.0.0.1.",
        )


def _check_port_is_free(server: LocalServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((server.host, server.port))
        except OSError as error:
            other = "another Prefect server" if is_healthy(server.api_url, timeout_seconds=2.0) else "another program"
            raise ConfigurationError(
                f"Port {server.port} of {server.host} is used by {other}, which this project did not start.",
                "Set SLUICE_PREFECT_PORT to a free port, or stop that program. To report runs to that server instead, "
                f"set PREFECT_API_URL={server.api_url}.",
            ) from error


def _spawn(server: LocalServer) -> subprocess.Popen[bytes]:
    # The shell's PREFECT_* settings are for the configured server: this server must not use its database.
    environ = {
        **without_prefect(os.environ),
        **_SERVER_SETTINGS,
        "PREFECT_HOME": str(server.folder),
        "PREFECT_API_URL": server.api_url,  # also what the UI in the browser calls
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": server.api_url.removesuffix("/api"),
    }
    if server.auth is not None:
        environ |= {
            "PREFECT_SERVER_API_AUTH_STRING": server.auth,
            "PREFECT_API_AUTH_STRING": server.auth,
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        }
    command = [sys.executable, "-m", "flows.server.app", server.host, str(server.port)]
    return spawn(command, environ, server.folder, server.log_file)


def without_prefect(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without Prefect's settings."""
    return {name: value for name, value in environ.items() if not name.startswith("PREFECT_")}


def _wait_until_healthy(server: LocalServer, process: subprocess.Popen[bytes], began: float) -> None:
    while not is_healthy(server.api_url, timeout_seconds=1.0):
        if process.poll() is not None:
            raise RunError(
                f"The local server exited with code {process.returncode} before it answered:\n"
                f"{log_tail(server.log_file)}",
                f"The whole log is {server.log_file}. `sluice doctor` checks the installation.",
            )
        if time.monotonic() - began > START_SECONDS:
            raise RunError(
                f"The local server did not answer within {START_SECONDS:.0f} seconds:\n{log_tail(server.log_file)}",
                f"The whole log is {server.log_file}. Try again when the machine is less busy.",
            )
        time.sleep(_POLL_SECONDS)


def _wait_until_writable(server: LocalServer, began: float) -> None:
    """Wait until the server accepts a write: it answers its health check while its database is still locked."""
    import httpx

    budget = max(START_SECONDS - (time.monotonic() - began), 1.0)
    try:
        with open_api(server.api_url, auth=server.auth, budget_seconds=budget) as api:
            api.post("/flows/", {"name": _FIRST_FLOW})
    except httpx.HTTPError as error:
        raise RunError(
            f"The local server answers but cannot write to its database: {error!r}\n{log_tail(server.log_file)}",
            f"Check the disk of {server.folder}, then run `sluice up` again.",
        ) from error
