"""`sluice explain`, the completion of names, `--version` and the panels of the help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_group
from typer.testing import CliRunner

from flows.cli import app
from flows.cli.commands import COMMANDS, PANELS
from flows.cli.output import completion
from metadata_sync.project import Project
from tests.unit.cli.test_control import Sluice, sluice

__all__ = ["sluice"]


def explained(*arguments: str) -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(app, ["explain", "dwh.dim_aircraft", "--json", *arguments])
    assert result.exit_code == 0, result.output
    settings = json.loads(result.stdout)["settings"]
    return {f"{item['row'].partition('[')[0]} {item['name']}": item for item in settings}


def test_each_setting_says_where_it_comes_from(sluice: Sluice, project: Project) -> None:
    sluice("control", "apply", "--yes")
    found = explained()
    name = "transformation_control business_key"
    assert found[name]["value"] == ["tailnum"]
    assert found[name]["origin"].startswith("dbt_project/control/flights.yml:")
    line = int(found[name]["origin"].rpartition(":")[2])
    assert "business_key" in (project.control_dir / "flights.yml").read_text().splitlines()[line - 1]
    assert found["transformation_control on_tie"] == {
        **found["transformation_control on_tie"],
        "value": "warn",
        "origin": "default",
    }
    assert found["pipeline_control template"]["origin"].startswith("dbt_project/control/flights.yml:")
    assert found["transformation_control lake.flights: incremental_key"]["origin"] in (
        "source_control[lake.flights]",
        "its dependencies",
        "its incremental_key",
    )
    assert found["transformation_control lake.planes: read as"]["value"] == "lookup"

    sluice("control", "set", "transformation", "dwh.dim_aircraft", "max_rejects=7", "--reason", "a dirty month")
    found = explained()
    assert found["transformation_control max_rejects"]["value"] == 7
    assert found["transformation_control max_rejects"]["origin"].startswith("set, ")
    assert found["transformation_control max_rejects"]["origin"].endswith(": a dirty month")

    path = project.control_dir / "flights.yml"
    path.write_text(path.read_text().replace("business_key: [tailnum]", "business_key: [tailnum, carrier]"))
    assert "is not applied" in explained()[name]["origin"]


def test_a_person_reads_it_by_row(sluice: Sluice) -> None:
    sluice("control", "apply", "--yes")
    result = CliRunner().invoke(app, ["explain", "dwh.dim_aircraft"])
    assert "transformation_control[dwh.dim_aircraft]" in result.stdout
    assert "pipeline_control[flights_hourly]" in result.stdout


def test_an_unknown_target_is_said_with_those_that_there_are(sluice: Sluice) -> None:
    sluice("control", "apply", "--yes")
    result = CliRunner().invoke(app, ["explain", "dwh.nothing"])
    assert "dwh.dim_aircraft" in str(result.exception)


def test_the_shell_completes_names_and_creates_nothing(sluice: Sluice, project: Project) -> None:
    project.make_state_dir()
    assert completion.complete_targets("") == []
    assert not (project.state_dir / "control.db").exists()
    sluice("control", "apply", "--yes")
    assert completion.complete_targets("dwh.") == ["dwh.dim_aircraft"]
    assert completion.complete_targets("mart.") == []
    assert completion.complete_sources("lake.f") == ["lake.flights"]
    assert completion.complete_subjects("") == ["dwh.dim_aircraft", "flights_hourly"]
    assert "lake.planes" in completion.complete_tables("")


def test_completion_outside_of_a_project_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completion.complete_pipelines("") == []


def test_every_command_stands_in_a_panel_of_the_help() -> None:
    result = CliRunner().invoke(app, ["--help"], terminal_width=80)
    assert result.exit_code == 0
    for panel in ("Build", "Run", "Look", "Repair", "Operate", "Spark"):
        assert f"─ {panel} ─" in result.stdout
    assert "─ Commands ─" not in result.stdout
    assert all(f" {command} " in result.stdout for command in COMMANDS)

    assert "sluice control apply && sluice run" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_version_names_what_sluice_runs_on() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert [part.split()[0] for part in result.stdout.split(" · ")] == ["sluice", "dbt-core", "prefect", "duckdb"]


def test_arguments_that_name_rows_are_completed() -> None:
    group = typer.main.get_command(app)
    context = group.make_context("sluice", [], resilient_parsing=True)
    expected = {"backfill": "subject", "restate": "target", "why": "target", "verify": "target", "lake": "source"}
    for command, argument in expected.items():
        found = group.get_command(context, command)  # type: ignore[attr-defined]
        (parameter,) = [item for item in found.params if item.name == argument]
        assert parameter._custom_shell_complete is not None, command


def test_listed_sentences_are_those_of_the_commands() -> None:
    commands = {name: get_group(app).commands.get(name) for name in COMMANDS}
    listed = {name: entry.summary for panel in PANELS.values() for name, entry in panel.items()}

    assert {name: " ".join(command.help.split("\n\n")[0].split()) for name, command in commands.items()} == listed
