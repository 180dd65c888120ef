"""Materialized views: created, refreshed only for news, altered, made anew; on every warehouse the same rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.warehouse.connection import open_warehouse
from flows.warehouse.load_log import existing_tables
from flows.warehouse.profile import Profile
from metadata_sync.rows.names import TableName
from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtProject, driving
from tests.support.postgres_project import PostgresProject
from tests.support.redshift_live import workgroup
from tests.support.redshift_project import RedshiftProject

SELECT = "select e.v, count(*) as event_count from {{ source('lake', 'events') }} as e group by e.v"
LAYOUT = {"distkey": "v", "sortkey": ["v", "event_count"]}


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("redshift", marks=[pytest.mark.postgres, pytest.mark.redshift_standin]),
        pytest.param("redshift, SHOW", marks=[pytest.mark.postgres, pytest.mark.redshift_standin]),
        pytest.param("redshift, live", marks=pytest.mark.redshift_live),
    ]
)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DbtProject]:
    with contextlib.ExitStack() as opened:
        project = _open(request, tmp_path, opened)
        _fill(project)
        yield project


def _open(request: pytest.FixtureRequest, root: Path, opened: contextlib.ExitStack) -> DbtProject:
    kind = request.param
    if kind == "duckdb":
        return DbtProject(root)
    if kind == "postgres":
        return PostgresProject(root, request.getfixturevalue("postgres_url"))
    if kind == "redshift, live":
        return RedshiftProject(root, opened.enter_context(workgroup()))
    return RedshiftProject(root, request.getfixturevalue("redshift_standin"), datasharing="SHOW" in kind)


def _fill(project: DbtProject) -> None:
    project.execute(
        "create schema lake",
        "create table lake.events (v varchar(10), t timestamp)",
        "insert into lake.events values ('a', '2024-01-01')",
    )
    project.source("events")
    write(project)


def write(project: DbtProject, select: str = SELECT, **settings: object) -> None:
    dependencies = [driving("events", incremental_key="t")]
    given = {"increment": "full", "business_key": ["v"], "dependencies": dependencies, **LAYOUT, **settings}
    project.model("counts", select, materialized="refresh", **given)


def counts(project: DbtProject) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in project.query("select * from dwh.counts"))


def log(project: DbtProject) -> list[tuple[object, ...]]:
    return project.query("select source, window_end from sluice.load_log order by loaded_at")


def standing(project: DbtProject, values: Mapping[str, Any]) -> frozenset[TableName]:
    """What the gate takes for standing."""
    profile = Profile("test", "t", values["type"], "prod", values)
    warehouse = open_warehouse(profile, wait_seconds=0)
    try:
        return existing_tables(warehouse, profile, [TableName("dwh", "counts"), TableName("dwh", "other")])
    finally:
        warehouse.close()


def test_view_is_refreshed_only_when_its_source_holds_something_new(project: DbtProject) -> None:
    first = project.run()
    assert first.success, first.messages
    assert counts(project) == [("a", 1)]
    assert project.run().messages["counts"] == "SKIP nothing new"
    project.execute("insert into lake.events values ('b', '2024-01-02')")
    assert counts(project) == [("a", 1)]
    assert project.run().messages["counts"] == "REFRESHED"
    assert counts(project) == [("a", 1), ("b", 1)]
    ends = ["2024-01-01 00:00:00.000000", "2024-01-02 00:00:00.000000"]
    assert log(project) == [("lake.events", end) for end in ends]
    if project.profile is not None:  # a DuckDB file that dbt holds open in this process cannot be opened once more
        assert standing(project, project.profile) == {TableName("dwh", "counts")}


def test_another_select_makes_another_view_and_a_failure_leaves_the_old_one(project: DbtProject) -> None:
    assert project.run().success
    write(project, SELECT.replace("count(*)", "count(*) / (count(*) - 1)"))
    if not isinstance(project, PostgresProject | RedshiftProject):
        write(project, SELECT.replace("count(*)", "cast(e.v || count(*) as integer)"))
    assert not project.run().success
    assert counts(project) == [("a", 1)]
    assert len(log(project)) == 1
    write(project, SELECT.replace("count(*)", "count(*) + 1"))
    again = project.run()
    assert again.success, again.messages
    assert counts(project) == [("a", 2)]
    assert project.run("--full-refresh").success
    assert counts(project) == [("a", 2)]
    assert len(log(project)) == 3


def test_inactive_view_is_left_alone_and_a_table_is_not_taken_for_one(project: DbtProject) -> None:
    write(project, is_active=False)
    assert project.run().messages["counts"] == "SKIP inactive"
    write(project)
    project.execute("create schema if not exists dwh", "create view dwh.counts as select 1 as v")
    result = project.run()
    assert not result.success
    assert "dwh.counts is a view, not a" in result.messages["counts"]


@pytest.mark.postgres
@pytest.mark.redshift_standin
def test_redshift_view_has_its_layout_and_commits_with_its_log_row(redshift_standin: Standin, tmp_path: Path) -> None:
    project = RedshiftProject(tmp_path, redshift_standin)
    project.execute("create schema lake", "create table lake.events (v varchar(10), t timestamp)")
    project.execute("insert into lake.events values ('a', '2024-01-01')")
    project.source("events")
    write(project)
    assert project.run().success
    (create,) = redshift_standin.journal.matching("^(/\\*.*\\*/)?\\s*create materialized view")
    assert "diststyle key distkey (v)\nsortkey (v, event_count)\nauto refresh no" in create.sql
    (logged,) = redshift_standin.journal.writes(["sluice.load_log"])
    assert create.transaction == logged.transaction
    assert create.transaction is not None
    write(project, auto_refresh=True)
    assert project.run().success
    assert project.query("select autorefresh from svv_mv_info") == [("t",)]
    kinds = [entry.kind for entry in redshift_standin.journal.entries if "materialized view" in entry.kind]
    assert kinds == ["create materialized view", "alter materialized view", "refresh materialized view"]
