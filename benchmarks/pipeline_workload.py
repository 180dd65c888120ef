"""A project of pipelines of ten targets, ten deep: each reads one table of its own, and each target the one before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb

from flows.init.scaffold import Warehouse, create_project
from metadata_sync.database import ControlStore
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRow, PipelineRow, SourceRow, TransformationRow
from metadata_sync.settings import control_database_url, load_settings

TARGETS_PER_PIPELINE: Final = 10
SOURCE_ROWS: Final = 100
_TABLE: Final = f"""
    select
        number as order_id,
        'customer ' || number % 10 as customer,
        case when number % 3 = 0 then 'placed' else 'sent' end as status,
        case when number % 2 = 0 then 'EUR' else 'USD' end as currency,
        number::decimal(12, 2) as amount,
        number % 2 = 0 as is_paid,
        timestamp '2026-01-01' + to_minutes(number) as updated_at
    from range({SOURCE_ROWS}) as numbers (number)
"""
_FIRST: Final = """\
-- The newest state of every order.
select order_id, customer, lower(status) as status, currency, coalesce(amount, 0) as amount, updated_at
from {source}
where order_id is not null
"""
_WITH_LOOKUP: Final = """\
with known as (
    select customer, max(currency) as usual_currency
    from {before}
    group by customer
)

select
    orders.order_id,
    orders.customer,
    case when orders.is_paid then 'paid' else orders.status end as status,
    coalesce(orders.currency, known.usual_currency) as currency,
    orders.amount,
    orders.updated_at
from {source} as orders
left join known on known.customer = orders.customer
"""
_LOADS: Final[tuple[dict[str, Any], ...]] = (
    {"load_type": "scd1", "business_key": ["order_id"]},
    {"load_type": "scd2", "business_key": ["order_id"], "scd_columns": ["customer", "status", "amount"]},
    {"load_type": "append", "business_key": ["order_id"]},
)


def make_project(root: Path, size: int) -> None:
    """Create a project whose control database holds so many transformations, and no generated file yet."""
    create_project(root, Warehouse.DUCKDB)
    project = Project(root)
    for example in ("control/example.yml", "transformations/dim_customer.sql", "unit_tests/dwh.dim_customer.yml"):
        (project.dbt_dir / example).unlink()
    pipelines = range(-(-size // TARGETS_PER_PIPELINE))
    project.make_state_dir()
    with duckdb.connect(str(project.state_dir / "dev.duckdb")) as warehouse:
        warehouse.execute("create schema raw")
        for pipeline in pipelines:
            warehouse.execute(f"create table raw.orders_{pipeline:03} as {_TABLE}")
    settings = load_settings(project)
    rows = [row for pipeline in pipelines for row in _rows(project, pipeline)]
    with ControlStore.open(control_database_url(project, settings), settings.environment) as store:
        store.write([RowChange(before=None, after=row) for row in rows], who="benchmark", via="apply", reason=None)


def _rows(project: Project, pipeline: int) -> Iterator[ControlRow]:
    name = f"orders_{pipeline:03}"
    yield SourceRow.model_validate(
        {"kind": "warehouse", "schema": "raw", "table": name, "incremental_key": "updated_at"}
    )
    yield PipelineRow.model_validate(
        {"pipeline_id": name, "pipeline_name": name, "template": "lake_to_warehouse", "schedule": "5 * * * *"}
    )
    for number in range(TARGETS_PER_PIPELINE):
        reads = [{"table": f"raw.{name}", "driving": True}]
        before = f"dwh.{name}_{number - 1}"
        if number:
            reads.append({"table": before, "driving": False})
        path = project.dbt_dir / "transformations" / f"{name}_{number}.sql"
        path.write_text((_WITH_LOOKUP if number else _FIRST).format(source=f"raw.{name}", before=before))
        yield TransformationRow.model_validate(
            {
                "target_schema": "dwh",
                "target_table": path.stem,
                "pipeline_id": name,
                "sql_path": f"transformations/{path.name}",
                "dependencies": reads,
                **_LOADS[number % len(_LOADS)],
            }
        )


if __name__ == "__main__":
    make_project(Path(sys.argv[1]), int(sys.argv[2]))
