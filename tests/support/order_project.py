"""A small Sluice project whose targets fare in every way in one run: loaded, failed, cut short, skipped."""

from __future__ import annotations

from pathlib import Path

import duckdb
import yaml

from flows.context import Context
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.live_server import free_port
from tests.support.project_copy import copy_project

PLANTED = "planted-4711"
STUMBLING = f"twelve, password={PLANTED}"
"""An amount that cannot be cast, and holds a secret: the warehouse quotes it in its error."""
SELECTS = {
    "fact_order": "select o.order_id, o.amount, o.landed_at from lake.orders as o",
    "fact_payment": "select o.order_id, cast(o.amount as integer) as amount, o.landed_at from lake.orders as o",
    "paid_order": "select p.order_id, p.amount, p.landed_at from dwh.fact_payment as p",
    "dim_return": "select r.order_id, r.landed_at from lake.returns as r",
}


def write_project(root: Path, *, amount: str = STUMBLING) -> Path:
    """Write the project; one order whose amount cannot be cast makes `fact_payment` fail."""
    copy_project(root, SELECTS)
    (root / "dbt_project" / "control" / "orders.yml").write_text(yaml.safe_dump(_rows()))
    land(root, "orders", f"select 1 as order_id, '{amount}' as amount, timestamp '2013-01-01 08:00:00' as landed_at")
    land(root, "returns", "select 1 as order_id, timestamp '2013-01-01' as landed_at where false")
    return root


def open_orders(root: Path, environment: str = "dev") -> Context:
    """Open the project and apply its rows."""
    project = Project(root)
    context = Context(
        project,
        Settings(environment=environment, dbt_target="dev", work_pool=environment, prefect_port=free_port()),
        who="tester",
    )
    change_context = ChangeContext(project, context.store, context.columns, context.who)
    apply_plan(change_context, plan_files(change_context))
    return context


def land(root: Path, table: str, select: str, file: str = "first") -> None:
    """Let rows land in the lake."""
    folder = root / "lake" / table
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"copy ({select}) to '{folder / file}.parquet' (format parquet)")


def _rows() -> dict[str, list[dict[str, object]]]:
    sources: list[dict[str, object]] = [
        {
            "schema": "lake",
            "table": table,
            "kind": "lake",
            "format": "parquet",
            "location": f"lake/{table}",
            "incremental_key": "landed_at",
        }
        for table in ("orders", "returns")
    ]
    pipelines: list[dict[str, object]] = [
        {"pipeline_id": name, "pipeline_name": name, "template": template, "schedule": "0 6 * * *"}
        for name, template in (("orders_daily", "lake_to_warehouse"), ("payments", "presentation"))
    ]
    transformations = [
        _transformation("dwh", "fact_order", "orders_daily", "lake.orders"),
        _transformation("dwh", "fact_payment", "orders_daily", "lake.orders"),
        _transformation("dwh", "dim_return", "orders_daily", "lake.returns"),
        _transformation("mart", "paid_order", "payments", "dwh.fact_payment") | {"increment": "full"},
    ]
    return {"sources": sources, "pipelines": pipelines, "transformations": transformations}


def _transformation(schema: str, table: str, pipeline_id: str, source: str) -> dict[str, object]:
    return {
        "target_schema": schema,
        "target_table": table,
        "pipeline_id": pipeline_id,
        "sql_path": f"transformations/{table}.sql",
        "load_type": "append",
        "business_key": ["order_id"],
        "dependencies": [{"table": source, "driving": True}],
    }
