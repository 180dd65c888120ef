"""A project as a user clones it, per test, and the `sluice` command run on it as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from flows.demo.landing import REFERENCE_TABLES
from tests.support.forked_sluice import ForkedProcess, start_sluice

SLUICE = Path(sys.executable).with_name("sluice")
COMMAND_SECONDS = 180
TARGETS = ("dwh.fact_flight", "dwh.dim_airport", "dwh.dim_aircraft", "mart.route_daily")
UNUSED_PORT = 4279
"""No server listens there: these tests are about the engine, and run without Prefect."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A project of its own, below a temporary folder."""

    root: Path

    @property
    def warehouse(self) -> Path:
        return self.root / ".sluice" / "dev.duckdb"

    @property
    def lake(self) -> Path:
        return self.root / ".sluice" / "lake"

    @property
    def write_seconds_file(self) -> Path:
        """Holds how long the undisturbed second run took from its first write to its end."""
        return self.root / ".sluice" / "write_seconds"

    def start(self, *arguments: str) -> ForkedProcess:
        """Start `sluice …` in a process group of its own."""
        environment = self._environment() | {"SLUICE_PREFECT_PORT": str(UNUSED_PORT)}
        return start_sluice(arguments, self.root, environment)

    def must_as_installed(self, *arguments: str) -> Done:
        """Run the installed program `sluice …` itself, and fail the test when it fails."""
        return _succeeded(arguments, finish(self.start_program(str(SLUICE), *arguments)))

    def start_program(self, *command: str, prefect_port: int = UNUSED_PORT) -> subprocess.Popen[str]:
        """Start a program of this environment in the project's folder, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self._environment() | {"SLUICE_PREFECT_PORT": str(prefect_port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def sluice(self, *arguments: str) -> Done:
        """Run `sluice …` to its end."""
        return finish(self.start(*arguments))

    def must(self, *arguments: str) -> Done:
        """Run `sluice …` and fail the test when it fails."""
        return _succeeded(arguments, self.sluice(*arguments))

    def start_run_and_await_write(self) -> ForkedProcess:
        """Start `sluice run` and return when it first writes to the warehouse, or ends."""
        before = self._written()
        process = self.start("run")
        while process.poll() is None and self._written() == before:
            time.sleep(0.01)
        return process

    def _written(self) -> list[tuple[int, int]]:
        files = (self.warehouse, self.warehouse.with_name("dev.duckdb.wal"))
        return [(status.st_size, status.st_mtime_ns) for status in (file.stat() for file in files if file.exists())]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse, read-only."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def content(self, table: str) -> list[tuple[Any, ...]]:
        """All rows of a target, in one order, without the columns that tell which load wrote them."""
        return self.query(f"select columns(lambda name: not starts_with(name, '_sluice_')) from {table} order by all")

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the demo's four targets."""
        return {table: self.content(table) for table in TARGETS}

    def land(self, lake: Path, first: date, last: date) -> None:
        """Let the days from first to last land: copy their files from a lake that holds them all."""
        for table in REFERENCE_TABLES:
            shutil.copytree(lake / table, self.lake / table, dirs_exist_ok=True)
        for table in ("flights", "weather"):
            (self.lake / table).mkdir(parents=True, exist_ok=True)
            for file in sorted((lake / table).glob("*.parquet"))[first.day - 1 : last.day]:
                shutil.copy2(file, self.lake / table)

    def copy(self, root: Path) -> Workspace:
        """Return a copy of the whole project; a run of it syncs first, since sources hold the lake's absolute path."""
        shutil.copytree(self.root, root)
        return Workspace(root)

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PREFECT_", "DBT_"))
        }
        return {
            **inherited,
            "DO_NOT_TRACK": "1",
            "SLUICE_PROJECT_ROOT": str(self.root),
            "COLUMNS": "200",
        }


def _succeeded(arguments: Sequence[str], done: Done) -> Done:
    assert done.code == 0, f"sluice {' '.join(arguments)} ended with {done.code}\n{done.out}\n{done.err}"
    return done


def finish(process: subprocess.Popen[str] | ForkedProcess) -> Done:
    """Wait for a command; kill it and everything it started when it takes too long."""
    try:
        out, err = process.communicate(timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Done(process.wait(), out, err)


def assert_same(found: dict[str, list[tuple[Any, ...]]], expected: dict[str, list[tuple[Any, ...]]]) -> None:
    """Compare the contents of two projects' targets, and show a few rows of each difference only."""
    differences = {}
    for table in found.keys() | expected.keys():
        more, fewer = Counter(found[table]), Counter(expected[table])
        if more != fewer:
            differences[table] = {"more": list(more - fewer)[:3], "fewer": list(fewer - more)[:3]}
    assert differences == {}


def assert_no_traceback(text: str) -> None:
    assert "Traceback" not in text
