"""Lineage: which columns an output is made from, and the graph over many SELECTs."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from flows.cli.lineage import register
from flows.context import load_context
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.lineage import column_lineage
from tests.support.sync_support import make_project, write_select

TABLES = {
    TableName("lake", "flights"): ["tailnum", "air_time", "delay", "carrier"],
    TableName("lake", "planes"): ["tailnum", "seats"],
    TableName("lake", "weather"): ["wind"],
}


def lineage_of(text: str, dialect: str = "duckdb") -> dict[str, list[str]] | None:
    select, problems = parse_select(text, dialect)
    assert select is not None, problems
    traced = column_lineage(select, TABLES)
    return None if traced is None else {name: [str(item) for item in found] for name, found in traced.items()}


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "redshift"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select f.tailnum from lake.flights as f", {"tailnum": ["lake.flights.tailnum"]}),
        (
            "select f.air_time + f.delay as busy, 1 as one from lake.flights as f",
            {"busy": ["lake.flights.air_time", "lake.flights.delay"], "one": []},
        ),
        (
            "with flying as (select tailnum as plane, delay from lake.flights)\n"
            "select plane, max(delay) over (partition by plane) as worst from flying",
            {"plane": ["lake.flights.tailnum"], "worst": ["lake.flights.delay", "lake.flights.tailnum"]},
        ),
        (
            "select f.carrier, sum(p.seats) as seats from lake.flights as f\n"
            "join lake.planes as p on p.tailnum = f.tailnum where f.delay > 0 group by f.carrier",
            {"carrier": ["lake.flights.carrier"], "seats": ["lake.planes.seats"]},
        ),
        (
            "select tailnum from lake.flights union all select tailnum from lake.planes",
            {"tailnum": ["lake.flights.tailnum", "lake.planes.tailnum"]},
        ),
        ("select p.* from lake.planes as p", {"tailnum": ["lake.planes.tailnum"], "seats": ["lake.planes.seats"]}),
        (
            "select f.tailnum, (select max(w.wind) from lake.weather as w) as wind from lake.flights as f",
            {"tailnum": ["lake.flights.tailnum"], "wind": ["lake.weather.wind"]},
        ),
    ],
    ids=["plain", "expression", "cte and window", "join and filter", "union", "star", "scalar subquery"],
)
def test_output_columns_are_traced_to_what_their_values_are_made_from(
    text: str, expected: dict[str, list[str]], dialect: str
) -> None:
    assert lineage_of(text, dialect) == expected


BUNDLE = """
pipelines:
  - {pipeline_id: p, pipeline_name: P, template: lake_to_warehouse}
sources:
  - {schema: raw, table: flights, kind: lake, location: lake, format: parquet, incremental_key: updated_at}
transformations:
  - target_schema: dwh
    target_table: dim
    pipeline_id: p
    sql_path: transformations/dim.sql
    load_type: scd1
    business_key: [tailnum]
    dependencies: [{table: raw.flights, driving: true}]
  - target_schema: mart
    target_table: plane
    pipeline_id: p
    sql_path: transformations/plane.sql
    load_type: scd1
    increment: full
    business_key: [plane]
    dependencies: [{table: dwh.dim, driving: true}]
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    project = make_project(tmp_path)
    monkeypatch.chdir(project.root)
    warehouse = project.state_dir / "dev.duckdb"
    project.profiles_file.write_text(
        f"sluice: {{target: dev, outputs: {{dev: {{type: duckdb, path: {warehouse}}}}}}}\n"
    )
    (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
    project.control_dir.mkdir()
    (project.root / "lake").mkdir()
    with duckdb.connect() as connection:
        select = "select 'N1' as tailnum, 1 as seats, timestamp '2013-01-01' as updated_at"
        connection.execute(f"copy ({select}) to '{project.root / 'lake' / 'a.parquet'}' (format parquet)")
    write_select(project, "dim", "select f.tailnum, f.seats, f.updated_at from raw.flights as f")
    write_select(project, "plane", "select d.tailnum as plane, d.seats * 2 as legs from dwh.dim as d")
    (project.control_dir / "p.yml").write_text(BUNDLE)
    context = load_context()
    change_context = ChangeContext(project, context.store, context.columns, "tester")
    apply_plan(change_context, plan_files(change_context))
    application = typer.Typer()
    application.callback()(lambda: None)
    register(application)
    return application


def test_command_follows_a_column_both_ways_through_every_select(app: typer.Typer) -> None:
    answer = CliRunner().invoke(app, ["lineage", "dwh.dim.seats", "--json"])

    document = json.loads(answer.stdout)
    assert [(step["of"], step["reads"]) for step in document["upstream"]] == [("dwh.dim.seats", "raw.flights.seats")]
    assert [(step["of"], step["reads"]) for step in document["downstream"]] == [("mart.plane.legs", "dwh.dim.seats")]
    assert document["untraced"] == []


def test_command_shows_tables_as_a_tree(app: typer.Typer) -> None:
    answer = CliRunner().invoke(app, ["lineage", "mart.plane"])

    assert "mart.plane is derived from\n└── dwh.dim\n    └── raw.flights\n" in answer.stdout
    assert "mart.plane is read by: nothing" in answer.stdout


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mart.plan", "Did you mean 'mart.plane'?"),
        ("dwh.dim.seat", "Did you mean 'seats'?"),
        ("x", "There are: dwh.dim"),
    ],
)
def test_command_names_what_there_is_when_asked_for_what_there_is_not(app: typer.Typer, name: str, hint: str) -> None:
    answer = CliRunner().invoke(app, ["lineage", name])

    assert isinstance(answer.exception, ConfigurationError)
    assert hint in answer.exception.hint
