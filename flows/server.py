"""The local Prefect server that `sluice up` keeps in the background: one per project, on loopback.

Everything it owns stands in `.sluice/prefect/`: its database, its log, its pid file and the lock that commands share.
Nothing here imports Prefect, so that `sluice run` learns in milliseconds whether a server answers.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from flows.context import Context
from flows.process_identity import ProcessIdentity
from metadata_sync.errors import ConfigurationError, RunError

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
PROBE_SECONDS: Final = 0.3
"""How long a run waits to learn whether a server answers."""
START_SECONDS: Final = 180.0
"""How long `sluice up` waits for the first answer; the first start also creates the database."""
STOP_SECONDS: Final = 15.0
"""How long the server may take to end after TERM before it is killed."""
_POLL_SECONDS: Final = 0.2
_LOG_TAIL_LINES: Final = 20

_SERVER_SETTINGS: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_CLI_COLORS": "false",
}


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where the project's server is to be found.

    Attributes:
        folder: `.sluice/prefect`, the server's PREFECT_HOME.
        port: Loopback port, from `SLUICE_PREFECT_PORT`.
    """

    folder: Path
    port: int

    @property
    def api_url(self) -> str:
        """Address of the API, what `PREFECT_API_URL` would say."""
        return f"http://{HOST}:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """Address of the UI."""
        return ui_url(self.api_url)

    @property
    def log_file(self) -> Path:
        """What the server printed since it was started."""
        return self.folder / "server.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "server.json"

    def running(self) -> ServerRecord | None:
        """Return the record of the server that this project started and that is still alive, or None."""
        try:
            record = ServerRecord.parse(self._pid_file.read_text())
        except (OSError, ValueError, TypeError, KeyError):  # never started, or a half-written file of a crash
            return None
        return record if record.process.is_alive() else None

    def record(self, process: ProcessIdentity) -> ServerRecord:
        """Write the pid file of a server that was just started, in one step."""
        record = ServerRecord(process, self.port)
        draft = self._pid_file.with_suffix(".tmp")
        draft.write_text(record.render())
        draft.replace(self._pid_file)
        return record

    def forget(self) -> None:
        """Remove the pid file."""
        self._pid_file.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that keeps two commands from starting or ending the server at once.

        Raises:
            ConfigurationError: When the folder cannot be written.
            RunError: When another command holds it for longer than a start may take.
        """
        lock = FileLock(self.folder / "server.lock", timeout=START_SECONDS + STOP_SECONDS)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise RunError(
                "Another `sluice up` or `sluice down` has been at work for minutes.", "End it, then try again."
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
    """A running server: its process, and the port it was told to listen on."""

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
    """What `start` did.

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
    return LocalServer(context.project.state_dir / "prefect", context.settings.prefect_port)


def running_api_url(context: Context, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the API that runs are to be reported to: the configured one, else the local one, when it answers in time.

    Args:
        context: The project and its settings.
        environ: Where `PREFECT_API_URL` is looked up; a configured server that does not answer is not replaced by the
            local one, because its runs would then stand where nobody looks.

    Returns:
        The API's address, or None: the run then goes on without Prefect.
    """
    configured = environ.get("PREFECT_API_URL", "").rstrip("/")
    if configured:
        return configured if is_healthy(configured) else None
    server = local_server(context)
    record = server.running()
    if record is None:
        return None
    address = LocalServer(server.folder, record.port).api_url
    return address if is_healthy(address) else None


def is_healthy(api_url: str, timeout_seconds: float = PROBE_SECONDS) -> bool:
    """Tell whether a Prefect API answers its health check within the time."""
    parts = urlsplit(api_url)
    if parts.scheme not in {"http", "https"}:
        return False
    # A proxy of the environment must not come between this machine and its own loopback.
    proxies: dict[str, str] | None = {} if parts.hostname in {HOST, "localhost", "::1"} else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(f"{api_url}/health", timeout=timeout_seconds) as response:
            return bool(response.status == http.client.OK)
    except (OSError, http.client.HTTPException):
        return False


def ui_url(api_url: str) -> str:
    """Return the UI that belongs to an API: `PREFECT_UI_URL` where it stands elsewhere, else the bundled one.

    >>> ui_url("http://127.0.0.1:4271/api")
    'http://127.0.0.1:4271/v2'
    """
    return os.environ.get("PREFECT_UI_URL", "").rstrip("/") or api_url.removesuffix("/api") + "/v2"


def prepare_client(context: Context, api_url: str) -> None:
    """Set what Prefect reads when it is imported: a silent console, and no folder in the user's home for our server."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    server = local_server(context)
    if api_url == server.api_url:
        os.environ.setdefault("PREFECT_HOME", str(server.folder))


def start(server: LocalServer) -> Started:
    """Start the server, detached from this terminal, and wait until it answers; do nothing when it already runs.

    Raises:
        ConfigurationError: When something else listens on the port, or the folder cannot be written.
        RunError: When the server ends at once or does not answer in time; nothing is left running.
    """
    began = time.monotonic()
    with server.locked():
        record = server.running()
        if record is not None:
            return _already_running(server, record, began)
        _check_port_is_free(server)
        process = _spawn(server)
        record = server.record(ProcessIdentity.of(process.pid))
        try:
            _wait_until_healthy(server, process, began)
        except BaseException:
            _end(record.process)
            process.wait()
            server.forget()
            raise
    seconds = time.monotonic() - began
    log.info("local_server started=true pid=%s port=%s seconds=%.1f", process.pid, server.port, seconds)
    _let_go(process)
    return Started(process.pid, is_new=True, seconds=seconds)


def stop(server: LocalServer) -> bool:
    """End the server that this project started, if it runs.

    Returns:
        True when it was running; False when there was nothing to end.
    """
    if not server.folder.is_dir():
        return False
    with server.locked():
        record = server.running()
        if record is not None:
            _end(record.process)
            log.info("local_server stopped=true pid=%s", record.process.pid)
        server.forget()
    return record is not None


def _already_running(server: LocalServer, record: ServerRecord, began: float) -> Started:
    if record.port != server.port:
        raise ConfigurationError(
            f"This project's server already runs on port {record.port}, and the settings say {server.port}.",
            "Run `sluice down` first, or set SLUICE_PREFECT_PORT back.",
        )
    if not is_healthy(server.api_url, timeout_seconds=5.0):
        raise RunError(
            f"The local server (pid {record.process.pid}) runs but does not answer on {server.api_url}.",
            f"Run `sluice down`, then `sluice up`. Its log is {server.log_file}.",
        )
    return Started(record.process.pid, is_new=False, seconds=time.monotonic() - began)


def _check_port_is_free(server: LocalServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, server.port))
        except OSError as error:
            other = "another Prefect server" if is_healthy(server.api_url, timeout_seconds=2.0) else "another program"
            raise ConfigurationError(
                f"Port {server.port} of {HOST} is taken by {other}, which this project did not start.",
                "Set SLUICE_PREFECT_PORT to a free port, or end that program. To report runs to that server instead, "
                f"set PREFECT_API_URL={server.api_url}.",
            ) from error


def _spawn(server: LocalServer) -> subprocess.Popen[bytes]:
    # The shell's PREFECT_* settings are for the configured server: its database must not become this one's.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environ = {
        **inherited,
        **_SERVER_SETTINGS,
        "PREFECT_HOME": str(server.folder),
        "PREFECT_API_URL": server.api_url,  # also what the UI in the browser calls
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(server.port)]
    with server.log_file.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and arguments)
            command,
            cwd=server.folder,  # a .env or prefect.toml of the current folder is not for this server
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # survives the terminal, and heads its own process group
        )


def _wait_until_healthy(server: LocalServer, process: subprocess.Popen[bytes], began: float) -> None:
    while not is_healthy(server.api_url, timeout_seconds=1.0):
        if process.poll() is not None:
            raise RunError(
                f"The local server ended with exit code {process.returncode} before it answered:\n{_log_tail(server)}",
                f"The whole log is {server.log_file}. `sluice doctor` checks the installation.",
            )
        if time.monotonic() - began > START_SECONDS:
            raise RunError(
                f"The local server did not answer within {START_SECONDS:.0f} seconds:\n{_log_tail(server)}",
                f"The whole log is {server.log_file}. Try again when the machine is less busy.",
            )
        time.sleep(_POLL_SECONDS)


def _log_tail(server: LocalServer) -> str:
    lines = server.log_file.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])


def _end(process: ProcessIdentity) -> None:
    """End a process and its children: TERM, then KILL for what is left after the wait."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal_group(process, number)
        deadline = time.monotonic() + STOP_SECONDS
        while process.is_alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    if process.is_alive():
        raise RunError(
            f"The local server (pid {process.pid}) does not end, not even when killed.",
            "The operating system holds it, usually for a disk or a network folder that does not answer.",
        )


def _signal_group(process: ProcessIdentity, number: signal.Signals) -> None:
    # The process heads its group since its start, so no other group can bear its number while a member lives.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Tell Python that this child is meant to outlive us, so that it does not warn about it."""
    process.returncode = 0
