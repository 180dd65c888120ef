"""Days of real flights and weather, landing one by one in a random order, over three pipelines.

After each landing exactly the targets that read it run; in the end all tables are what a full rebuild makes of them.
A few days in CI; `DAY_COUNT=30 pytest tests/flows/engine/test_days_of_flights.py` for a month.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.demo.dataset import data_folder, unzip_flights
from tests.support.engine_project import Workshop, copy_project, finish, transformation

DAYS = int(os.environ.get("DAY_COUNT", "4"))
pytestmark = pytest.mark.timeout(120 + 60 * DAYS)

FLIGHTS = {"dwh.fact_flight", "dwh.dim_aircraft", "mart.route_count"}
WEATHER = {"dwh.fact_weather"}
LANDINGS = {"flights": FLIGHTS, "weather": WEATHER, "both": FLIGHTS | WEATHER, "nothing": set[str]()}
TABLES = {
    "dwh.fact_flight": "flight_id, tailnum, carrier, origin, dest, departed_at",
    "dwh.dim_aircraft": "tailnum, carrier, origin, valid_from, valid_to, is_current",
    "mart.route_count": "origin, dest, flight_count",
    "dwh.fact_weather": "origin, time_hour, temp",
}
SELECTS = {
    "fact_flight": "select f.flight_id, f.tailnum, f.carrier, f.origin, f.dest, f.departed_at, f.recorded_at "
    "from lake.flights as f",
    "dim_aircraft": "select f.tailnum, f.carrier, f.origin, f.departed_at, f.flight_id, f.recorded_at "
    "from lake.flights as f where f.tailnum is not null",
    "route_count": "select f.origin, f.dest, count(*) as flight_count from dwh.fact_flight as f "
    "group by f.origin, f.dest",
    "fact_weather": "select w.origin, w.time_hour, w.temp, w.recorded_at from lake.weather as w",
}
EVENTS = {
    "flights": """
        select row_number() over (order by month, day, carrier, flight, origin, sched_dep_time) as flight_id, tailnum,
            carrier, origin, dest, make_timestamp(year, month, day, dep_time // 100 % 24, dep_time % 100, 0)
            as departed_at, dayofyear(make_date(year, month, day)) as day_number
        from read_csv('{folder}/flights.csv', nullstr = ['', 'NA']) where dep_time is not null and month <= 2
    """,
    "weather": """
        select origin, make_timestamp(year, month, day, hour, 0, 0) as time_hour, temp,
            dayofyear(make_date(year, month, day)) as day_number
        from read_csv('{data}/weather.csv', nullstr = ['', 'NA']) where month <= 2
        qualify row_number() over (partition by origin, year, month, day, hour) = 1
    """,
}


def control_rows() -> dict[str, list[dict[str, Any]]]:
    lake = {"schema": "lake", "kind": "lake", "format": "parquet", "incremental_key": "recorded_at"}
    return {
        "sources": [{**lake, "table": name, "location": f"lake/{name}"} for name in EVENTS],
        "pipelines": [
            {"pipeline_id": name, "pipeline_name": name, "template": "lake_to_warehouse"}
            for name in ("flights", "weather", "routes")
        ],
        "transformations": [
            transformation(
                "dwh", "fact_flight", "flights", "lake.flights", load_type="append", business_key=["flight_id"]
            ),
            transformation(
                *("dwh", "dim_aircraft", "flights", "lake.flights"),
                load_type="scd2",
                business_key=["tailnum"],
                sequence_by=["departed_at", "flight_id"],
                scd_columns=["carrier", "origin"],
            ),
            transformation(
                *("dwh", "fact_weather", "weather", "lake.weather"),
                load_type="scd1",
                business_key=["origin", "time_hour"],
            ),
            {
                **transformation("mart", "route_count", "routes", "dwh.fact_flight"),
                "load_type": "scd1",
                "increment": "groups",
                "business_key": ["origin", "dest"],
                "dependencies": [{"table": "dwh.fact_flight", "driving": True, "recompute_by": ["origin", "dest"]}],
            },
        ],
    }


@pytest.fixture
def airline(tmp_path: Path) -> Iterator[Workshop]:
    root = (tmp_path / "project").resolve()
    copy_project(root, SELECTS)
    unzip_flights(tmp_path)
    with duckdb.connect(str(tmp_path / "events.duckdb")) as events:
        for name, select in EVENTS.items():
            events.execute(f"create table {name} as {select.format(folder=tmp_path, data=data_folder())}")
    workshop = Workshop(root)
    yield workshop
    workshop.close()


def land(airline: Workshop, what: str, day: int, tick: int) -> None:
    """Land a day's rows; they are recorded now, whichever day they are of."""
    recorded_at = datetime(2013, 6, 1) + timedelta(hours=tick)  # noqa: DTZ001 - the lake's columns have no zone
    for table in ("flights", "weather") if what == "both" else (what,):
        path = airline.lake / table / f"{tick:03}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(airline.root.parent / "events.duckdb"), read_only=True) as events:
            events.execute(
                f"copy (select * exclude (day_number), timestamp '{recorded_at}' as recorded_at from {table}"
                f" where day_number = {day}) to '{path}' (format parquet)"
            )


def tables(airline: Workshop) -> dict[str, list[tuple[Any, ...]]]:
    return {table: airline.query(f"select {columns} from {table} order by all") for table, columns in TABLES.items()}


def test_exactly_what_is_affected_runs_and_the_end_is_that_of_a_full_rebuild(airline: Workshop) -> None:
    chance = random.Random(2013)
    days = chance.sample(range(2, 60), DAYS)
    plans = ["both", *chance.choices(sorted(set(LANDINGS) - {"nothing"}), k=DAYS - 1)]
    land(airline, "both", 1, 0)
    airline.apply(control_rows())
    airline.run()

    for tick, (day, what) in enumerate(zip(days, plans, strict=True), start=1):
        land(airline, what, day, tick)
        summary, recorder = airline.run()
        ran = {outcome.target for outcome in recorder.outcomes}
        assert ran == LANDINGS[what], (day, what)
        assert {outcome.target for outcome in summary.outcomes if outcome.status == "loaded"} == ran
        again = airline.plan()
        assert not again.is_due, [decision.message for decision in again.decisions]

    loaded = tables(airline)
    code, _, error = finish(airline.sluice("dbt", "build", "--full-refresh"))
    assert code == 0, error
    assert loaded == tables(airline)
    assert len(loaded["dwh.fact_flight"]) > 800 * plans.count("both")
