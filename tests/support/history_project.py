"""A project whose sources hold a history, and every target twice: loaded by chunks, and by one large load."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
import yaml

from flows.backfill.first_loads import ContinuedLoad, continue_first_loads
from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.run.model import RunPlan, RunRequest, RunSummary
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.project_copy import copy_project

BEGIN = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
HOURS = 300
BUDGET = 130

SELECTS = {
    "current": "select e.id, e.k, e.v, e.happened_at, e.is_gone, e.landed_at from shop.events as e",
    "history": "select e.id, e.k, e.v, e.happened_at, e.is_gone, e.landed_at from shop.events as e",
    "keyed": "select e.id, e.k, e.v, e.landed_at from shop.events as e",
    "keyless": "select e.k, e.v, e.landed_at from shop.events as e",
    "joined": (
        "select e.k, count(*) as row_count, sum(e.v) as total, sum(p.amount) as paid from shop.events as e\n"
        "left join shop.payments as p on p.k = e.k group by e.k"
    ),
    "looked_up": (
        "select e.id, e.v, e.landed_at, p.paid from shop.events as e\n"
        "join (select k, sum(amount) as paid from shop.payments group by k) as p on p.k = e.k"
    ),
    "read_whole": "select e.k, max(e.v) as v from shop.events as e group by e.k",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "current": {"load_type": "scd1", "business_key": ["k"], "delete_when": "is_gone"},
    "history": {"load_type": "scd2", "business_key": ["k"], "delete_when": "is_gone", "scd_columns": ["v"]},
    "keyed": {"load_type": "append", "business_key": ["id"]},
    "keyless": {"load_type": "append"},
    "joined": {"load_type": "scd1", "increment": "groups", "business_key": ["k"]},
    "looked_up": {"load_type": "scd1", "business_key": ["id"]},
    "read_whole": {"load_type": "scd1", "increment": "full", "business_key": ["k"]},
}
TABLES = tuple(name for name in SELECTS if name != "read_whole")
"""Those whose first load can be cut."""


def control_rows(tables: Sequence[str], **values: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a project that loads these tables twice: as `cut.TABLE` and as `whole.TABLE`."""
    source = {"schema": "shop", "kind": "warehouse", "incremental_key": "landed_at"}
    return {
        "sources": [{**source, "table": table, "lookback_minutes": 120} for table in ("events", "payments")],
        "pipelines": [
            {"pipeline_id": name, "pipeline_name": name, "template": "presentation"} for name in ("cut", "whole")
        ],
        "transformations": [
            {
                "target_schema": schema,
                "target_table": table,
                "pipeline_id": schema,
                "sql_path": f"transformations/{table}.sql",
                "dependencies": _dependencies(table),
                **({"sequence_by": ["happened_at", "id"]} if table in {"current", "history"} else {}),
                **SETTINGS[table],
                **values,
            }
            for schema in ("cut", "whole")
            for table in tables
        ],
    }


def _dependencies(table: str) -> list[dict[str, Any]]:
    if table == "looked_up":
        lookup = {"table": "shop.payments", "driving": False, "on_change": "restate", "may_drop": True}
        return [{"table": "shop.events", "driving": True}, lookup]
    if table != "joined":
        return [{"table": "shop.events", "driving": True}]
    return [{"table": f"shop.{name}", "driving": True, "recompute_by": ["k"]} for name in ("events", "payments")]


class Warehouse(Protocol):
    """Writes and reads a warehouse behind Sluice's back."""

    @property
    def prefix(self) -> str:
        """What stands before the names of schemas."""

    def execute(self, *statements: str) -> None:
        """Run statements."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of one statement."""


@dataclass(frozen=True)
class DuckDbFile:
    """The embedded warehouse."""

    path: Path
    prefix: str = ""

    def execute(self, *statements: str) -> None:
        self.path.parent.mkdir(exist_ok=True)
        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@dataclass(frozen=True)
class PostgresDatabase:
    """A database of a server."""

    url: str
    prefix: str = "postgres_"

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql).fetchall()


class HistoryProject:
    """The project, its sources, and what tests do with both."""

    def __init__(self, root: Path, warehouse: Warehouse, settings: Settings, tables: Sequence[str] = TABLES) -> None:
        self.root = root
        self.warehouse = warehouse
        self.tables = tables
        self.settings = settings
        self.random = random.Random(7)
        self.contexts: list[Context] = []
        self.sentences: list[str] = []
        self._next_id = 0

    def create(self, **values: Any) -> None:
        copy_project(self.root, {name: SELECTS[name] for name in self.tables})
        self.warehouse.execute(
            "create schema shop",
            "create table shop.events (id bigint, k integer, v integer, happened_at timestamp, is_gone boolean, "
            "landed_at timestamp)",
            "create table shop.payments (k integer, amount integer, landed_at timestamp)",
        )
        self.land(240, 0, HOURS)
        self.apply(**values)

    def apply(self, **values: Any) -> None:
        """Apply the rows, with these values on each transformation."""
        path = self.root / "dbt_project" / "control" / "rows.yml"
        path.write_text(yaml.safe_dump(control_rows(self.tables, **values)))
        change_context = self.change_context()
        apply_plan(change_context, plan_files(change_context))

    def change_context(self) -> ChangeContext:
        context = self.context()
        return ChangeContext(context.project, context.store, context.columns, "tester")

    def context(self, **settings: Any) -> Context:
        """Open the project; another process would do the same."""
        context = Context(Project(self.root), self.settings.model_copy(update=settings), who="tester")
        self.contexts.append(context)
        return context

    def close(self) -> None:
        for context in self.contexts:
            context.store.close()

    def land(self, count: int, first_hour: int, last_hour: int) -> None:
        """Let events and payments land between two hours of the history; ties, old events and deletes among them."""
        events, payments = [], []
        for _ in range(count):
            landed = BEGIN + timedelta(hours=self.random.randint(first_hour, last_hour))
            happened = landed - timedelta(hours=self.random.choice((0, 0, 1, 50)))
            self._next_id += 1
            gone = "true" if self.random.random() < 0.1 else "false"
            key, value = self.random.randint(1, 25), self.random.randint(1, 3)
            events.append(f"({self._next_id}, {key}, {value}, '{happened}', {gone}, '{landed}')")
            payments.append(f"({key}, {value}, '{landed}')")
        self.warehouse.execute(
            f"insert into shop.events values {', '.join(events)}",
            f"insert into shop.payments values {', '.join(payments[: max(1, count // 2)])}",
        )

    def plan(self, pipeline: str, **settings: Any) -> tuple[Context, RunPlan]:
        context = self.context(**settings)
        return context, prepare(context, RunRequest((pipeline,), requested_by="tester"))

    def run(self, pipeline: str, **settings: Any) -> tuple[Context, RunPlan, RunSummary]:
        context, plan = self.plan(pipeline, **settings)
        summary = execute(context, plan)
        assert not summary.has_failed, [(outcome.target, outcome.error) for outcome in summary.outcomes]
        return context, plan, summary

    def load_whole(self) -> None:
        """Load what is new into the targets of `whole`, at once."""
        self.run("whole", first_load_rows=0)

    def load_cut(
        self,
        say: Callable[[str], None] | None = None,
        *,
        until: datetime | None = None,
        sleep: Callable[[float], None] = time.sleep,
        **settings: Any,
    ) -> tuple[ContinuedLoad, ...]:
        """Load what is new into the targets of `cut`, by chunks where they never were loaded."""
        context, plan, summary = self.run("cut", **settings)
        return continue_first_loads(context, plan, summary, say or self.sentences.append, until=until, sleep=sleep)

    def rows(self, schema: str, table: str) -> list[tuple[Any, ...]]:
        """Return a target's rows without the columns that say which load wrote them."""
        prefix = self.warehouse.prefix
        columns = [
            name
            for (name,) in self.warehouse.query(
                "select column_name from information_schema.columns "
                f"where table_schema = '{prefix}{schema}' and table_name = '{table}' order by ordinal_position"
            )
            if not name.startswith("_sluice_")
        ]
        listed = ", ".join(columns)
        return self.warehouse.query(f"select {listed} from {prefix}{schema}.{table} order by {listed}")

    def assert_equal(self) -> None:
        """Both pipelines hold the same rows."""
        for table in self.tables:
            assert self.rows("cut", table) == self.rows("whole", table), table

    def watermarks(self, schema: str) -> dict[tuple[str, str], str]:
        log = f"{self.warehouse.prefix}sluice.watermark_control"
        found = self.warehouse.query(f"select target, source, window_end from {log} where target like '{schema}.%'")
        return {(target.partition(".")[2], source): end for target, source, end in found}
