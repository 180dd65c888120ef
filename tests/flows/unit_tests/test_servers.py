"""Tests of targets whose warehouse is a server: they run on DuckDB, where the SELECT is portable."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from flows.init.scaffold import Warehouse, create_project
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.history_project import PostgresDatabase
from tests.support.unit_test_project import UnitTestProject

SELECT = (
    "select e.customer_id, e.event_id / 3 as third, e.email ~ '^Ada' as is_ada, e.city || '!' as city,\n"
    "  to_char(e.changed_at, 'YYYY-MM-DD') as day, e.landed_at::date as landed_on, e.changed_at\n"
    "from shop.events as e"
)


@pytest.fixture
def project(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> UnitTestProject:
    for part, value in conninfo_to_dict(postgres_url).items():
        variable = {"dbname": "DATABASE"}.get(part, part.upper())
        monkeypatch.setenv(f"SLUICE_POSTGRES_{variable}", str(value))
    monkeypatch.setenv("SLUICE_ENVIRONMENT", "postgres")
    project = UnitTestProject(tmp_path, PostgresDatabase(postgres_url), Settings(environment="postgres"))
    project.land()
    return project


@pytest.mark.postgres
def test_rows_of_postgres_are_tested_on_duckdb(project: UnitTestProject, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "dbt_project" / "transformations" / "customer_now.sql").write_text(SELECT)
    for target in ("dwh.customer_now", "dwh.dim_customer"):
        code, output = project.sluice("create", target)
        assert code == 0, output
    assert project.document("dwh.dim_customer")["columns"]["shop.events"]["city"] == "text(20)"
    monkeypatch.setenv("SLUICE_POSTGRES_PORT", "1")
    code, found = project.results()
    assert (code, found["counts"]["passed"]) == (0, 4), found


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("encode(sha256(e.email::bytea), 'hex')", "dwh.customer_now cannot be tested: tests run on DuckDB"),
        ("left(e.email, -4)", None),
        ("5 / 2 * e.event_id / -3", None),
        ("e.event_id / 2.0", None),
        ("round(e.event_id::numeric / 7, 3)", None),
        ("to_char(e.changed_at, 'Day')", "does not give what postgres gives. The first row apart: (0, "),
    ],
)
def test_what_duckdb_does_otherwise_is_refused_by_name(
    project: UnitTestProject, column: str, reason: str | None
) -> None:
    select = f"select e.customer_id, {column} as value, e.changed_at from shop.events as e\n"
    (project.root / "dbt_project" / "transformations" / "customer_now.sql").write_text(select)
    code, output = project.sluice("create", "dwh.customer_now")
    if reason is None:
        assert code == 0, output
        return
    assert code == 2
    assert reason in output
    assert not project.file("dwh.customer_now").exists()


@pytest.mark.parametrize("warehouse", list(Warehouse))
def test_example_of_a_new_project_passes_without_a_warehouse(
    tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    from flows.cli.test import _rows
    from flows.context import Context
    from flows.unit_tests.run import Status, run_tests
    from metadata_sync.analysis.unit_tests import find_test_files, read_test_file

    create_project(tmp_path, warehouse)
    workflow = yaml.safe_load((tmp_path / ".github" / "workflows" / "sluice.yml").read_text())
    job = workflow["jobs"]["check"]
    assert any(str(step.get("run", "")).startswith("sluice ci --against") for step in job["steps"])
    for name, value in job["env"].items():
        monkeypatch.setenv(name, value)
    context = Context(Project(tmp_path), Settings(), who="ci")
    files = [read_test_file(path, context.project) for path in find_test_files(context.project)]
    results = run_tests(context, _rows(context, ["dwh.dim_customer"], must_exist=True), files)
    assert [item.status for item in results] == [Status.PASSED, Status.PASSED], results
