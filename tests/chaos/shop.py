"""Six pipelines on schedules of a minute, and rows that land for them: a project that chaos happens to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import yaml

from flows.context import Context
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.live_server import free_port
from tests.support.project_copy import copy_project

HOLD = "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
"""Holds the warehouse until its input ends."""
LOAD_TYPES = ("append", "scd1", "scd2")
COLUMNS = {
    "append": "id, k, v, landed_at",
    "scd1": "k, id, v, landed_at",
    "scd2": "k, id, v, landed_at, valid_from, valid_to",
}
KEYS = 50
ROWS_A_FILE = 200


@dataclass
class Shop:
    """The project on disk.

    Attributes:
        root: Its folder.
        port: Of the Prefect server.
        channel: Address that alerts are sent to.
        pipelines: Number of pipelines.
        extra: Further environment variables of every process.
    """

    root: Path
    port: int
    channel: str
    pipelines: int = 6
    extra: Mapping[str, str] = field(default_factory=dict)
    landed: dict[int, int] = field(default_factory=dict)

    def write(self, schedule: str) -> None:
        """Write the project's files, with a first file in each source."""
        copy_project(
            self.root,
            {
                f"t{number}": f"select e.id, e.k, e.v, e.landed_at from lake.s{number} as e"
                for number in range(self.pipelines)
            },
        )
        for number in range(self.pipelines):
            self.land(number, Random(number))
        (self.root / "dbt_project" / "control" / "rows.yml").write_text(
            yaml.safe_dump(_rows(schedule, range(self.pipelines)))
        )

    def land(self, number: int, draw: Random) -> None:
        """Let a file land as lakes do: under a hidden name first, then renamed."""
        place = self.landed.get(number, 0)
        folder = self.root / "lake" / f"s{number}"
        folder.mkdir(parents=True, exist_ok=True)
        first = place * ROWS_A_FILE
        select = f"""select i as id, 'k' || (hash(i + {draw.randrange(1000)}) % {KEYS}) as k,
            cast(hash(i) % 9 as integer) as v,
            timestamp '2024-01-01' + to_seconds(i) as landed_at from range({first}, {first + ROWS_A_FILE}) as t (i)"""
        with duckdb.connect() as connection:
            connection.execute(f"copy ({select}) to '{folder}/.{place}' (format parquet)")
        (folder / f".{place}").rename(folder / f"{place}.parquet")
        self.landed[number] = place + 1

    def sluice(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command of Sluice in a process of its own."""
        command = [sys.executable, "-m", "flows.cli", *arguments]
        return subprocess.run(command, env=self.environ, text=True, capture_output=True, timeout=seconds, check=False)

    @contextmanager
    def held_warehouse(self, environment: str = "dev") -> Iterator[None]:
        """Let another process hold the warehouse of an environment."""
        command = [sys.executable, "-c", HOLD, str(self.root / ".sluice" / f"{environment}.duckdb")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield
            process.communicate("")

    @property
    def environ(self) -> dict[str, str]:
        """The environment of everything that runs for the project."""
        return {
            **os.environ,
            "SLUICE_PROJECT_ROOT": str(self.root),
            "SLUICE_PREFECT_PORT": str(self.port),
            "SLUICE_ALERT_CHANNEL": "data-ops",
            "SLUICE_CHANNEL_DATA_OPS": self.channel,
            "DO_NOT_TRACK": "1",
            **self.extra,
        }

    @property
    def context(self) -> Context:
        """The project as Sluice's code sees it."""
        return Context(Project(self.root), Settings(prefect_port=self.port), who="chaos")

    def undisturbed(self, root: Path) -> Shop:
        """Return a copy that has loaded everything at once, and to which nothing ever happened."""
        other = Shop(root, free_port(), self.channel, self.pipelines, landed=dict(self.landed))
        shutil.copytree(
            self.root, root, ignore=shutil.ignore_patterns(".sluice", "generated", "target", "logs"), symlinks=True
        )
        for command in (("control", "apply", "--yes"), ("run",)):
            done = other.sluice(*command)
            if done.returncode:
                raise RuntimeError(
                    f"sluice {' '.join(command)} failed on the undisturbed copy:\n{done.stdout}{done.stderr}"
                )
        return other

    def rows(self, number: int) -> list[tuple[Any, ...]]:
        """Return what a target holds, in order."""
        load_type = LOAD_TYPES[number % len(LOAD_TYPES)]
        with duckdb.connect(str(self.root / ".sluice" / "dev.duckdb"), read_only=True) as connection:
            return connection.execute(f"select {COLUMNS[load_type]} from dwh.t{number} order by all").fetchall()


def _rows(schedule: str, numbers: range) -> dict[str, list[dict[str, Any]]]:
    lake = {"schema": "lake", "kind": "lake", "format": "parquet", "incremental_key": "landed_at"}
    return {
        "sources": [{**lake, "table": f"s{number}", "location": f"lake/s{number}"} for number in numbers],
        "pipelines": [
            {
                "pipeline_id": f"p{number}",
                "pipeline_name": f"p{number}",
                "template": "lake_to_warehouse",
                "schedule": schedule,
            }
            for number in numbers
        ],
        "transformations": [_transformation(number) for number in numbers],
    }


def _transformation(number: int) -> dict[str, Any]:
    load_type = LOAD_TYPES[number % len(LOAD_TYPES)]
    keys: dict[str, Any] = {"business_key": ["id"]}
    if load_type != "append":
        keys = {"business_key": ["k"], "sequence_by": ["landed_at", "id"]}
    if load_type == "scd2":
        keys |= {"scd_columns": ["v"]}
    return {
        "target_schema": "dwh",
        "target_table": f"t{number}",
        "pipeline_id": f"p{number}",
        "sql_path": f"transformations/t{number}.sql",
        "load_type": load_type,
        "dependencies": [{"table": f"lake.s{number}", "driving": True}],
        **keys,
    }
