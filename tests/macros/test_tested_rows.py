"""Data tests within a build read what the last load wrote; `dbt test` reads everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.dbt_project import DbtProject, add_events, driving, history_tests

SELECT = "select e.id, e.v, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"
FAILS = {"one_current_row", "no_overlap", "no_zero_length", "key_not_null", "touching_versions_differ"}


@pytest.fixture
def project(make_anywhere: Callable[[str], DbtProject]) -> DbtProject:
    project = make_anywhere("tested")
    add_events(project)
    project.model(
        "history",
        SELECT,
        materialized="scd2",
        business_key=["id"],
        incremental_key="t",
        dependencies=[driving("events", incremental_key="t")],
        data_tests=history_tests(["id"], ["v"]),
    )
    return project


def _failed(project: DbtProject, command: str) -> set[str]:
    statuses = project.run(command=command).statuses
    return {kind for kind in FAILS for test, status in statuses.items() if test.startswith(kind) and status == "fail"}


def test_build_tests_what_the_load_wrote_and_test_tests_all(project: DbtProject) -> None:
    assert _failed(project, "build") == set()
    columns = "id, v, t, valid_from, is_current, _sluice_loaded_at"
    twice = f"insert into dwh.history ({columns}) select {columns} from dwh.history where id = "
    project.execute(twice + "1", "insert into lake.events values (2, 'c', '2024-01-02')")
    assert _failed(project, "build") == set(), "key 1 was not touched"
    assert _failed(project, "test") == {"one_current_row", "no_overlap"}
    project.execute(twice + "2 and is_current")
    assert _failed(project, "build") == {"one_current_row", "no_overlap"}
    written = "_sluice_loaded_at = (select loaded_at from sluice.dwh__history__head)"
    project.execute(
        f"update dwh.history set id = null, valid_to = valid_from where id = 2 and is_current and {written}"
    )
    assert {"no_zero_length", "key_not_null"} <= _failed(project, "build")
