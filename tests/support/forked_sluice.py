"""`sluice` in a process of its own, forked from one that has imported dbt and read the macros: a start takes no time.

A fresh interpreter imports dbt for four seconds and parses the macros for two. The process that forks is started
once for each test process; `python -m tests.support.forked_sluice FD` is that process. What it forks is a process as
any other: it has its own session, environment, folder and pipes, and it can be stopped and killed.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).parents[2]
MESSAGE_BYTES = 1 << 20
RUN_SECONDS = 240.0
# What `sluice run` imports. Prefect reads the environment when it is imported: no fork may inherit it.
MODULES = ("flows.cli.run", "flows.engine.engine", "dbt.cli.main", "dbt.task.build", "dbt.adapters.duckdb")
FORBIDDEN = "prefect"
KILL_BEFORE = "KILL_BEFORE_STATEMENT"
"""The variable that names the statement, from 1, before which a fork kills itself."""


class ForkedProcess:
    """A running command, with what tests use of `subprocess.Popen[str]`."""

    def __init__(self, forks: Forks, pid: int, stdout: TextIOWrapper, stderr: TextIOWrapper) -> None:
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self._forks = forks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.wait()

    @property
    def returncode(self) -> int | None:
        return self._forks.ended.get(self.pid)

    def poll(self) -> int | None:
        self._forks.hear(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("sluice", timeout or 0)
            self._forks.hear(0.05)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what it writes until it ends."""
        texts: dict[str, str] = {}
        readers = [
            threading.Thread(target=lambda name=name: texts.update({name: getattr(self, name).read()}), daemon=True)
            for name in ("stdout", "stderr")
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():  # a process that it started holds the pipe
                raise subprocess.TimeoutExpired("sluice", timeout or 0)
        self.stdout.close()
        self.stderr.close()
        return texts["stdout"], texts["stderr"]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Forks:
    """The process that forks, as tests see it."""

    def __init__(self) -> None:
        self.ended: dict[int, int] = {}
        self._started: list[int] = []
        self._lock = threading.RLock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked_sluice", str(theirs.fileno())],
            cwd=REPOSITORY,
            # forks that are killed tell nobody what they held
            env={**environment, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore:resource_tracker"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        atexit.register(self.close)

    def start(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> ForkedProcess:
        """Fork a process that runs `sluice …`."""
        order = {"arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment)}
        pipes = [os.pipe(), os.pipe()]
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(order).encode()], [writing for _, writing in pipes])
            while not self._started:
                self.hear(None)
            pid = self._started.pop()
        for _, writing in pipes:
            os.close(writing)
        out, err = (TextIOWrapper(os.fdopen(reading, "rb"), encoding="utf-8") for reading, _ in pipes)
        return ForkedProcess(self, pid, out, err)

    def hear(self, seconds: float | None) -> None:
        """Take note of what started and ended, waiting so long for news."""
        with self._lock:
            while select.select([self._socket], [], [], seconds)[0]:
                news = self._socket.recv(MESSAGE_BYTES)
                assert news, "the process that forks has ended: see its message above"
                message = json.loads(news)
                if "started" in message:
                    self._started.append(message["started"])
                    self.ended.pop(message["started"], None)
                else:
                    self.ended[message["ended"]] = message["code"]
                seconds = 0

    def close(self) -> None:
        """Let the process end."""
        self._socket.close()
        self._process.wait()


@cache
def forks() -> Forks:
    """The process that forks for this one; it is started with the first command."""
    return Forks()


def start_sluice(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> ForkedProcess:
    """Start `sluice …` in a process of its own."""
    return forks().start(arguments, cwd, environment)


def run_sluice(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `sluice …` to its end in a process of its own, in the folder that the test stands in."""
    process = start_sluice(arguments, Path.cwd(), environment)
    out, err = process.communicate(RUN_SECONDS)
    return subprocess.CompletedProcess(["sluice", *arguments], process.wait(), out, err)


def serve(orders: socket.socket) -> list[str]:
    """Fork a process for each order until there are no more; return the arguments in each fork."""
    woken, waking = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waking, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking)
    while True:
        ready = select.select([orders, woken], [], [])[0]
        if woken in ready:
            os.read(woken, MESSAGE_BYTES)
            _tell_who_ended(orders)
        if orders in ready:
            text, fds, _, _ = socket.recv_fds(orders, MESSAGE_BYTES, 2)
            if not text:
                os._exit(0)
            child = os.fork()
            if not child:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for fd in (orders.detach(), woken, waking):
                    os.close(fd)
                return _become(json.loads(text), fds)
            orders.send(json.dumps({"started": child}).encode())
            for fd in fds:
                os.close(fd)


def _tell_who_ended(orders: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(ended[1])
            orders.send(json.dumps({"ended": ended[0], "code": code}).encode())


def _become(order: Mapping[str, Any], fds: Sequence[int]) -> list[str]:
    """Make this process what was ordered."""
    os.setsid()
    for fd, number in zip(fds, (1, 2), strict=True):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    return list(order["arguments"])


def _warm_up() -> None:
    """Import what commands import, and let dbt read the macros: its caches are those of every fork."""
    from tests.support.dbt_project import parse_project
    from tests.support.project_copy import copy_project
    from tests.support.quicker_dbt import hurry_dbt

    hurry_dbt()
    for module in MODULES:
        import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder), {})
        parse_project(Path(folder) / "dbt_project", Path(folder))
    from dbt.adapters import factory

    adapters: Any = factory
    adapters.reset_adapters()
    assert FORBIDDEN not in sys.modules
    assert threading.active_count() == 1, "a fork has one thread"
    gc.freeze()


def _main() -> None:
    """Run the command, and end as the interpreter does, except that nothing is taken apart: that takes a second."""
    from flows.cli import main
    from tests.support.forked_dbt import Order, kill_before

    number = int(os.environ.pop(KILL_BEFORE, "0"))
    if number:
        kill_before(Order([], stop_before=number))
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        python: Any = threading
        python._shutdown()
        python = atexit
        python._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


if __name__ == "__main__":
    _warm_up()
    sys.argv = ["sluice", *serve(socket.socket(fileno=int(sys.argv[1])))]
    _main()
