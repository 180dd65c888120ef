"""What people get wrong: a clear message, the right exit code, and nothing half done."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.support.raw_flights import LAST_DAY, WEEK_END
from tests.support.workspace import TARGETS, Workspace, assert_no_traceback, assert_same, finish

WORK_FAILED, WRONG_SETTINGS, FAULTS = 1, 2, 3


@pytest.fixture
def landed(fresh: Workspace, full_lake: Path) -> Workspace:
    """A week has landed; no row was applied."""
    fresh.land(full_lake, date(2013, 1, 1), WEEK_END)
    return fresh


@pytest.mark.parametrize("is_empty", [False, True], ids=["missing", "empty"])
def test_lake_folder_without_files_is_a_fault_of_its_row(landed: Workspace, is_empty: bool) -> None:
    shutil.rmtree(landed.lake / "weather")
    if is_empty:
        (landed.lake / "weather").mkdir()
    done = landed.sluice("control", "apply", "--yes")
    assert done.code == FAULTS
    assert "lake.weather" in done.err
    assert ".sluice/lake/weather" in done.err
    assert_no_traceback(done.err)
    assert_no_rows(landed)


def test_lake_folder_that_vanishes_holds_its_readers_only(loaded: Workspace, full_lake: Path) -> None:
    loaded.land(full_lake, date(2013, 1, 8), LAST_DAY)
    shutil.rmtree(loaded.lake / "weather")
    before = loaded.content("mart.route_daily")
    done = loaded.sluice("run")
    assert done.code == WORK_FAILED
    assert "lake.weather" in done.out + done.err
    assert_no_traceback(done.err)
    assert loaded.content("mart.route_daily") == before
    assert loaded.query("select max(flight_date) from dwh.fact_flight") == [(LAST_DAY,)]


def test_file_of_another_schema_is_a_warning_of_validate(landed: Workspace) -> None:
    land_another_schema(landed)
    done = landed.sluice("validate")
    assert done.code == 0
    assert "lake.weather" in done.out
    assert "other.parquet" in done.out
    assert_no_traceback(done.err)


def test_file_of_another_schema_that_lands_later_is_left_out_and_told(loaded: Workspace, full_lake: Path) -> None:
    loaded.land(full_lake, date(2013, 1, 8), LAST_DAY)
    land_another_schema(loaded)
    done = loaded.sluice("run")
    assert done.code == 0
    assert "mart.route_daily: lake.weather: 1 file is left out until written again: other.parquet" in done.out
    assert_no_traceback(done.err)
    assert loaded.query("select max(flight_date) from mart.route_daily") == [(LAST_DAY,)]
    assert "lake.weather has files that are not read" in loaded.sluice("status").out

    (loaded.lake / "weather" / "other.parquet").unlink()
    loaded.must("run")
    assert "not read" not in loaded.sluice("status").out


def test_two_statements_are_a_fault(landed: Workspace) -> None:
    select = landed.root / "dbt_project" / "transformations" / "dim_airport.sql"
    select.write_text(select.read_text() + ";\ndrop table dwh.fact_flight\n")
    done = landed.sluice("control", "apply", "--yes")
    assert done.code == FAULTS
    assert "dwh.dim_airport" in done.err
    assert "statement" in done.err
    assert_no_traceback(done.err)
    assert_no_rows(landed)


@pytest.mark.parametrize("command", [("run",), ("status",), ("plan",), ("sync",)], ids=" ".join)
def test_row_edited_to_nonsense_by_sql_is_named(loaded: Workspace, command: tuple[str, ...]) -> None:
    edit_control(loaded, "update transformation_control set load_type = 'scd9' where target_table = 'dim_aircraft'")
    before = loaded.contents()
    done = loaded.sluice(*command)
    assert done.code == FAULTS
    assert "transformation_control[dwh.dim_aircraft].load_type" in done.err
    assert "scd9" in done.err
    assert_no_traceback(done.err)
    assert_same(loaded.contents(), before)


def test_generated_file_edited_by_hand_is_reported_and_kept(loaded: Workspace) -> None:
    loaded.must("sync")
    model = loaded.root / "dbt_project/models/generated/flights_hourly/dwh__dim_airport.sql"
    model.write_text(edited := model.read_text() + "-- a quick fix\n")
    check = loaded.sluice("sync", "--check")
    assert check.code == FAULTS
    assert model.name in check.out + check.err
    done = loaded.sluice("sync")
    assert done.code == FAULTS
    assert model.name in done.out + done.err
    assert_no_traceback(done.err)
    assert model.read_text() == edited


@pytest.mark.parametrize("command", [("run",), ("control", "apply", "--yes")], ids=" ".join)
def test_control_database_newer_than_the_code_is_left_alone(loaded: Workspace, command: tuple[str, ...]) -> None:
    edit_control(loaded, "update sluice_version set version_num = '9999'")
    done = loaded.sluice(*command)
    assert done.code == WORK_FAILED
    assert "newer" in done.err
    assert_no_traceback(done.err)
    with closing(sqlite3.connect(loaded.root / ".sluice" / "control.db")) as control:
        assert control.execute("select version_num from sluice_version").fetchall() == [("9999",)]


@pytest.mark.parametrize("command", [("run",), ("control", "apply", "--yes"), ("status",)], ids=" ".join)
def test_folder_that_cannot_be_made_is_named(fresh: Workspace, command: tuple[str, ...]) -> None:
    """A file in the folder's place keeps root out too, which permissions do not."""
    (fresh.root / ".sluice").write_text("in the way")
    done = fresh.sluice(*command)
    assert done.code in {WORK_FAILED, WRONG_SETTINGS}
    assert str(fresh.root / ".sluice") in done.err
    assert_no_traceback(done.err)


def test_two_runs_at_once_load_once(landed: Workspace, first_week: Workspace) -> None:
    landed.must("control", "apply", "--yes")
    for done in map(finish, [landed.start("run"), landed.start("run")]):
        assert done.code == 0, done.err
        assert_no_traceback(done.err)
    assert_same(landed.contents(), first_week.contents())
    loads = dict(landed.query("select target, count(distinct load_id) from sluice.load_log group by target"))
    assert loads == dict.fromkeys(TARGETS, 1)


def land_another_schema(workspace: Workspace) -> None:
    """Let a file land in lake.weather whose columns are not the others'."""
    other = workspace.lake / "weather" / "other.parquet"
    duckdb.execute(f"copy (select 'JFK' as airport, 42 as degrees) to '{other}' (format parquet)")


def edit_control(workspace: Workspace, statement: str) -> None:
    """Edit the control database as somebody with an SQL client does."""
    with closing(sqlite3.connect(workspace.root / ".sluice" / "control.db")) as control, control:
        control.execute("pragma ignore_check_constraints = on")
        assert control.execute(statement).rowcount == 1


def assert_no_rows(workspace: Workspace) -> None:
    """Nothing was applied: no transformation is known, no model was generated, no warehouse made."""
    with closing(sqlite3.connect(workspace.root / ".sluice" / "control.db")) as control:
        assert control.execute("select count(*) from transformation_control").fetchall() == [(0,)]
    assert not (workspace.root / "dbt_project/models/generated").exists()
    assert not workspace.warehouse.exists()
