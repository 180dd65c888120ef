"""A project of any size: sources in the lake and in the warehouse, SELECTs of every load type, rows without columns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from metadata_sync.database import ControlStore
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRow, PipelineRow, SourceRow, TransformationRow
from metadata_sync.settings import control_database_url, load_settings

_ROWS_PER_SOURCE = 10
_ROWS_PER_PIPELINE = 50
_EMPTY_TABLE = """
    select
        0::bigint as order_id, ''::varchar as customer, ''::varchar as status, ''::varchar as operation,
        ''::varchar as currency, 0::decimal(12, 2) as amount, 0::decimal(12, 2) as tax, 0::integer as quantity,
        true as is_paid, date '2026-01-01' as ordered_on, timestamp '2026-01-01' as created_at,
        timestamp '2026-01-01' as updated_at
    where false
"""
_PLAIN = """\
-- The newest state of every order.
select
    order_id,
    customer,
    lower(status) as status,
    operation,
    currency,
    amount,
    coalesce(tax, 0) as tax,
    quantity,
    is_paid,
    ordered_on,
    updated_at
from {source}
where order_id is not null
"""
_LOOKUP = """\
with known as (
    select customer, max(currency) as usual_currency
    from {lookup}
    group by customer
)

select
    orders.order_id,
    orders.customer,
    case when orders.is_paid then 'paid' else orders.status end as status,
    orders.amount + orders.tax as total,
    orders.quantity,
    coalesce(orders.currency, known.usual_currency) as currency,
    cast(orders.created_at as date) as created_on,
    orders.updated_at
from {source} as orders
left join known on known.customer = orders.customer
"""
_SHAPES: tuple[tuple[str, dict[str, Any]], ...] = (
    (_PLAIN, {"load_type": "scd1", "business_key": ["order_id"], "delete_when": "operation = 'D'"}),
    (_LOOKUP, {"load_type": "scd2", "business_key": ["order_id"], "scd_columns": ["customer", "status", "total"]}),
    (_PLAIN, {"load_type": "append", "business_key": ["order_id"]}),
)


def make_project(root: Path, size: int) -> None:
    """Create a project whose control database holds so many transformations, and no generated file yet."""
    project = Project(root)
    (project.dbt_dir / "transformations").mkdir(parents=True)
    (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
    target = "{type: duckdb, path: \"{{ env_var('SLUICE_DUCKDB_PATH') }}\"}"
    project.profiles_file.write_text(f"sluice:\n  outputs:\n    dev: {target}\n")
    sources = [_source(number) for number in range(max(2, size // _ROWS_PER_SOURCE))]
    _land(project, sources)
    settings = load_settings(project)
    rows: list[ControlRow] = [*sources, *_pipelines(size), *_transformations(project, size, sources)]
    with ControlStore.open(control_database_url(project, settings), settings.environment) as store:
        store.write([RowChange(before=None, after=row) for row in rows], who="benchmark", via="apply", reason=None)


def _source(number: int) -> SourceRow:
    """Every other source is a folder of Parquet files, the others are tables."""
    name = f"orders_{number:04}"
    place = {"kind": "lake", "schema": "lake", "location": f"lake/{name}", "format": "parquet"}
    if number % 2:
        place = {"kind": "warehouse", "schema": "raw"}
    return SourceRow.model_validate({**place, "table": name, "incremental_key": "updated_at"})


def _land(project: Project, sources: list[SourceRow]) -> None:
    project.state_dir.mkdir()
    with duckdb.connect(str(project.state_dir / "dev.duckdb")) as warehouse:
        warehouse.execute("create schema raw")
        for source in sources:
            if source.location is None:
                warehouse.execute(f"create table {source.name} as {_EMPTY_TABLE}")
            else:
                folder = project.root / source.location
                folder.mkdir(parents=True)
                warehouse.execute(f"copy ({_EMPTY_TABLE}) to '{folder / 'part-0.parquet'}'")


def _pipelines(size: int) -> Iterator[PipelineRow]:
    for number in range(-(-size // _ROWS_PER_PIPELINE)):
        name = f"orders_{number:03}"
        yield PipelineRow.model_validate(
            {"pipeline_id": name, "pipeline_name": name, "template": "lake_to_warehouse", "schedule": "5 * * * *"}
        )


def _transformations(project: Project, size: int, sources: list[SourceRow]) -> Iterator[TransformationRow]:
    for number in range(size):
        text, settings = _SHAPES[number % len(_SHAPES)]
        driving = sources[number % len(sources)].name
        lookup = sources[(number + 1) % len(sources)].name
        path = project.dbt_dir / "transformations" / f"target_{number:05}.sql"
        path.write_text(text.format(source=driving, lookup=lookup))
        reads = [{"table": str(driving), "driving": True}]
        if "{lookup}" in text:
            reads.append({"table": str(lookup), "driving": False})
        yield TransformationRow.model_validate(
            {
                "target_schema": "dwh",
                "target_table": path.stem,
                "pipeline_id": f"orders_{number // _ROWS_PER_PIPELINE:03}",
                "sql_path": f"transformations/{path.name}",
                "dependencies": reads,
                **settings,
            }
        )


if __name__ == "__main__":
    make_project(Path(sys.argv[1]), int(sys.argv[2]))
