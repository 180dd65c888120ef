"""Loads from what Spark left: the same as from the SELECT, guarded by count and head; made by hand, without Spark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.dbt_project import DbtProject, driving

WINDOW = {
    "source": "lake.events", "kind": "timestamp", "start": None, "end": "2013-01-02 00:00:00.000000", "is_open": False,
    "new": True, "moves_watermark": True, "lookback_count": 1, "future_count": 0, "source_epoch": None, "unkeyed": None,
    "head": "none",
}  # fmt: skip
SELECT = "select e.id, e.city, e.landed_at from {{ sluice.increment(source('lake', 'events')) }} as e"


@pytest.fixture
def project(tmp_path: Path) -> DbtProject:
    project = DbtProject(tmp_path)
    project.execute(
        "create schema lake",
        "create table lake.events as select * from (values (1, 'Oslo', timestamp '2013-01-01'), "
        "(2, 'Bergen', timestamp '2013-01-02'), (3, 'Tromsø', timestamp '2013-01-03')) as t (id, city, landed_at)",
    )
    project.source("events")
    place(project)
    return project


def place(project: DbtProject, recompute_by: Sequence[str] = (), **settings: Any) -> None:
    """Write the model; which columns carry the group, and what else it says."""
    reads = driving("events", incremental_key="landed_at", **({"recompute_by": recompute_by} if recompute_by else {}))
    project.model(
        "place",
        SELECT,
        materialized="scd1",
        business_key=["id"],
        sequence_by=["landed_at"],
        dependencies=[reads],
        **settings,
    )


def result(project: DbtProject, rows: str, row_count: int) -> dict[str, str]:
    file = project.root / "result.parquet"
    project.execute(f"copy ({rows}) to '{file}' (format parquet)")
    told = {"manifest": "", "pattern": str(file), "row_count": row_count, "columns": ["id", "city", "landed_at"]}
    return {"SLUICE_RESULTS": json.dumps({"dwh.place": {**told, "windows": {"lake.events": WINDOW}}})}


TWO_ROWS = """
select 1 as id, 'From Spark' as city, timestamp '2013-01-01' as landed_at
union all
select 2, 'Too', timestamp '2013-01-02'
"""


def test_a_load_takes_its_rows_and_its_window_from_the_result(project: DbtProject) -> None:
    told = result(project, TWO_ROWS, 2)

    assert project.run(env=told).success

    assert project.query("select id, city from dwh.place order by id") == [(1, "From Spark"), (2, "Too")]
    assert project.query("select window_end from sluice.load_log") == [("2013-01-02 00:00:00.000000",)]
    assert project.run().success
    assert project.query("select count(*) from dwh.place") == [(3,)], "the next load goes on behind the window"


def test_a_row_that_left_a_touched_group_goes_and_no_other(project: DbtProject) -> None:
    """Which groups were touched is Spark's word: what has landed since is the next load's."""
    place(project, recompute_by=["city"], increment="groups")
    assert project.run().success
    project.execute(
        f"copy (select 'Oslo' as sluice_group_1) to '{project.root}/groups.parquet' (format parquet)",
        "insert into lake.events values (4, 'Bergen', timestamp '2013-01-04')",
    )
    (head,) = project.query("select load_id from sluice.dwh__place__head")
    told = json.loads(
        result(project, "select 9 as id, 'Oslo' as city, timestamp '2013-01-04' as landed_at", 1)["SLUICE_RESULTS"]
    )
    told["dwh.place"]["groups"] = {
        "manifest": "",
        "pattern": str(project.root / "groups.parquet"),
        "columns": [{"name": "sluice_group_1", "type": "varchar(65535)"}],
    }
    window = {**WINDOW, "start": "2013-01-03 00:00:00.000000", "end": "2013-01-04 00:00:00.000000", "head": head[0]}
    told["dwh.place"]["windows"] = {"lake.events": window}

    done = project.run(env={"SLUICE_RESULTS": json.dumps(told)})

    assert done.success, done.messages
    assert project.query("select id, city from dwh.place order by id") == [(2, "Bergen"), (3, "Tromsø"), (9, "Oslo")]


def test_other_rows_than_the_manifest_counts_are_never_loaded(project: DbtProject) -> None:
    told = result(project, TWO_ROWS, 3)

    done = project.run(env=told)

    assert not done.success
    assert "holds 3 rows by its manifest, and 2 were read" in done.messages["place"]
    assert project.query("select count(*) from sluice.load_log") == [(0,)]


def test_a_load_in_between_makes_the_result_lose(project: DbtProject) -> None:
    assert project.run().success
    told = result(project, TWO_ROWS, 2)

    assert not project.run(env=told).success
    assert project.query("select city from dwh.place where id = 1") == [("Oslo",)]


def test_an_empty_result_moves_the_watermark_alone(project: DbtProject) -> None:
    told = json.loads(result(project, TWO_ROWS, 0)["SLUICE_RESULTS"])
    for value in told.values():
        value["pattern"] = ""

    assert project.run(env={"SLUICE_RESULTS": told}).success
    assert project.query("select count(*) from dwh.place") == [(0,)]
    assert project.query("select window_end, rows_read from sluice.load_log") == [("2013-01-02 00:00:00.000000", 0)]


def test_a_full_refresh_refuses_the_rows_of_one_window(project: DbtProject) -> None:
    told = result(project, TWO_ROWS, 2)

    done = project.run("--full-refresh", env=told)

    assert not done.success
    assert "--full-refresh replaces all of it" in done.messages["place"]
