"""`sluice sync` and `sluice validate` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from flows.cli.sync import register
from flows.context import load_context
from metadata_sync.errors import MetadataError
from metadata_sync.project import Project
from tests.support.sync_support import make_project, write_select

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
"""

GOOD = "select f.tailnum, f.updated_at from raw.flights as f"

ONLINE = "What could not be reached was not checked."


@pytest.fixture
def app() -> typer.Typer:
    application = typer.Typer()
    register(application)
    return application


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path / "project")
    warehouse = made.state_dir / "dev.duckdb"
    made.profiles_file.write_text(f"sluice: {{target: dev, outputs: {{dev: {{type: duckdb, path: {warehouse}}}}}}}\n")
    (made.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
    made.control_dir.mkdir()
    (made.control_dir / "rows.yml").write_text(BUNDLE)
    (made.root / "lake").mkdir()
    rows = "select 'N1' as tailnum, timestamp '2013-01-01' as updated_at"
    duckdb.execute(f"copy ({rows}) to '{made.root}/lake/x.parquet' (format parquet)")
    monkeypatch.chdir(made.root)
    return made


def test_validate_finds_nothing_in_good_files(app: typer.Typer, project: Project) -> None:
    write_select(project, "dim", GOOD)
    done = CliRunner().invoke(app, ["validate"])
    assert (done.exit_code, done.stdout) == (0, f"3 rows and their SELECTs: no fault found. {ONLINE}\n")
    done = CliRunner().invoke(app, ["validate", "--json"])
    assert json.loads(done.stdout) == {"json_format": "validate/1", "rows": 3, "faults": [], "warnings": []}
    assert not project.state_dir.exists()


def test_validate_offline_asks_nothing_and_places_each_fault(app: typer.Typer, project: Project) -> None:
    write_select(project, "dim", GOOD)
    (project.root / "lake" / "x.parquet").write_bytes(b"half")
    done = CliRunner().invoke(app, ["validate", "--offline"])
    assert (done.exit_code, "were not checked" in done.stdout) == (0, True)
    broken = BUNDLE.replace("pipeline_id: p, pipeline_name: P", "pipeline_id: p, template: x, pipeline_name: P")
    (project.control_dir / "rows.yml").write_text(broken.replace("template: lake_to_warehouse}", "}"))
    write_select(project, "dim", "select f.tailnum, count(*) as n\nfrom raw.flights as f")
    done = CliRunner().invoke(app, ["validate", "--offline"])
    assert isinstance(done.exception, MetadataError)
    assert all("rows.yml:" in str(fault) for fault in done.exception.faults)
    assert "unknown_pipeline" not in {fault.rule for fault in done.exception.faults}


def test_validate_reports_files_rows_and_selects_at_once(app: typer.Typer, project: Project) -> None:
    write_select(project, "dim", "select f.tail, count(*) as n from raw.flights as f")
    (project.control_dir / "rows.yml").write_text(BUNDLE.replace("pipeline_name: P", "pipeline_nam: P"))
    done = CliRunner().invoke(app, ["validate"])
    assert isinstance(done.exception, MetadataError)
    keys = {(fault.key, fault.column) for fault in done.exception.faults}
    assert ("dwh.dim", "business_key") in keys
    assert ("dwh.dim", "increment") in keys
    assert any(fault.value == "pipeline_nam" or fault.column == "pipeline_nam" for fault in done.exception.faults)


def test_sync_writes_checks_and_stores_column_lists(app: typer.Typer, project: Project) -> None:
    from metadata_sync.control.bundle import bundle_files, read_bundle
    from metadata_sync.rows.merge import RowChange, all_rows

    write_select(project, "dim", GOOD)
    rows = read_bundle(bundle_files(project.control_dir, project.root), "dev", project.root).rows
    store = load_context().store
    store.write([RowChange(before=None, after=row) for row in all_rows(rows)], "tester", "apply", None)

    check = CliRunner().invoke(app, ["sync", "--check"])
    assert check.exit_code == 3
    assert "out of step dbt_project/models/generated/p/dwh__dim.sql" in check.stdout
    assert not project.generated_dir.exists()

    done = CliRunner().invoke(app, ["sync", "--json"])
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert report["written"] == ["sources/raw__flights.yml", "p/dwh__dim.yml", "p/dwh__dim.sql"]
    assert [column["name"] for column in report["filled"]["dwh.dim"]] == ["tailnum", "updated_at"]
    (row,) = store.read_rows().transformations
    assert [column.name for column in row.column_list] == ["tailnum", "updated_at"]
    assert store.history("dwh.dim")[0].via == "framework"

    again = CliRunner().invoke(app, ["sync"])
    assert (again.exit_code, again.stdout) == (0, "0 written, 0 removed, 3 unchanged.\n")
    assert CliRunner().invoke(app, ["sync", "--check"]).exit_code == 0
    assert CliRunner().invoke(app, ["validate", "--database"]).exit_code == 0


def test_help_shows_examples(app: typer.Typer) -> None:
    for command in ("sync", "validate"):
        done = CliRunner().invoke(app, [command, "--help"])
        assert f"sluice {command}" in done.stdout
