"""The demo's story: a week lands, nothing lands, two more days and a few late rows land.

What the tables hold is compared with the raw CSV files: counted by DuckDB over the CSV, or computed in plain Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import duckdb
import pytest

from tests.support import raw_flights
from tests.support.raw_flights import LAST_DAY, WEEK_END, RouteDay, Version
from tests.support.workspace import TARGETS, Workspace, assert_same

HISTORY = "tailnum, carrier, base_airport, valid_from, valid_to, is_current, departed_at, flight_number"
ROUTE = """
    flight_date, origin, destination, flight_count, cancelled_count, mean_departure_delay_minutes,
    mean_arrival_delay_minutes, min_temperature_fahrenheit, max_temperature_fahrenheit, max_wind_mph,
    precipitation_inches
"""


@pytest.mark.parametrize(("fixture", "until"), [("first_week", WEEK_END), ("nine_days", LAST_DAY)])
class TestTables:
    """After each of the two loads every table is what the raw files say."""

    def test_flights_per_day_are_the_files_lines(
        self, fixture: str, until: date, request: pytest.FixtureRequest, raw_csv: Path
    ) -> None:
        workspace: Workspace = request.getfixturevalue(fixture)
        late = "" if until == LAST_DAY else "and not (day = 5 and carrier = 'B6' and origin = 'LGA')"
        in_file = duckdb.execute(
            f"""
            select day, count(*), count(*) filter (dep_time = 'NA'), sum(try_cast(dep_delay as integer)), sum(distance)
            from read_csv('{raw_csv}', nullstr = '', types = {{dep_time: varchar, dep_delay: varchar}})
            where month = 1 and day <= {until.day} {late}
            group by day order by day
            """
        ).fetchall()
        in_table = workspace.query(
            """
            select day(flight_date), count(*), count(*) filter (is_cancelled), sum(departure_delay_minutes),
                   sum(distance_miles)
            from dwh.fact_flight group by 1 order by 1
            """
        )
        assert in_table == in_file

    def test_every_flight_is_there_once(self, fixture: str, until: date, request: pytest.FixtureRequest) -> None:
        workspace: Workspace = request.getfixturevalue(fixture)
        rows = workspace.query("select flight_date, carrier, flight_number, origin, departed_at from dwh.fact_flight")
        expected = [
            (flight.day, flight.carrier, flight.number, flight.origin, flight.departed_at)
            for flight in raw_flights.landed_flights(until)
        ]
        assert len(rows) == len(set(rows))
        assert set(rows) == set(expected)

    def test_every_plane_has_its_whole_history(self, fixture: str, until: date, request: pytest.FixtureRequest) -> None:
        workspace: Workspace = request.getfixturevalue(fixture)
        rows = workspace.query(f"select {HISTORY} from dwh.dim_aircraft order by tailnum, valid_from")
        assert [Version(*row) for row in rows] == raw_flights.aircraft_history(raw_flights.landed_flights(until))

    def test_every_route_is_counted_with_its_weather(
        self, fixture: str, until: date, request: pytest.FixtureRequest
    ) -> None:
        workspace: Workspace = request.getfixturevalue(fixture)
        rows = {row[:3]: RouteDay(*row[3:]) for row in workspace.query(f"select {ROUTE} from mart.route_daily")}
        expected = raw_flights.route_days(raw_flights.landed_flights(until), until)
        assert rows.keys() == expected.keys()
        different = {key: (rows[key], expected[key]) for key in rows if not _nearly(rows[key], expected[key])}
        assert different == {}

    def test_airports_are_the_file(self, fixture: str, until: date, request: pytest.FixtureRequest) -> None:
        workspace: Workspace = request.getfixturevalue(fixture)
        rows = workspace.query("select airport_code, airport_name from dwh.dim_airport")
        assert len(rows) == len(dict(rows))
        assert dict(rows) == raw_flights.airports()


def test_late_departure_splits_a_version_that_stood(first_week: Workspace, nine_days: Workspace) -> None:
    """N588JB left LaGuardia on 5 January; that row came after the plane's later departures had been loaded."""
    history = f"select {HISTORY} from dwh.dim_aircraft where tailnum = 'N588JB' order by valid_from"
    before = [Version(*row) for row in first_week.query(history)]
    after = [Version(*row) for row in nine_days.query(history)]
    assert [version.base_airport for version in before] == ["JFK", "EWR", "LGA", "EWR"]
    assert [version.base_airport for version in after] == ["JFK", "EWR", "LGA", "EWR", "LGA", "EWR"]
    assert after[1].valid_to == after[2].valid_from == after[2].departed_at
    assert after[2].valid_to == after[3].valid_from == before[1].departed_at


def test_second_run_skips_everything_and_writes_nothing(loaded: Workspace) -> None:
    before = _digest(loaded.warehouse)
    outcome = loaded.must("run", "--json").json()
    assert _actions(outcome) == dict.fromkeys(TARGETS, "skip")
    assert _digest(loaded.warehouse) == before


def test_only_what_is_affected_runs(nine_days: Workspace) -> None:
    loads = dict(nine_days.query("select target, count(distinct load_id) from sluice.load_log group by target"))
    assert loads == {"dwh.fact_flight": 2, "dwh.dim_aircraft": 2, "mart.route_daily": 2, "dwh.dim_airport": 1}


def test_untouched_days_are_not_written_again(first_week: Workspace, nine_days: Workspace) -> None:
    """Late flights of the fifth touch LaGuardia on that day; the days between stand as the first run wrote them."""
    written = """
        select flight_date, origin, destination, _sluice_loaded_at from mart.route_daily
        where flight_date < date '2013-01-05' or (flight_date = date '2013-01-05' and origin <> 'LGA') order by all
    """
    assert nine_days.query(written) == first_week.query(written)


def test_forced_run_changes_nothing(nine_days: Workspace, tmp_path: Path) -> None:
    again = nine_days.copy(tmp_path / "project")
    again.must("run", "--force")
    assert_same(again.contents(), nine_days.contents())


def test_dbt_build_by_hand_loads_what_the_flow_loads(fresh: Workspace, first_week: Workspace, full_lake: Path) -> None:
    fresh.land(full_lake, date(2013, 1, 1), WEEK_END)
    fresh.must("control", "apply", "--yes")
    fresh.must("sync")
    fresh.must("dbt", "build", "--select", "tag:pipeline:flights_hourly", "tag:pipeline:routes_daily")
    assert_same(fresh.contents(), first_week.contents())
    assert _actions(fresh.must("run", "--json").json()) == dict.fromkeys(TARGETS, "skip")


def test_all_days_at_once_give_what_two_runs_gave(fresh: Workspace, nine_days: Workspace, full_lake: Path) -> None:
    fresh.land(full_lake, date(2013, 1, 1), LAST_DAY)
    fresh.must("control", "apply", "--yes")
    fresh.must("run")
    assert_same(fresh.contents(), nine_days.contents())


def test_full_refresh_gives_what_increments_gave(nine_days: Workspace, tmp_path: Path) -> None:
    again = nine_days.copy(tmp_path / "project")
    again.must("sync")
    again.must("dbt", "build", "--full-refresh", "--select", "tag:pipeline:flights_hourly", "tag:pipeline:routes_daily")
    assert_same(again.contents(), nine_days.contents())


@pytest.fixture(scope="module")
def raw_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zipped CSV file, unzipped by this test."""
    with ZipFile(raw_flights.data_folder() / "flights.csv.zip") as archive:
        return Path(archive.extract("flights.csv", tmp_path_factory.mktemp("raw")))


def _actions(outcome: Mapping[str, Any]) -> dict[str, str]:
    return {target["target"]: target["decision"] for target in outcome["targets"]}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _nearly(row: RouteDay, expected: RouteDay) -> bool:
    """Are counts equal, and measures equal but for the rounding to the column's digits?"""
    digits = (0, 0, 0.005, 0.005, 0.05, 0.05, 0.05, 0.005)
    return all(
        (value is None and wanted is None)
        or (value is not None and wanted is not None and abs(float(value) - wanted) <= digit + 1e-9)
        for value, wanted, digit in zip(row, expected, digits, strict=True)
    )
