"""As in production, in one run: steps on a simulated EMR, results on S3, COPY into Redshift's stand-in, the loads.

Three load types through Spark stand beside the same SELECTs through the warehouse; a fourth step fails and says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast

import duckdb
import psycopg
import pytest
import yaml

from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.run.model import OutcomeStatus, RunRequest, RunSummary
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import running
from tests.redshift_standin.server import Standin
from tests.support.emr_simulator import BUCKET, EmrSimulator, SharedSparkSubmit
from tests.support.project_copy import copy_project

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

ROLE = "arn:aws:iam::123456789012:role/warehouse"
SELECTS = {
    "fact_order": "select o.order_id, o.customer, o.amount, o.landed_at from lake.orders as o where o.order_id > 3",
    "customer": "select o.customer, o.amount, o.ordered_on, o.landed_at from lake.orders as o",
    "dim_customer": "select o.customer, o.region, o.amount, o.landed_at from lake.orders as o",
    "broken": "select cast(o.customer as integer) as number, o.landed_at from lake.orders as o",
}
TYPES = {
    "order_id": "integer",
    "customer": "varchar(10)",
    "region": "varchar(10)",
    "amount": "decimal(10, 2)",
    "ordered_on": "date",
    "landed_at": "timestamp",
    "number": "integer",
}
LOADS: dict[str, dict[str, Any]] = {
    "fact_order": {"load_type": "append", "columns": ["order_id", "customer", "amount", "landed_at"]},
    "customer": {
        "load_type": "scd1",
        "business_key": ["customer"],
        "columns": ["customer", "amount", "ordered_on", "landed_at"],
    },
    "dim_customer": {
        "load_type": "scd2",
        "business_key": ["customer"],
        "sequence_by": ["landed_at"],
        "scd_columns": ["region"],
        "columns": ["customer", "region", "amount", "landed_at"],
    },
    "broken": {"load_type": "append", "columns": ["number", "landed_at"]},
}
ORDERS = """
    select
        cast(i as integer) as order_id,
        case when i % 17 <> 0 then 'c' || (i % 13) end as customer,
        case when i % 5 = 0 then null when i % 3 = 0 then 'żółw' else 'n' || (i % 2) end as region,
        cast(case when i % 7 = 0 then null else i / 8.0 end as decimal(10, 2)) as amount,
        cast(date '2026-02-28' + cast(i % 40 as integer) as date) as ordered_on,
        timestamp '2026-01-01' + to_microseconds((i * 7919 % 300) * 1000001) as landed_at
    from range(300) as t (i)
"""


def control_rows() -> dict[str, list[dict[str, Any]]]:
    pipelines = [
        {"pipeline_id": engine, "pipeline_name": engine, "template": "lake_to_warehouse", "engine": engine}
        for engine in ("spark", "warehouse")
    ]
    return {
        "sources": [
            {"schema": "lake", "table": "orders", "kind": "lake", "format": "parquet", "incremental_key": "landed_at",
             "location": f"s3://{BUCKET}/orders", "external_schema": "spectrum"}
        ],
        "pipelines": pipelines,
        "transformations": [
            _transformation(engine, table)
            for engine in ("spark", "warehouse")
            for table in LOADS
            if (engine, table) != ("warehouse", "broken")
        ],
    }  # fmt: skip


def _transformation(engine: str, table: str) -> dict[str, Any]:
    values = dict(LOADS[table])
    columns = [{"name": name, "type": TYPES[name]} for name in values.pop("columns")]
    return {
        "target_schema": f"dwh_{engine}",
        "target_table": table,
        "pipeline_id": engine,
        "sql_path": f"transformations/{table}.sql",
        "output_path": f"s3://{BUCKET}/results",
        "incremental_key": "landed_at",
        "dependencies": [{"table": "lake.orders", "driving": True}],
        "column_list": columns,
        **values,
    }


@dataclass
class Production:
    """What the run left, and where."""

    emr: EmrSimulator
    standin: Standin
    context: Context
    summary: RunSummary

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.standin.url) as connection:
            return connection.execute(cast("LiteralString", sql)).fetchall()


@pytest.fixture
def production(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark_submit: None
) -> Iterator[Production]:
    with running(postgres_url) as standin:
        assert standin.lake.url  # it empties moto's S3, which both share, when it starts
        with EmrSimulator(SharedSparkSubmit()) as emr:
            variables = {**standin.environment(), **emr.environment, "SLUICE_REDSHIFT_COPY_ROLE": ROLE}
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            emr.put_parquet("orders/2026/part.parquet", ORDERS)
            _land_in_spectrum(standin.url)
            copy_project(tmp_path, SELECTS)
            (tmp_path / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(control_rows()))
            settings = Settings(environment="redshift", lock_wait_seconds=30, tries=1)
            context = Context(Project(tmp_path.resolve()), settings, who="tester")
            change_context = ChangeContext(context.project, context.store, context.columns, "tester")
            apply_plan(change_context, plan_files(change_context))
            summary = execute(context, prepare(context, RunRequest(requested_by="tester")))
            yield Production(emr, standin, context, summary)
            context.store.close()


def _land_in_spectrum(url: str) -> None:
    """Let the warehouse see the same rows as an external table."""
    kinds = {name: TYPES[name] for name in ("order_id", "customer", "region", "amount", "ordered_on", "landed_at")}
    with duckdb.connect() as lake, psycopg.connect(url) as warehouse:
        rows = lake.execute(ORDERS).fetchall()
        columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        warehouse.execute(cast("LiteralString", f"create schema spectrum; create table spectrum.orders ({columns})"))
        warehouse.cursor().executemany("insert into spectrum.orders values (%s, %s, %s, %s, %s, %s)", rows)


def test_spark_on_emr_fills_redshift_as_the_warehouse_itself_does(production: Production) -> None:
    emr, outcomes = production.emr, {outcome.target: outcome for outcome in production.summary.outcomes}

    for table in ("fact_order", "customer", "dim_customer"):
        versions = ["valid_from", "valid_to", "is_current"] if LOADS[table]["load_type"] == "scd2" else []
        names = ", ".join([*LOADS[table]["columns"], *versions])
        by_engine = [
            production.query(f"select {names} from redshift_dwh_{engine}.{table} order by {names}")
            for engine in ("spark", "warehouse")
        ]
        assert by_engine[0] == by_engine[1]
        assert len(by_engine[0]) >= 12
        spark, warehouse = (outcomes[f"dwh_{engine}.{table}"] for engine in ("spark", "warehouse"))
        assert (spark.status, spark.rows, spark.windows) == (OutcomeStatus.LOADED, warehouse.rows, warehouse.windows)
        assert (spark.cluster is not None, warehouse.cluster) == (True, None)
    # one cluster, ended, and nothing left that keeps others out
    assert (len(emr.requests), emr.states) == (1, ["TERMINATED"])
    assert production.context.store.leases() == ()
    # COPY read the manifest of the attempt that succeeded
    sent = "\n".join(entry.sql for entry in production.standin.journal.entries)
    manifests = {key for key in emr.keys("results/") if key.endswith(".manifest.json")}
    assert set(re.findall(r"copy sluice_result\s+from '([^']+)'", sent)) == {
        f"s3://{BUCKET}/{key}" for key in manifests
    }
    assert len(manifests) == 3
    for key in manifests:
        manifest = json.loads(emr.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        assert all(entry["url"].startswith(manifest["author"]["folder"]) for entry in manifest["entries"])
    # the step that failed fails its target alone, with Spark's words
    assert emr.steps(0)["dwh_spark.broken"] == "FAILED"
    assert outcomes["dwh_spark.broken"].status is OutcomeStatus.FAILED
    (row,) = [row for row in production.context.store.read_rows().transformations if row.target_table == "broken"]
    assert not row.is_active
    assert (row.comments or "").startswith("value in run ")
    assert "CAST_INVALID_INPUT" in (row.comments or "")
    entries = {entry.target: entry for entry in production.context.store.spark_entries()}
    assert {target.removeprefix("dwh_spark."): entry.status for target, entry in entries.items()} == {
        **dict.fromkeys(("fact_order", "customer", "dim_customer"), LoadStatus.SUCCESS),
        "broken": LoadStatus.ERROR,
    }
    assert sum(entry.step_seconds for entry in entries.values()) > 1
    assert production.summary.cluster is not None
    assert production.summary.cluster.usd > 0
