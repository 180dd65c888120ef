"""Data tests within a build read what the last load wrote; `dbt test` reads everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.dbt_project import DbtProject, add_events, driving, history_tests, run_dbt

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


def _sent_and_said(project: DbtProject, command: str) -> tuple[int, str]:
    """Return how many SELECTs the one test of the history sent, and what failed_checks says of the first."""
    sent: list[str] = []
    said: list[str] = []

    def hear(event: Any) -> None:
        if event.info.name == "SQLQuery" and "dbt_internal_test" in event.data.sql:
            sent.append(event.data.sql.partition("from (")[2].rpartition(")")[0])
        elif event.info.name == "JinjaLogInfo":
            said.append(event.info.msg)

    if run_dbt(project.root, ["--quiet", command, "--select", "one_test"], {}, callbacks=[hear]).success:
        return len(sent), ""
    arguments = json.dumps({"select_sql": sent[0]})
    assert run_dbt(
        project.root, ["run-operation", "sluice.failed_checks", "--args", arguments], {}, callbacks=[hear]
    ).success
    return len(sent), said[0]


def test_one_statement_checks_a_history_and_names_what_fails(project: DbtProject) -> None:
    settings = {"business_key": ["id"], "incremental_key": "t"}
    dependencies = [driving("events", incremental_key="t")]
    tests = [{"valid_history": {"arguments": {"business_key": ["id"], "scd_columns": ["v"]}}}]
    project.model("one_test", SELECT, materialized="scd2", dependencies=dependencies, data_tests=tests, **settings)
    assert _sent_and_said(project, "build")[0] == 1
    columns = "id, v, t, valid_from, valid_to, is_current, _sluice_loaded_at"
    twice = f"insert into dwh.one_test ({columns}) select {columns} from dwh.one_test where id = "
    project.execute(twice + "1", "insert into lake.events values (2, 'c', '2024-01-02')")
    assert _sent_and_said(project, "build")[0] == 1, "key 1 was not touched"
    sent, said = _sent_and_said(project, "test")
    assert sent == 1
    assert said == (
        "one_current_row failed for 2 row(s), for example id=1. no_overlap failed for 1 row(s), for example id=1."
    )
    wrong = [
        ("3, 'a', '2024-02-02', '2024-02-02', '2024-02-02', false", "no_zero_length", "id=3"),
        ("null, 'a', '2024-02-02', '2024-02-02', null, true", "key_not_null", "id=NULL"),
        ("2, 'c', '2024-02-02', '2024-02-03', '2024-02-04', false", "touching_versions_differ", "id=2"),
    ]
    for values, name, key in wrong:
        project.execute(
            "update dwh.one_test set valid_to = '2024-02-03', is_current = false where id = 2 and is_current",
            f"insert into dwh.one_test ({columns}) select {values}, loaded_at from sluice.dwh__one_test__head",
        )
        assert f"{name} failed for 1 row(s), for example {key}" in _sent_and_said(project, "build")[1]
    assert all(name in _sent_and_said(project, "test")[1] for name in FAILS)
