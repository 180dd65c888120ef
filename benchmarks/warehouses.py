"""The warehouses that loads are measured on: copied before each run, and asked what they cost."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

sys.path.append(str(Path(__file__).parents[1]))

Execute = Callable[[str], list[tuple[Any, ...]]]
"""Runs one statement and returns its rows."""

_RUN = "run"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# As a production server writes its log, full pages included; nothing runs beside a measurement that no load asked for.
_POSTGRES_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "on",
    "wal_compression": "lz4",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "listen_addresses": "127.0.0.1",
}


class Warehouse(Protocol):
    """A warehouse with one database to run in, and copies of it by name. It goes to other processes as it stands."""

    @property
    def name(self) -> str:
        """The adapter's name, which is the dbt target's, too."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What the dbt profile is told."""

    def connected(self) -> Any:
        """Open the database to run in; yields an `Execute`, every statement a transaction unless it begins one."""

    def clear(self) -> None:
        """Make the database to run in empty."""

    def save(self, name: str) -> None:
        """Keep a copy of the database to run in."""

    def restore(self, name: str) -> None:
        """Put a copy in the place of the database to run in."""

    def cpu_seconds(self) -> float:
        """Seconds of processor that this process and the server, if there is one, have used."""


def settle(warehouse: Warehouse) -> None:
    """Bring a changed database to rest: rows packed, statistics taken, everything on disk."""
    statements = {"duckdb": ["checkpoint"], "postgres": ["vacuum analyze", "checkpoint"]}[warehouse.name]
    with warehouse.connected() as execute:
        for statement in statements:
            execute(statement)


@dataclass(frozen=True, slots=True)
class DuckDb:
    """Files in a folder."""

    folder: Path

    @property
    def name(self) -> str:
        """The adapter's name."""
        return "duckdb"

    @property
    def environ(self) -> Mapping[str, str]:
        """What the dbt profile is told."""
        return {"BENCHMARK_WAREHOUSE": self.name, "BENCHMARK_DUCKDB": str(self._file(_RUN))}

    @contextmanager
    def connected(self) -> Iterator[Execute]:
        """Open the file."""
        import duckdb

        with duckdb.connect(str(self._file(_RUN))) as connection:
            connection.execute("set enable_progress_bar = false")
            yield lambda statement: connection.execute(statement).fetchall()

    def clear(self) -> None:
        """Remove the file; the next connection makes a new one."""
        self._file(_RUN).unlink(missing_ok=True)

    def save(self, name: str) -> None:
        """Copy the file; it was closed, so that it has no write-ahead log."""
        shutil.copyfile(self._file(_RUN), self._file(name))

    def restore(self, name: str) -> None:
        """Copy a file back."""
        self.clear()
        shutil.copyfile(self._file(name), self._file(_RUN))

    def cpu_seconds(self) -> float:
        """DuckDB works in this process."""
        return _own_cpu_seconds()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.duckdb"


@dataclass(frozen=True, slots=True)
class Postgres:
    """Databases of a server that the benchmark started."""

    url: str
    postmaster: int

    @property
    def name(self) -> str:
        """The adapter's name."""
        return "postgres"

    @property
    def environ(self) -> Mapping[str, str]:
        """What the dbt profile is told."""
        from psycopg.conninfo import conninfo_to_dict

        parts = conninfo_to_dict(self.url)
        return {
            "BENCHMARK_WAREHOUSE": self.name,
            "BENCHMARK_PORT": str(parts["port"]),
            "BENCHMARK_USER": str(parts["user"]),
            "BENCHMARK_PASSWORD": str(parts["password"]),
        }

    @contextmanager
    def connected(self) -> Iterator[Execute]:
        """Connect to the database."""
        with self._connected(_RUN) as execute:
            yield execute

    def clear(self) -> None:
        """Create the database anew."""
        self._recreate(_RUN, "template0")

    def save(self, name: str) -> None:
        """Copy the database."""
        self._recreate(name, _RUN)

    def restore(self, name: str) -> None:
        """Copy a database back."""
        self._recreate(_RUN, name)
        with self._connected(_RUN) as execute:
            execute("checkpoint")

    def cpu_seconds(self) -> float:
        """This process, the server's processes and those that ended under it."""
        return _own_cpu_seconds() + _tree_cpu_seconds(self.postmaster)

    def _recreate(self, name: str, template: str) -> None:
        with self._connected("postgres") as execute:
            execute(f'drop database if exists "{name}" with (force)')
            execute(f'create database "{name}" template "{template}" strategy file_copy')

    @contextmanager
    def _connected(self, database: str) -> Iterator[Execute]:
        import psycopg

        with psycopg.connect(self.url, dbname=database, autocommit=True) as connection:

            def execute(statement: str) -> list[tuple[Any, ...]]:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

            yield execute


@contextmanager
def open_warehouse(name: str, folder: Path) -> Iterator[Warehouse]:
    """Prepare a warehouse by its adapter's name; PostgreSQL's server is started, and stopped afterwards."""
    if name == "duckdb":
        yield DuckDb(folder)
        return
    from tests.support.postgres_cluster import start_cluster, stop_cluster

    cluster = start_cluster(_POSTGRES_SETTINGS)
    try:
        postmaster = int((Path(cluster.folder) / "data" / "postmaster.pid").read_text().splitlines()[0])
        yield Postgres(cluster.url(), postmaster)
    finally:
        stop_cluster(cluster)


def peak_mib() -> float:
    """Return the largest resident memory that this process has had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _tree_cpu_seconds(postmaster: int) -> float:
    """Read /proc: the postmaster with the children it has buried, and its living children."""
    ticks = sum(_ticks(postmaster, ("user", "system", "buried_user", "buried_system")))
    for child in _children(postmaster):
        ticks += sum(_ticks(child, ("user", "system")))
    return ticks / _TICKS_PER_SECOND


def _children(parent: int) -> Sequence[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _ticks(pid: int, names: Sequence[str]) -> Sequence[int]:
    places = {"user": 11, "system": 12, "buried_user": 13, "buried_system": 14}  # counted after the program's name
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it ended meanwhile: its parent has buried it
        return ()
    return [int(fields[places[name]]) for name in names]
