"""`sluice control …` as a person or a script meets it: output, JSON, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer
from typer.testing import CliRunner, Result

import flows.cli.output.console
from flows.cli import control
from metadata_sync.errors import SluiceError
from metadata_sync.project import Project
from tests.support.control_support import FLIGHTS

Sluice = Callable[..., Result]


@pytest.fixture
def sluice(project: Project, monkeypatch: pytest.MonkeyPatch) -> Sluice:
    """The command line in a project with rows, a SELECT and a lake."""
    select = "select tailnum, carrier, base_airport, recorded_at from lake.flights join lake.planes using (tailnum)\n"
    (project.dbt_dir / "transformations").mkdir()
    (project.dbt_dir / "transformations" / "dim_aircraft.sql").write_text(select)
    (project.control_dir / "flights.yml").write_text(FLIGHTS)
    columns = "'N1' as tailnum, 'UA' as carrier, 'JFK' as base_airport, timestamp '2013-01-01' as recorded_at"
    for table, select in {"flights": f"select {columns}", "planes": "select 'N1' as tailnum, 2000 as year"}.items():
        folder = project.root / "lake" / table
        folder.mkdir(parents=True)
        duckdb.sql(select).write_parquet(str(folder / "1.parquet"))
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(flows.cli.output.console.out, "_width", 200)
    app = typer.Typer()
    control.register(app)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, arguments)
        if isinstance(result.exception, SluiceError):
            result.exit_code = result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_apply_without_a_terminal_shows_the_plan_and_changes_nothing(sluice: Sluice) -> None:
    result = sluice("control", "apply")
    assert result.exit_code == 2
    assert "+ transformation_control[dwh.dim_aircraft]" in result.stdout
    assert "Pass --yes" in result.stderr
    assert document(sluice("control", "list", "--json"))["transformation_control"] == []


def test_apply_with_yes_writes_and_then_has_nothing_to_do(sluice: Sluice) -> None:
    result = sluice("control", "apply", "--yes", "--reason", "first")
    assert result.exit_code == 0
    assert "Applied: 4 added." in result.stderr
    again = sluice("control", "apply")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "Nothing to change" in again.stderr
    history = document(sluice("control", "history", "flights_hourly", "--json"))
    assert {entry["reason"] for entry in history["entries"]} == {"first"}


def test_apply_as_json_is_one_document(sluice: Sluice) -> None:
    refused = sluice("control", "apply", "--json")
    assert refused.exit_code == 2
    assert document(refused)["applied"] is False
    applied = sluice("control", "apply", "--json", "--yes")
    assert applied.exit_code == 0
    body = document(applied)
    assert (body["applied"], len(body["changes"]), body["orphans"], body["kept"]) == (True, 4, [], [])
    again = document(sluice("control", "apply", "--json"))
    assert (again["applied"], again["changes"]) == (False, [])


def test_apply_shows_what_is_kept_and_what_is_orphaned(sluice: Sluice, project: Project) -> None:
    sluice("control", "apply", "--yes")
    sluice("deactivate", "dwh.dim_aircraft", "--reason", "broken")
    (project.control_dir / "flights.yml").write_text(FLIGHTS[: FLIGHTS.index("transformations:")])
    body = document(sluice("control", "apply", "--json"))
    assert body["orphans"] == [{"table": "transformation_control", "key": "dwh.dim_aircraft"}]
    (project.control_dir / "flights.yml").write_text(FLIGHTS)
    body = document(sluice("control", "apply", "--json"))
    (kept,) = body["kept"]
    assert (kept["column"], kept["value"], kept["file"], kept["by"]) == ("is_active", False, True, "operator")
    assert "operator" in sluice("control", "apply").stdout


def test_faults_exit_3_and_change_nothing(sluice: Sluice, project: Project) -> None:
    (project.control_dir / "flights.yml").write_text(FLIGHTS.replace("5 * * * *", "5 *"))
    result = sluice("control", "apply", "--yes")
    assert result.exit_code == 3
    assert result.stdout == ""


def test_set_reports_the_change(sluice: Sluice) -> None:
    sluice("control", "apply", "--yes")
    result = sluice("control", "set", "pipeline", "flights_hourly", "sla_minutes=5", "schedule=*/5 * * * *", "-r", "x")
    assert result.exit_code == 0
    assert "sla_minutes: – → 5" in result.stdout
    assert "schedule: 5 * * * * → */5 * * * *" in result.stdout
    same = sluice("control", "set", "pipeline", "flights_hourly", "sla_minutes=5")
    assert "already" in same.stderr
    body = document(sluice("control", "set", "pipeline", "flights_hourly", "sla_minutes=6", "--json"))
    assert body["changes"][0]["columns"] == [{"column": "sla_minutes", "old": 5, "new": 6}]
    assert sluice("control", "set", "pipeline", "flights_hourly", "sla_minutes=soon").exit_code == 3
    assert sluice("control", "set", "pipelin", "flights_hourly", "sla_minutes=5").exit_code == 2
    assert sluice("control", "set", "pipeline", "flights_hourly", "sla_minutes").exit_code == 2


def test_deactivate_and_activate(sluice: Sluice) -> None:
    sluice("control", "apply", "--yes")
    assert "is_active: true → false" in sluice("deactivate", "dwh.dim_aircraft", "-r", "stop").stdout
    assert sluice("activate", "dwh.dim_aircraft").exit_code == 0
    assert sluice("activate", "nobody").exit_code == 3
    assert "[control]" not in sluice("control", "history").stdout


def test_list_and_history_read_well(sluice: Sluice) -> None:
    assert "no rows yet" in sluice("control", "list").stderr
    assert "No change is recorded" in sluice("control", "history").stderr
    sluice("control", "apply", "--yes")
    shown = sluice("control", "list", "transformations").stdout
    assert "dwh.dim_aircraft" in shown
    assert "pipeline_control" not in shown
    assert "dwh.dim_aircraft" in sluice("control", "history", "-n", "200").stdout


def test_export_then_apply_changes_nothing(sluice: Sluice, tmp_path: Path) -> None:
    sluice("control", "apply", "--yes")
    before = sluice("control", "list", "--json").stdout
    folder = tmp_path / "exported"
    assert sluice("control", "export", "--output", str(folder)).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["_sources.yml", "flights_hourly.yml"]
    body = document(sluice("control", "apply", str(folder), "--yes", "--json"))
    assert body["changes"] == []
    assert sluice("control", "list", "--json").stdout == before
    assert sluice("control", "export").stdout.startswith("sources:\n  - schema: lake\n")


def test_export_never_overwrites_unasked(sluice: Sluice, project: Project, tmp_path: Path) -> None:
    sluice("control", "apply", "--yes")
    beside = sluice("control", "export", "--output", str(project.control_dir))
    assert beside.exit_code == 2
    assert (project.control_dir / "flights.yml").read_text() == FLIGHTS
    folder = tmp_path / "exported"
    sluice("control", "export", "--output", str(folder))
    (folder / "flights_hourly.yml").write_text("# mine\n")
    assert sluice("control", "export", "--output", str(folder)).exit_code == 2
    assert (folder / "flights_hourly.yml").read_text() == "# mine\n"
    assert sluice("control", "export", "--output", str(folder), "--yes").exit_code == 0
    assert "dim_aircraft" in (folder / "flights_hourly.yml").read_text()


@pytest.mark.parametrize(
    "command",
    [
        ["control"],
        *(["control", name] for name in ("apply", "export", "list", "set", "history")),
        ["activate"],
        ["deactivate"],
    ],
)
def test_every_command_has_help_with_examples(sluice: Sluice, command: list[str]) -> None:
    shown = sluice(*command, "--help").stdout
    assert "Usage" in shown
    if command != ["control"]:
        assert f"sluice {' '.join(command)}" in shown


@pytest.mark.processes
def test_looking_at_rows_imports_neither_dbt_nor_prefect_nor_duckdb(sluice: Sluice) -> None:
    sluice("control", "apply", "--yes")
    code = (
        "import sys, typer; from flows.cli import control; app = typer.Typer(); control.register(app)\n"
        "app(['control', 'list'], standalone_mode=False)\n"
        "heavy = {'dbt', 'prefect', 'duckdb', 'alembic', 'sqlglot'} & set(sys.modules); assert not heavy, heavy"
    )
    root = Path(__file__).parents[3]
    environment = {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
