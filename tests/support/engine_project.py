"""A small project with every kind of source: keyed with a lookback, without a key, and another target."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import yaml

from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.gate.facts import Decision
from flows.run.model import Retry, RunPlan, RunRequest, RunSummary, SparkMove, TargetOutcome, Wave
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.settings import Settings
from tests.support.forked_sluice import ForkedProcess, start_sluice
from tests.support.project_copy import REPOSITORY, copy_project

__all__ = ["REPOSITORY", "FirstRun", "Recorder", "Workshop", "control_rows", "copy_project", "transformation"]

SELECTS = {
    "fact_order": "select o.order_id, o.customer, o.region, o.amount, o.landed_at from lake.orders as o",
    "customer": "select o.customer, o.region, o.landed_at from lake.orders as o",
    "dim_region": "select r.region, r.label from lake.regions as r",
    "region_total": (
        "select f.region, count(*) as order_count, sum(f.amount) as amount from dwh.fact_order as f group by f.region"
    ),
}

TOTALS_BY_HAND = (
    "select region, count(*), sum(amount) from read_parquet('{lake}/orders/*.parquet') group by region order by region"
)


def transformation(schema: str, table: str, pipeline_id: str, source: str, **values: Any) -> dict[str, Any]:
    return {
        "target_schema": schema,
        "target_table": table,
        "pipeline_id": pipeline_id,
        "sql_path": f"transformations/{table}.sql",
        "dependencies": [{"table": source, "driving": True}],
        **values,
    }


def server_rows(reads: str, **history: Any) -> dict[str, list[dict[str, Any]]]:
    """Rows of a project whose warehouse is a server: an append, a history, a table by groups and a materialized view.

    Args:
        reads: What the last two read.
        history: Further settings of the history.
    """
    return {
        "sources": [{"schema": "shop", "table": "orders", "kind": "warehouse", "incremental_key": "landed_at"}],
        "pipelines": [
            {"pipeline_id": "orders", "pipeline_name": "Orders", "template": "presentation"},
            {"pipeline_id": "views", "pipeline_name": "Views", "template": "materialized_view"},
        ],
        "transformations": [
            transformation("dwh", "fact_order", "orders", "shop.orders", load_type="append", business_key=["order_id"]),
            transformation(
                *("dwh", "dim_region", "orders", "shop.orders"),
                load_type="scd2",
                business_key=["region"],
                sequence_by=["landed_at"],
                **history,
            ),
            {
                **transformation("mart", "region_total", "orders", reads),
                "load_type": "scd1",
                "increment": "groups",
                "business_key": ["region"],
                "dependencies": [{"table": reads, "driving": True, "recompute_by": ["region"]}],
            },
            transformation(
                *("mart", "order_count", "views", reads),
                load_type="scd1",
                increment="full",
                business_key=["region"],
            ),
        ],
    }


def control_rows() -> dict[str, list[dict[str, Any]]]:
    lake = {"schema": "lake", "kind": "lake", "format": "parquet"}
    return {
        "sources": [
            {
                **lake,
                "table": "orders",
                "location": "lake/orders",
                "incremental_key": "landed_at",
                "lookback_minutes": 60,
            },
            {**lake, "table": "regions", "location": "lake/regions"},
        ],
        "pipelines": [
            {"pipeline_id": "orders", "pipeline_name": "Orders", "template": "lake_to_warehouse"},
            {"pipeline_id": "totals", "pipeline_name": "Totals", "template": "presentation"},
        ],
        "transformations": [
            transformation("dwh", "fact_order", "orders", "lake.orders", load_type="append", business_key=["order_id"]),
            transformation(
                *("dwh", "customer", "orders", "lake.orders"),
                load_type="scd2",
                business_key=["customer"],
                sequence_by=["landed_at"],
                scd_columns=["region"],
            ),
            transformation(
                *("dwh", "dim_region", "orders", "lake.regions"),
                load_type="scd1",
                increment="full",
                business_key=["region"],
            ),
            {
                **transformation("mart", "region_total", "totals", "dwh.fact_order"),
                "load_type": "scd1",
                "increment": "groups",
                "business_key": ["region"],
                "dependencies": [{"table": "dwh.fact_order", "driving": True, "recompute_by": ["region"]}],
                "column_list": [
                    # a test that touches a target of an earlier wave
                    {
                        "name": "region",
                        "type": "varchar",
                        "tests": [{"relationships": {"to": "dwh.dim_region", "field": "region"}}],
                    },
                    {"name": "order_count", "type": "bigint"},
                    {"name": "amount", "type": "decimal(38,2)"},
                ],
            },
        ],
    }


@dataclass
class Recorder:
    """A run observer that keeps what it is told."""

    decisions: list[Decision] = field(default_factory=list)
    waves: list[Wave] = field(default_factory=list)
    outcomes: list[TargetOutcome] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    summary: RunSummary | None = None
    dbt_callbacks: list[Callable[[Any], None]] = field(default_factory=list)

    def decided(self, decisions: Sequence[Decision]) -> None:
        self.decisions += decisions

    def wave_started(self, wave: Wave) -> None:
        self.waves.append(wave)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def spark_changed(self, move: SparkMove) -> None:
        pass

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        self.outcomes += outcomes

    def retrying(self, retries: Sequence[Retry]) -> None:
        self.retries += retries

    def finished(self, summary: RunSummary) -> None:
        self.summary = summary


@dataclass
class Workshop:
    """The project on disk, and what tests do with it."""

    root: Path
    settings: Settings = field(default_factory=lambda: Settings(lock_wait_seconds=30))

    def __post_init__(self) -> None:
        self.project = Project(self.root)
        self._context: Context | None = None

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def warehouse(self) -> Path:
        return self.root / ".sluice" / "dev.duckdb"

    @property
    def control(self) -> Path:
        return self.root / ".sluice" / "control.db"

    @property
    def context(self) -> Context:
        if self._context is None:
            self._context = Context(self.project, self.settings, who="tester")
        return self._context

    def close(self) -> None:
        if self._context is not None:
            self._context.store.close()
            self._context = None

    def create(self) -> None:
        copy_project(self.root, SELECTS)
        self.apply(control_rows())
        for number in range(2):
            self.land_orders(f"day_{number}", range(number * 10, number * 10 + 10), f"2013-01-0{number + 1} 12:00:00")
        self.land("regions/all", "select * from (values ('n', 'North'), ('s', 'South')) as t (region, label)")

    def write_select(self, name: str, select: str) -> None:
        path = self.root / "dbt_project" / "transformations" / f"{name}.sql"
        path.write_text(select + "\n")

    def apply(self, rows: Mapping[str, Any], *, prune: bool = False) -> None:
        path = self.root / "dbt_project" / "control" / "rows.yml"
        path.write_text(yaml.safe_dump(rows))
        self.land("regions/all", "select 'n' as region, 'North' as label", only_if_missing=True)
        self.land_orders("day_0", range(1), "2013-01-01 12:00:00", only_if_missing=True)
        change_context = ChangeContext(self.project, self.context.store, self.context.columns, "tester")
        apply_plan(change_context, plan_files(change_context, prune=prune))

    def land(self, name: str, select: str, *, only_if_missing: bool = False) -> Path:
        path = self.lake / f"{name}.parquet"
        if only_if_missing and path.parent.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"copy ({select}) to '{path}' (format parquet)")
        return path

    def land_orders(self, name: str, ids: Sequence[int], landed_at: str, *, only_if_missing: bool = False) -> None:
        select = f"""
            select
                i as order_id,
                'c' || (i % 3) as customer,
                case when i % 2 = 0 then 'n' else 's' end as region,
                cast(i + 1 as decimal(8, 2)) as amount,
                timestamp '{landed_at}' + (i % 10) * interval 1 minute as landed_at
            from range({ids[0]}, {ids[-1] + 1}) as t (i)
        """
        self.land(f"orders/{name}", select, only_if_missing=only_if_missing)

    def plan(self, *pipelines: str, is_forced: bool = False) -> RunPlan:
        return prepare(self.context, RunRequest(pipelines, is_forced=is_forced, requested_by="tester"))

    def run(self, *pipelines: str, is_forced: bool = False) -> tuple[RunSummary, Recorder]:
        recorder = Recorder()
        return execute(self.context, self.plan(*pipelines, is_forced=is_forced), recorder), recorder

    def statuses(self, summary: RunSummary) -> dict[str, str]:
        return {outcome.target: str(outcome.status) for outcome in summary.outcomes}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql.format(lake=self.lake)).fetchall()

    def execute(self, *statements: str) -> None:
        """Change the warehouse behind Sluice's back."""
        with duckdb.connect(str(self.warehouse)) as connection:
            for statement in statements:
                connection.execute(statement)

    def row_of(self, target: str = "dwh.fact_order") -> TransformationRow:
        row = self.context.store.read_rows().transformation(TableName.parse(target))
        assert row is not None
        return row

    def totals(self) -> list[tuple[Any, ...]]:
        return self.query("select region, order_count, amount from mart.region_total order by region")

    def sluice(self, *arguments: str, **environment: str) -> ForkedProcess:
        """Start the command line in a process of its own."""
        return start_sluice(arguments, self.root, {**os.environ, **environment})


@dataclass(frozen=True)
class FirstRun:
    """The project's folder, a copy of it after its first run, and how that run went."""

    root: Path
    saved: Path
    summary: RunSummary
    recorder: Recorder


def take_steps(steps: Iterator[str], until: int | None = None) -> list[str]:
    """Take the steps of a renaming or a retirement, and stop after some of them, as a killed process does."""
    done = []
    for step in steps:
        done.append(step)
        if len(done) == until:
            break
    close = getattr(steps, "close")  # noqa: B009 - an iterator by its type, a generator in fact
    close()
    return done


def finish(process: ForkedProcess, timeout: float = 120) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout)
    return process.wait(), out, err


def run_json(workshop: Workshop, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = finish(workshop.sluice(*arguments, "--json"))
    return code, json.loads(out)
