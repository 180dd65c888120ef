"""Rows to test with."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from metadata_sync.control.bundle import Bundle, read_bundle
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, SourceRow, TransformationRow, collect_rows

FLIGHTS = """
sources:
  - {schema: lake, table: flights, kind: lake, format: parquet, location: lake/flights, incremental_key: recorded_at}
  - {schema: lake, table: planes, kind: lake, format: parquet, location: lake/planes}
pipelines:
  - {pipeline_id: flights_hourly, pipeline_name: Flights, template: lake_to_warehouse, schedule: "5 * * * *"}
transformations:
  - target_schema: dwh
    target_table: dim_aircraft
    pipeline_id: flights_hourly
    sql_path: transformations/dim_aircraft.sql
    load_type: scd2
    business_key: [tailnum]
    scd_columns: [carrier, base_airport]
    dependencies: [{table: lake.flights, driving: true}, {table: lake.planes, driving: false}]
"""


def source(name: str = "lake.flights", **values: Any) -> SourceRow:
    schema, table = name.split(".")
    given = {"kind": "lake", "format": "parquet", "location": f"lake/{table}", "incremental_key": "recorded_at"}
    return SourceRow.model_validate({"schema": schema, "table": table, **given, **values})


def pipeline(pipeline_id: str = "flights_hourly", **values: Any) -> PipelineRow:
    given = {"pipeline_name": "Flights", "template": "lake_to_warehouse"}
    return PipelineRow.model_validate({"pipeline_id": pipeline_id, **given, **values})


def transformation(name: str = "dwh.dim_aircraft", **values: Any) -> TransformationRow:
    schema, table = name.split(".")
    given: dict[str, Any] = {
        "pipeline_id": "flights_hourly",
        "sql_path": f"transformations/{table}.sql",
        "load_type": "scd2",
        "business_key": ["tailnum"],
        "dependencies": [{"table": "lake.flights", "driving": True}],
    }
    return TransformationRow.model_validate({"target_schema": schema, "target_table": table, **given, **values})


def rows(*given: ControlRow) -> ControlRows:
    return collect_rows(given)


def small_rows() -> ControlRows:
    return rows(source(), pipeline(), transformation())


def read_text(folder: Path, text: str, environment: str = "dev") -> Bundle:
    path = folder / "rows.yml"
    path.write_text(text, encoding="utf-8")
    return read_bundle([path], environment, folder)


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Run code in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=root,
        env={**environment, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project whose control folder exists."""
    project = Project((tmp_path / "project").resolve())
    project.control_dir.mkdir(parents=True)
    (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
    profile = "sluice:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: .sluice/dev.duckdb}\n"
    project.profiles_file.write_text(profile)
    return project
