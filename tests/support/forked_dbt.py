"""dbt in processes that may die or race: one process parses the project, then forks one for each run that is ordered.

A fork costs what its run costs; a dbt of its own would start for seconds. Runs that nothing happens to stay in the
one process, which then has rendered what its forks render again. `python -m tests.support.forked_dbt FOLDER`
is the process that forks: a line of orders in, a line of outcomes out.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.support.dbt_project import QUIET, DbtProject, parse_project, run_dbt

ROOT = Path(__file__).parents[2]
WRITE = "__head"
WAIT_SECONDS = 60.0
# Reads, and writes to tables of the session.
HARMLESS = re.compile(
    r"\s*(/\*.*?\*/)?\s*(select|with|show|create temporary|drop table if exists sluice_|delete from sluice_)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Order:
    """A run of dbt.

    Attributes:
        arguments: Of `dbt run`.
        stop_before: Number of the statement, from 1, before which the run is stopped; 0: never.
        only_writes: Whether only statements count that change what outlives the session: commits among them.
        is_forked: Whether a process of its own runs it.
        how: `kill` the client with SIGKILL, or `terminate` its session in the server.
        env: Environment variables.
    """

    arguments: Sequence[str]
    stop_before: int = 0
    only_writes: bool = False
    is_forked: bool = True
    how: str = "kill"
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of an order.

    Attributes:
        was_stopped: Whether the run came to the statement at which it was to be stopped.
        success: dbt's verdict; false for a process that died.
        messages: Node name → message.
        failures: What stopped nodes, or dbt before any of them.
    """

    was_stopped: bool
    success: bool = False
    messages: Mapping[str, str] = field(default_factory=dict)
    failures: Sequence[str] = ()


class ForkedDbt:
    """The process that forks, as a test sees it. The project stays as it is while this is open."""

    def __init__(self, project: DbtProject) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked_dbt", str(project.root)],
            cwd=ROOT,
            # children that are killed tell nobody what they held
            env={**os.environ, "PYTHONWARNINGS": "ignore:resource_tracker"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *orders: Order) -> list[Outcome]:
        """Run one order, or several at once that wait for each other before their write."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(order) for order in orders]) + "\n")
        self._process.stdin.flush()
        return [Outcome(**outcome) for outcome in json.loads(self._process.stdout.readline())]

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate(timeout=WAIT_SECONDS)


@contextmanager
def forked_dbt(project: DbtProject) -> Iterator[ForkedDbt]:
    """Open a process that forks for a project."""
    server = ForkedDbt(project)
    try:
        yield server
    finally:
        server.close()


class Watch:
    """Counts the statements that dbt sends, stops it before one of them, and lets writers begin together."""

    def __init__(self, order: Order, meeting: Any) -> None:
        self.order = order
        self.was_stopped = False
        self._meeting = meeting
        self._count = 0
        self._lock = threading.Lock()

    def before(self, manager: Any, sql: str) -> None:
        """Take note of a statement that is about to be sent."""
        with self._lock:
            is_counted = not self.order.only_writes or not HARMLESS.match(sql)
            self._count += is_counted
            stops = is_counted and self._count == self.order.stop_before
        if stops:
            self.was_stopped = True
            if self.order.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            _terminate(manager)
        if self._meeting is not None and WRITE in sql and sql.lstrip().startswith("update"):
            meeting, self._meeting = self._meeting, None
            with suppress(threading.BrokenBarrierError):  # somebody ended before they came to write
                meeting.wait(WAIT_SECONDS)


def _terminate(manager: Any) -> None:
    """End the session of dbt's thread in the server, and wait until it is gone."""
    import psycopg

    handle = manager.get_thread_connection().handle
    parameters = handle.get_dsn_parameters()
    password = manager.get_thread_connection().credentials.password
    place = {name: parameters[name] for name in ("host", "port", "user", "dbname")}
    with psycopg.connect(**place, password=password, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(%s, 10000)", [handle.get_backend_pid()])


def _install(watch: Watch) -> None:
    from dbt.adapters.sql.connections import SQLConnectionManager

    add_query = SQLConnectionManager.add_query

    def watched(self: Any, sql: str, *arguments: Any, **settings: Any) -> Any:
        watch.before(self, sql)
        return add_query(self, sql, *arguments, **settings)

    SQLConnectionManager.add_query = watched  # type: ignore[method-assign]


def kill_before(order: Order) -> None:
    """Let this process kill itself before the statement of dbt that an order names."""
    _install(Watch(order, None))


def _run(root: Path, manifest: object, order: Order, meeting: Any = None) -> Outcome:
    watch = Watch(order, meeting)
    if order.is_forked:
        _install(watch)
    result = run_dbt(root, [*QUIET, "run", *order.arguments], order.env, manifest)
    if meeting is not None:
        meeting.abort()
    failures = [result.messages[name] for name, status in result.statuses.items() if status in ("error", "fail")]
    failures += [result.error] if result.error else []
    return Outcome(watch.was_stopped, result.success, result.messages, failures)


def _run_here(root: Path, manifest: object, order: Order) -> Outcome:
    outcome = _run(root, manifest, order)
    close_warehouses()
    return outcome


def close_warehouses() -> None:
    """Close the DuckDB files that dbt holds open in this process against all others."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def _fork(root: Path, manifest: object, order: Order, meeting: Any) -> tuple[int, int]:
    """Start a run: its process and the end of the pipe on which it answers."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        outcome = _run(root, manifest, order, meeting)
        os.write(writing, json.dumps(asdict(outcome)).encode())
        status = 0
    finally:
        os._exit(status)


def _finish(child: int, reading: int) -> Outcome:
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Outcome(was_stopped=True)
    assert answer, "a run ended without an answer: see its message above"
    return Outcome(**json.loads(answer))


def serve(root: Path) -> None:
    """Answer orders until there are no more."""
    manifest = parse_project(root)
    for line in sys.stdin:
        orders = [Order(**order) for order in json.loads(line)]
        meeting = multiprocessing.get_context("fork").Barrier(len(orders)) if len(orders) > 1 else None
        if orders[0].is_forked:
            runs = [_fork(root, manifest, order, meeting) for order in orders]
            outcomes = [_finish(*run) for run in runs]
        else:
            outcomes = [_run_here(root, manifest, order) for order in orders]
        sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
