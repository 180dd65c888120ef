"""A real PostgreSQL for tests: one per test run, also with xdist; a database of its own for each test that asks.

A folder that wants it says in its conftest.py: `from postgres_cluster import postgres_cluster, postgres_url`
(fixtures), and marks its tests `postgres`. Without the server programs these tests fail: they are not skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from filelock import FileLock
from psycopg import sql

SUPERUSER = "sluice"
STARTS = 5

# Tests may lose everything in a crash; waiting for the disk would only slow them down.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "jit": "off",
}


@dataclass(frozen=True)
class Cluster:
    """A running server.

    Attributes:
        folder: Its data, log and socket.
        port: On the loopback interface.
        password: Of the superuser `sluice`.
    """

    folder: str
    port: int
    password: str

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start the server, or join the one that another worker started; the last one to leave stops it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    lock = FileLock(shared / "postgres.lock")
    state = shared / "postgres.json"
    with lock:
        known = json.loads(state.read_text()) if state.exists() else None
        cluster = Cluster(**known["cluster"]) if known else start_cluster(SETTINGS)
        state.write_text(json.dumps({"cluster": asdict(cluster), "users": (known["users"] if known else 0) + 1}))
    try:
        yield cluster
    finally:
        with lock:
            users = json.loads(state.read_text())["users"] - 1
            if users:
                state.write_text(json.dumps({"cluster": asdict(cluster), "users": users}))
            else:
                state.unlink()
                stop_cluster(cluster)


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """Make an empty database, and drop it afterwards."""
    with database(postgres_cluster) as url:
        yield url


# Sorts text as people do, x before Y, which must make no difference.
LINGUISTIC = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"


@contextlib.contextmanager
def database(cluster: Cluster, options: LiteralString = "") -> Iterator[str]:
    """Make an empty database, and drop it afterwards, for fixtures that live longer than a test."""
    name = f"test_{secrets.token_hex(6)}"
    cluster.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), sql.SQL(options)))
    try:
        yield cluster.url(name)
    finally:
        cluster.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def server_program(name: str) -> str:
    """Find initdb or pg_ctl, the newest version first; fail the test when PostgreSQL is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = shutil.which(name) or next((str(folder / name) for folder in folders if (folder / name).exists()), None)
    if found is None:
        pytest.fail(f"PostgreSQL's {name} is not installed (apt-get install postgresql, brew install postgresql).")
    return found


def start_cluster(settings: Mapping[str, str]) -> Cluster:
    """Make a server in a new folder and start it; `stop_cluster` ends it and removes the folder."""
    user = _server_user()
    folder = Path(tempfile.mkdtemp(prefix="sluice-postgres-", dir="/tmp"))  # a socket's path must be short
    password = secrets.token_hex(16)
    password_file = folder / "password"
    password_file.write_text(password)
    if user is not None:
        for path in (folder, password_file):
            shutil.chown(path, user.pw_uid, user.pw_gid)
    try:
        arguments = ["-D", str(folder / "data"), "-U", SUPERUSER, "--pwfile", str(password_file)]
        collation = ["-E", "UTF8", "--locale=C", "-A", "scram-sha-256", "--no-sync"]
        _run([server_program("initdb"), *arguments, *collation], folder, user)
        return Cluster(str(folder), _start_server(folder, settings, user), password)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _start_server(folder: Path, settings: Mapping[str, str], user: pwd.struct_passwd | None) -> int:
    for attempt in range(STARTS):
        port = _free_port()
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        options += f" -c port={port} -c unix_socket_directories={folder}"
        command = [server_program("pg_ctl"), "start", "-w", "-D", str(folder / "data"), "-o", options]
        try:
            _run([*command, "-l", str(folder / "server.log")], folder, user)
        except subprocess.CalledProcessError:
            if attempt == STARTS - 1:  # somebody else may have taken the port in between
                raise
        else:
            return port
    raise AssertionError("unreachable")


def stop_cluster(cluster: Cluster) -> None:
    folder = Path(cluster.folder)
    command = [server_program("pg_ctl"), "stop", "-w", "-m", "immediate", "-D", str(folder / "data")]
    with contextlib.suppress(subprocess.CalledProcessError):
        _run(command, folder, _server_user())
    shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], folder: Path, user: pwd.struct_passwd | None) -> None:
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    subprocess.run(
        command,
        check=True,
        cwd=folder,
        env=environment,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )


def _server_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then somebody without rights runs it."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.fail("There is no user to run PostgreSQL as (postgres or nobody).")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
