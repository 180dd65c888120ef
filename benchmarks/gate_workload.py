"""A project in which everything is loaded and nothing is new: as many tables as targets, and what their loads left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from warehouses import Warehouse

from metadata_sync.database import ControlStore
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import fingerprint, sequence_columns
from metadata_sync.settings import Settings, control_database_url

_ROWS_PER_SOURCE = 1000
_TARGETS_PER_PIPELINE = 50
LAST = "2026-01-01 16:39:00.000000"
"""The newest key of every source: it holds a row a minute."""
LOOKBACK_MINUTES = 60

ENVIRONMENT = "prod"
"""Its schemas are called as in the rows."""
_A_CENTURY = {"count": 36500, "period": "day"}

_PROFILES = """
sluice:
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('SLUICE_DUCKDB_PATH') }}", schema: main, threads: 4}
    postgres: {type: postgres, host: 127.0.0.1, port: "{{ env_var('BENCHMARK_PORT') | as_number }}", dbname: run,
      user: "{{ env_var('BENCHMARK_USER') }}", password: "{{ env_var('BENCHMARK_PASSWORD') }}", schema: public,
      threads: 4}
"""
_LOG = """
    create schema sluice; create schema dwh; create schema raw;
    create table sluice.load_log (load_id varchar(64), run_id varchar(64), target varchar(127), source varchar(127),
        window_start varchar(64), window_end varchar(128), moves_watermark boolean, rows_read bigint,
        rows_inserted bigint, rows_updated bigint, rows_closed bigint, rows_deleted bigint, rows_rejected bigint,
        tie_count bigint, lookback_count bigint, epoch bigint, source_epoch bigint, loaded_at timestamp,
        started_at timestamp, finished_at timestamp, definition varchar(64), driving_rows varchar(4000),
        void_count bigint);
    create view sluice.watermark_control as select * from sluice.load_log
"""
_TABLES = """
    create table raw.{name} as select i as id, timestamp '2026-01-01' + i * interval '1 minute' as landed_at
        from {series} as t (i);
    create table dwh.{name} as select * from raw.{name} where false;
    create table sluice.dwh__{name}__head as select timestamp '2026-01-02' as loaded_at,
        '{fingerprint}' as fingerprint, 'append tracking nothing' as definition, cast(0 as bigint) as epoch;
    insert into sluice.load_log (target, source, window_end, lookback_count, load_id, loaded_at, run_id)
        values ('dwh.{name}', 'raw.{name}', '{last}', {band}, 'l-{name}', timestamp '2026-01-02', 'r')
"""


def control_rows(size: int) -> ControlRows:
    """Return so many sources, a target for each, and their pipelines."""
    names = [f"orders_{number:05}" for number in range(size)]
    pipelines = [f"orders_{number:03}" for number in range(-(-size // _TARGETS_PER_PIPELINE))]
    return ControlRows(
        sources=tuple(
            SourceRow.model_validate(
                {
                    "schema": "raw",
                    "table": name,
                    "kind": "warehouse",
                    "incremental_key": "landed_at",
                    "lookback_minutes": LOOKBACK_MINUTES,
                }
            )
            for name in names
        ),
        pipelines=tuple(
            PipelineRow.model_validate({"pipeline_id": name, "pipeline_name": name, "template": "presentation"})
            for name in pipelines
        ),
        transformations=tuple(
            TransformationRow.model_validate(
                {
                    "target_schema": "dwh",
                    "target_table": name,
                    "pipeline_id": pipelines[place // _TARGETS_PER_PIPELINE],
                    "sql_path": f"transformations/{name}.sql",
                    "load_type": "append",
                    "business_key": ["id"],
                    "dependencies": [{"table": f"raw.{name}", "driving": True}],
                    "column_list": [{"name": "id", "type": "bigint"}, {"name": "landed_at", "type": "timestamp"}],
                }
            )
            for place, name in enumerate(names)
        ),
    )


def make_project(root: Path, rows: ControlRows) -> Project:
    """Create the project with its SELECTs and rows."""
    project = Project(root)
    (project.dbt_dir / "transformations").mkdir(parents=True)
    (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
    project.profiles_file.write_text(_PROFILES)
    for row in rows.transformations:
        select = f"select o.id, o.landed_at from raw.{row.target_table} as o\n"
        (project.dbt_dir / row.sql_path).write_text(select)
    settings = Settings(environment=ENVIRONMENT)
    every: list[ControlRow] = [*rows.sources, *rows.pipelines, *rows.transformations]
    with ControlStore.open(control_database_url(project, settings), ENVIRONMENT) as store:
        store.write([RowChange(before=None, after=row) for row in every], who="benchmark", via="apply", reason=None)
    return project


def dbt_project(folder: Path, rows: ControlRows) -> None:
    """Create a project of dbt's own on the same tables: a source with freshness and a model for each."""
    (folder / "models").mkdir(parents=True)
    (folder / "profiles.yml").write_text(_PROFILES)
    (folder / "dbt_project.yml").write_text(
        "{name: peer, profile: sluice, flags: {send_anonymous_usage_stats: false}}\n"
    )
    tables = [
        {"name": row.source_table, "config": {"loaded_at_field": "landed_at", "freshness": {"warn_after": _A_CENTURY}}}
        for row in rows.sources
    ]
    document = {"version": 2, "sources": [{"name": "raw", "tables": tables}]}
    (folder / "models" / "sources.yml").write_text(yaml.safe_dump(document))
    for row in rows.sources:
        select = f"select id, landed_at from {{{{ source('raw', '{row.source_table}') }}}}\n"
        (folder / "models" / f"{row.source_table}.sql").write_text(select)


def fill(warehouse: Warehouse, rows: ControlRows) -> None:
    """Create sources, targets and what a load of each has left."""
    warehouse.clear()
    with warehouse.connected() as execute:
        execute(_LOG)
        for statement in _tables(rows, warehouse):
            execute(statement)


def bare_probe(names: list[TableName]) -> str:
    """Return the least that could find out whether anything is new: the greatest key of each, in one statement."""
    selects = (
        f"select {place}, max(landed_at) from {name} where landed_at >= timestamp '{LAST}' - interval '1 hour'"
        for place, name in enumerate(names)
    )
    return " union all ".join(selects)


def _tables(rows: ControlRows, warehouse: Warehouse) -> Iterator[str]:
    series = {"duckdb": "range(0, {0})", "postgres": "generate_series(0, {0} - 1)"}[warehouse.name]
    for row in rows.transformations:
        yield _TABLES.format(
            name=row.target_table,
            series=series.format(_ROWS_PER_SOURCE),
            fingerprint=fingerprint(row, sequence_columns(row, rows, [column.name for column in row.column_list])),
            last=LAST,
            band=LOOKBACK_MINUTES + 1,
        )
